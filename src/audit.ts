import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { type Entry, verifyChain } from './domain/event.ts'
import { line } from './slack/text.ts'

/** As much of a line as a journal is told apart by; whether the rest is as it was written, its hash says. */
const Line = z.looseObject({ incident: z.string(), seq: z.number(), prev: z.string(), hash: z.string() })

export type Journals = ReadonlyMap<string, readonly Entry[]>

/** Journals from a file of JSON lines, in the order in which they stand there, and the lines that hold no entry. */
export async function readJournals(file: string): Promise<{ journals: Journals; faults: string[] }> {
  const journals = new Map<string, Entry[]>()
  const faults: string[] = []
  for (const [i, line] of (await readFile(file, 'utf8')).split('\n').entries()) {
    if (line.trim() === '') continue
    const entry = Line.safeParse(fromJson(line)).data as Entry | undefined
    if (!entry) {
      faults.push(`line ${i + 1} is not an entry of a journal`)
      continue
    }
    const known = journals.get(entry.incident)
    if (known) known.push(entry)
    else journals.set(entry.incident, [entry])
  }
  return { journals, faults }
}

const unit = (c: string): string => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`

/** An entry as a line of JSON with nothing in it that a terminal obeys or hides; read back it is the same. */
export const jsonLine = (entry: Entry): string =>
  JSON.stringify(entry).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu, (c) =>
    c.split('').map(unit).join(''),
  )

/**
 * Checks journals against themselves, and against heads by incident that were written down elsewhere: a journal whose
 * tail was cut off is sound in itself. `lines` says what each one is like.
 */
export function audit(journals: Journals, heads: ReadonlyMap<string, string>): { sound: boolean; lines: string[] } {
  const faults: string[] = []
  const lines = [...journals].map(([id, entries]) => {
    const fault = verifyChain(id, entries)
    const name = line(id)
    if (fault) faults.push(id)
    return fault
      ? `${name}: entry ${fault.seq} ${line(fault.fault)}`
      : `${name}: ${entries.length === 1 ? '1 entry' : `${entries.length} entries`}, head ${entries.at(-1)?.hash ?? 'empty'}`
  })
  for (const [id, head] of heads) {
    const entries = journals.get(id)
    if (entries?.some((e) => e.hash === head)) continue
    faults.push(id)
    lines.push(
      entries ? `${id}: no entry has the hash ${head}; its tail may be cut off` : `${id}: there is no such journal`,
    )
  }
  return { sound: faults.length === 0, lines }
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
