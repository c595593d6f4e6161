import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Facts } from './facts.ts'

const TOP = fileURLToPath(new URL('../..', import.meta.url))
const PAGE = join(TOP, 'docs/facts.md')

/** All `facts.ts` of the tests and the sandbox, by their place. */
export async function allFacts(): Promise<readonly { file: string; facts: Facts }[]> {
  const files = (
    await Promise.all(
      ['test', 'src/sandbox'].map((folder) =>
        readdir(join(TOP, folder), { recursive: true }).then((all) => all.map((one) => join(folder, one))),
      ),
    )
  )
    .flat()
    .filter((file) => file.endsWith('/facts.ts') && !file.startsWith('test/harness/'))
    .toSorted()
  return Promise.all(
    files.map(async (file) => ({ file, facts: ((await import(join(TOP, file))) as { facts: Facts }).facts })),
  )
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
const rows = (head: readonly string[], lines: readonly (readonly string[])[]) =>
  [head, head.map(() => '---'), ...lines].map((line) => `| ${line.map(cell).join(' | ')} |`).join('\n')

/** docs/facts.md. */
export async function factsPage(): Promise<string> {
  const parts = (await allFacts()).map(({ file, facts }) => {
    const checked = facts.facts.map((fact) => [fact.says, fact.source, fact.read])
    const open = facts.unchecked.map((one) => [one.says, one.why])
    return [
      `## ${facts.of}`,
      `Written down in \`${file}\`; enforced by ${facts.enforcedBy.map((one) => `\`${one}\``).join(', ')}.`,
      ...(checked.length > 0 ? [rows(['fact', 'source', 'read'], checked)] : []),
      ...(open.length > 0
        ? [`Could not be checked:`, rows(['what is assumed', 'why it could not be checked'], open)]
        : []),
    ].join('\n\n')
  })
  return `# Facts

What the servers of our own in the tests and in the sandbox enforce, since the real thing does; where that stands, and the day it
was read or tried. What could not be checked is said too. Made by \`npm run facts\`; a test holds it to the code.

${parts.join('\n\n')}
`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(PAGE, await factsPage())
