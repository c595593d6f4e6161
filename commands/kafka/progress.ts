import { open, readFile, rename } from 'node:fs/promises'
import { z } from 'zod'
import { Refused } from '../../src/domain/command.ts'
import type { Dump } from './dump.ts'

/**
 * How far the replay of a dump has come, in a file beside it. `byte` counts in the cleaned copy; `ends` are, by
 * partition, offsets from which on there is nothing of this replay but what came after `byte`.
 */
const Progress = z.object({
  dump: z.string(),
  /** What was asked for: topic, format, and so on. */
  choice: z.string(),
  counts: z.object({ lines: z.number(), valid: z.number(), invalid: z.number(), duplicates: z.number() }),
  /** Records of the cleaned copy, and its bytes. */
  total: z.number().int(),
  bytes: z.number().int(),
  byte: z.number().int(),
  produced: z.number().int(),
  /** Of the dump, the last one before `byte`. */
  line: z.number().int(),
  ends: z.record(z.string(), z.number()).nullable(),
  /** One of the newest records. */
  last: z.object({ partition: z.number(), offset: z.number() }).nullable(),
  at: z.string(),
})
export type Progress = z.infer<typeof Progress>

export const fileOf = ({ path }: Pick<Dump, 'path'>, kind: 'clean' | 'invalid' | 'progress'): string =>
  `${path}.${kind}`

/** What stands in the file, or null if there is none. */
export async function readProgress(dump: Pick<Dump, 'path' | 'name'>): Promise<Progress | null> {
  const text = await readFile(fileOf(dump, 'progress'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (text === null) return null
  try {
    return Progress.parse(JSON.parse(text))
  } catch (cause) {
    throw new Refused(`${dump.name}.progress cannot be read: look at how far the replay came, then remove it.`, {
      cause,
    })
  }
}

/** On the disk when it resolves; a reader sees the old one or the new one. */
export async function writeProgress(dump: Pick<Dump, 'path'>, progress: Progress): Promise<void> {
  await replaceFile(fileOf(dump, 'progress'), async (write) => write(JSON.stringify(progress)))
}

/** Writes a file beside and puts it in place when it is whole and on the disk. */
export async function replaceFile<T>(
  path: string,
  fill: (write: (text: string | Buffer) => Promise<void>) => Promise<T>,
): Promise<T> {
  const file = await open(`${path}.part`, 'w', 0o600)
  try {
    const result = await fill(async (text) => void (await file.appendFile(text)))
    await file.sync()
    await rename(`${path}.part`, path)
    return result
  } finally {
    await file.close()
  }
}
