import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from '@jest/globals'
import { commands } from '../commands/index.ts'
import type { Command } from '../src/domain/command.ts'
import { versioned } from '../src/registry.ts'

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'keyturn-commands-'))
  await mkdir(join(root, 'a'))
  await writeFile(join(root, 'a/one.ts'), "import { x } from './shared.ts'\nimport 'node:fs'")
  await writeFile(join(root, 'a/shared.ts'), "export const x = 1\nexport { y } from '../deep.ts'")
  await writeFile(join(root, 'a/two.ts'), 'export const z = 1')
  await writeFile(join(root, 'deep.ts'), 'export const y = 1')
})
afterEach(() => rm(root, { recursive: true }))
const named = (id: string) => ({ id }) as Command
const versions = async () => {
  const all = await versioned([named('a.one'), named('a.two')], root)
  return [all.get('a.one')?.version, all.get('a.two')?.version]
}

it.each(['a/one.ts', 'a/shared.ts', 'deep.ts'])(
  'a command has another version when %s, which it is made of, has changed',
  async (file) => {
    const [one, two] = await versions()
    await writeFile(
      join(root, file),
      `// changed\n${file === 'a/one.ts' ? "import { x } from './shared.ts'" : "export { y } from '../deep.ts'"}`,
    )
    const [oneNow, twoNow] = await versions()
    expect(oneNow).not.toBe(one)
    expect(twoNow).toBe(two)
  },
)

it('a command keeps its version when another one has changed', async () => {
  const [one] = await versions()
  await writeFile(join(root, 'a/two.ts'), 'export const z = 2')
  expect((await versions())[0]).toBe(one)
})

it('every command of ours stands in the file that its id names', async () => {
  const all = await versioned(commands, new URL('../commands', import.meta.url).pathname)
  expect(all.size).toBe(commands.length)
})
