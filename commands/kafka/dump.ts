import { constants, createReadStream } from 'node:fs'
import { open, realpath } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { Refused } from '../../src/domain/command.ts'
import { MAX_LINE_BYTES, readLines } from '../s3/lines.ts'
import type { KafkaSettings } from './connection.ts'
import { type Format, type Judged, judge } from './dump-line.ts'
import { createIdSet } from './id-set.ts'

/** A file's name: with no separator in it, it cannot lead out of the folder. */
export const DumpName = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$/, 'a file name of letters, digits, "_", "-" and "."')
  .refine((name) => !/\.(clean|invalid|progress)$/.test(name), 'a file that a replay made')

/** A dump that is there. The fingerprint changes when the file is written to or replaced. */
export type Dump = Readonly<{ path: string; name: string; size: number; modified: string; fingerprint: string }>

/** Finds a dump in the connection's folder on this machine. Refuses what is no plain file in it. */
export async function findDump(settings: KafkaSettings, connection: string, name: string): Promise<Dump> {
  if (!settings.dumps)
    throw new Refused(`The connection "${connection}" names no folder for dumps: set "dumps" to read any.`)
  const path = join(settings.dumps, basename(name))
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT')
      throw new Refused(`There is no dump "${name}" in the folder of this worker.`, { cause })
    if (cause.code === 'ELOOP') throw new Refused(`"${name}" is a link; a dump is a plain file.`, { cause })
    throw cause
  })
  try {
    const stat = await file.stat({ bigint: true })
    if (!stat.isFile()) throw new Refused(`"${name}" is no plain file.`)
    return {
      path: join(await realpath(settings.dumps), basename(name)),
      name,
      size: Number(stat.size),
      modified: new Date(Number(stat.mtimeMs)).toISOString(),
      fingerprint: `${stat.ino} ${stat.size} bytes ${stat.mtimeNs}`,
    }
  } finally {
    await file.close()
  }
}

/** `line` counts from 1; `end` is the byte after it. `again`: its id stood in an earlier valid line. */
export type DumpLine = Readonly<{ line: number; bytes: Buffer; end: number; judged: Judged; again: boolean }>

/** Streams a dump's lines, judged; holds one chunk and one line, and eight bytes an id. Ends early for `until`. */
export async function* linesOf(
  { path, name }: Pick<Dump, 'path' | 'name'>,
  format: Format,
  idField: string,
  signal: AbortSignal,
): AsyncGenerator<DumpLine[]> {
  const ids = createIdSet()
  let end = 0
  for await (const batch of readLines(createReadStream(path), signal, true))
    yield batch.map(({ number, bytes, ended }) => {
      if (!bytes)
        throw new Refused(`Line ${number} of ${name} is longer than ${MAX_LINE_BYTES} bytes: no dump of lines.`)
      end += bytes.length + (ended ? 1 : 0)
      const judged = judge(format, bytes, idField, number)
      return { line: number, bytes, end, judged, again: 'record' in judged && !ids.add(judged.record.id) }
    })
}

export type Counts = { lines: number; valid: number; invalid: number; duplicates: number }
export const noLines = (): Counts => ({ lines: 0, valid: 0, invalid: 0, duplicates: 0 })

/** Duplicates are valid as well; remarks of kcat's own count as nothing. */
export function count(counts: Counts, { judged, again }: DumpLine): void {
  if ('remark' in judged) return
  counts.lines += 1
  if ('fault' in judged) counts.invalid += 1
  else counts.valid += 1
  if (again) counts.duplicates += 1
}
