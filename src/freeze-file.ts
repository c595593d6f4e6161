import { access } from 'node:fs/promises'
import type { Freeze } from './domain/freeze.ts'

/** A freeze that holds without Redis and without Slack: while the file is there, its worker starts nothing. */
export async function freezeFile(path: string | undefined): Promise<Freeze | null> {
  if (path === undefined) return null
  // What cannot be looked at counts as there.
  const there = await access(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
  )
  return there ? { by: 'a file on the worker', reason: path, since: '', until: null } : null
}
