import type { KnownBlock } from '@slack/types'
import type { EvidenceBlock } from '../../domain/command.ts'
import type { EvidenceRecord, Incident } from '../../domain/incident.ts'
import { stepOf } from '../../domain/incident.ts'
import type { Drawn } from '../show.ts'
import { cut, exact, fallback, moment } from '../text.ts'
import { actions, bold, button, fixed, header, lines, notice, said, small, table } from './blocks.ts'

/** What fits beside the rest of a message, in rows, cells and characters; Slack takes one table a message. */
const ROWS = 30
const CELL = 120
const CELLS = 7000
const BAR = 24

/** What a read command found, or that it is still looking, or why it could not. A later look is a message of its own. */
export function evidenceCard(incident: Incident, record: EvidenceRecord): Drawn {
  const title = stepOf(incident, record.step)?.title ?? record.step
  const { result } = record
  const draw = (words: string, ...blocks: KnownBlock[]): Drawn => ({
    key: `evidence:${record.step}:${record.requestedAt}`,
    kind: 'message',
    thread: true,
    text: fallback(`${title}: ${words}`),
    blocks: [header(title), ...blocks],
  })
  const again =
    incident.resolvedAt === null
      ? [actions(button('Look again', { kind: 'request', incident: incident.id, step: record.step }))]
      : []
  if (!result) return draw('looking…', said('Looking…'))
  if (result.status === 'failed')
    return draw('could not be read', notice('error', 'This could not be read.'), fixed(result.error, 600), ...again)
  const { summary, blocks } = result.evidence
  let free = true
  const drawn = blocks.slice(0, 6).flatMap((block) => {
    const first = free && block.type === 'table'
    if (first) free = false
    return evidenceBlock(block, first)
  })
  const left = blocks.length - 6
  return draw(
    summary,
    lines([bold(summary, 1500)]),
    ...drawn,
    ...(left > 0 ? [said(`… and ${left} more parts that do not fit here.`)] : []),
    small('Read ', moment(result.at)),
    ...again,
  )
}

function evidenceBlock(block: EvidenceBlock, asTable: boolean): KnownBlock[] {
  switch (block.type) {
    case 'text':
      return [said(block.text)]
    case 'code':
      return [fixed(block.text)]
    case 'chart':
      return [fixed(chart(block))]
    case 'table':
      return tableBlocks(block, asTable)
  }
}

function chart({ title, unit, points }: Extract<EvidenceBlock, { type: 'chart' }>): string {
  const top = Math.max(...points.map((p) => p.value), 1e-9)
  const wide = Math.max(...points.map((p) => p.label.length), 0)
  const bar = (value: number) => '█'.repeat(Math.max(0, Math.round((value / top) * BAR)))
  return [title, ...points.map((p) => `${p.label.padEnd(wide)} ${bar(p.value)} ${p.value} ${unit}`)].join('\n')
}

/** A message holds one table; another one is fixed-width text. Cells and rows that do not fit are counted. */
function tableBlocks(block: Extract<EvidenceBlock, { type: 'table' }>, asTable: boolean): KnownBlock[] {
  const columns = block.columns.slice(0, 20).map((c) => cut(exact(c), CELL))
  const rows: string[][] = []
  let size = columns.join('').length
  for (const row of block.rows.slice(0, ROWS)) {
    const cells = columns.map((_, i) => cut(exact(row[i] ?? '').replace(/\s+/g, ' '), CELL))
    size += cells.join('').length
    if (size > (asTable ? CELLS : 2200)) break
    rows.push(cells)
  }
  const omitted = block.omitted + block.rows.length - rows.length
  const more = omitted > 0 ? [small(`… and ${omitted} more rows`)] : []
  if (rows.length === 0) return more
  if (asTable) return [table(columns, rows), ...more]
  const widths = columns.map((c, i) => Math.max(c.length, ...rows.map((r) => r[i]!.length)))
  const line = (cells: readonly string[]) =>
    cells
      .map((c, i) => c.padEnd(widths[i]!))
      .join('  ')
      .trimEnd()
  return [fixed([columns, widths.map((w) => '─'.repeat(w)), ...rows].map(line).join('\n'), 6000), ...more]
}
