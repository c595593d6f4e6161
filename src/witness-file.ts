import { readFile, rename, writeFile } from 'node:fs/promises'
import { z } from 'zod'

/** What a witness had counted, and when (milliseconds). */
const Testimony = z.strictObject({ id: z.string().min(1), seen: z.number().int().nonnegative(), at: z.number() })
type Testimony = z.infer<typeof Testimony>

/** Where a worker keeps what its witness knows, so that it knows of a loss that came while nothing ran. */
export function witnessFile(path: string) {
  return {
    /** What was kept last; null if nothing was, or if it is not as it was written. */
    async read(): Promise<Testimony | null> {
      const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return null
        throw new Error(`witnessFile ${path} cannot be read`, { cause: error })
      })
      try {
        return text === null ? null : Testimony.parse(JSON.parse(text))
      } catch {
        return null
      }
    },
    /** Throws when it cannot be kept. */
    async write(testimony: Testimony): Promise<void> {
      await writeFile(`${path}.new`, JSON.stringify(testimony), { mode: 0o600 })
      await rename(`${path}.new`, path).catch((error: NodeJS.ErrnoException) => {
        // Another worker of this machine has put its own there a moment before, which is as good.
        if (error.code !== 'ENOENT') throw error
      })
    },
  }
}
