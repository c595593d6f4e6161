import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Command } from './domain/command.ts'
import { digest } from './domain/plan.ts'
import type { Versioned } from './pipeline/workbench.ts'

const IMPORT = /(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+\.ts)'/g

/** A file and the files of `root` that it imports, directly or not, each with its text. */
async function sources(file: string, root: string, seen = new Map<string, string>()): Promise<Map<string, string>> {
  if (seen.has(file) || !file.startsWith(`${root}/`)) return seen
  const text = await readFile(file, 'utf8')
  seen.set(file, text)
  for (const [, path] of text.matchAll(IMPORT)) await sources(resolve(dirname(file), path!), root, seen)
  return seen
}

/**
 * Commands by id, each with its version: the digest of its file and of all that this imports from `root`. A grant
 * covers it, so changed code voids an approval. The file of `kafka.skip-record` is `kafka/skip-record.ts`.
 */
export async function versioned(commands: readonly Command[], root: string): Promise<Map<string, Versioned>> {
  const entries = commands.map(async (command): Promise<[string, Versioned]> => {
    const texts = await sources(resolve(root, `${command.id.replace('.', '/')}.ts`), resolve(root))
    const relative = [...texts].map(([path, text]) => [path.slice(resolve(root).length), text])
    return [command.id, { command, version: digest(Object.fromEntries(relative)) }]
  })
  return new Map(await Promise.all(entries))
}
