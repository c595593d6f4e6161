import type { RunContext } from '../../src/domain/command.ts'
import { Refused } from '../../src/domain/command.ts'
import { type Counts, count, type Dump, linesOf, noLines } from './dump.ts'
import type { Format } from './dump-line.ts'
import type { Clean } from './produce.ts'
import { fileOf, type Progress, replaceFile, writeProgress } from './progress.ts'

export type Choice = Readonly<{
  topic: string
  format: Format
  id: string
  duplicates: 'skip' | 'keep'
  timestamps: 'now' | 'keep'
}>

/** As the progress of a replay names it. */
export const choiceText = ({ topic, format, id, duplicates, timestamps }: Choice): string =>
  JSON.stringify([topic, format, id, duplicates, timestamps])

/**
 * Writes two files beside the dump: the records to produce, a JSON object a line, and the invalid lines as they stood.
 * Then the progress of the replay says that it can begin. Refuses when too many lines are invalid.
 */
export async function cleanDump(
  dump: Dump,
  choice: Choice,
  invalidPercent: number,
  ctx: Pick<RunContext, 'signal' | 'progress' | 'now'>,
): Promise<Counts> {
  const counts = noLines()
  let total = 0
  let bytes = 0
  await replaceFile(fileOf(dump, 'invalid'), (aside) =>
    replaceFile(fileOf(dump, 'clean'), async (keep) => {
      for await (const batch of linesOf(dump, choice.format, choice.id, ctx.signal)) {
        const good: string[] = []
        const bad: Buffer[] = []
        for (const line of batch) {
          count(counts, line)
          if ('fault' in line.judged) bad.push(line.bytes, Buffer.from('\n'))
          if (!('record' in line.judged) || (line.again && choice.duplicates === 'skip')) continue
          const { key, value, timestamp, headers } = line.judged.record
          const clean: Clean = {
            line: line.line,
            key,
            value,
            timestamp: choice.timestamps === 'keep' ? timestamp : null,
            headers: headers.map(([name, text]) => [name, text]),
          }
          good.push(`${JSON.stringify(clean)}\n`)
        }
        total += good.length
        const text = Buffer.from(good.join(''))
        bytes += text.length
        await keep(text)
        if (bad.length > 0) await aside(Buffer.concat(bad))
        ctx.progress(batch.at(-1)?.end ?? 0, dump.size, `bytes of ${dump.name} checked`)
      }
    }),
  )
  if (counts.invalid * 100 > counts.lines * invalidPercent)
    throw new Refused(
      `${counts.invalid} of ${counts.lines} lines of ${dump.name} are invalid, more than ${invalidPercent} %. They are in ${dump.name}.invalid; nothing was produced.`,
    )
  const progress: Progress = {
    dump: dump.fingerprint,
    choice: choiceText(choice),
    counts,
    total,
    bytes,
    byte: 0,
    produced: 0,
    line: 0,
    ends: null,
    last: null,
    at: ctx.now().toISOString(),
  }
  await writeProgress(dump, progress)
  return counts
}
