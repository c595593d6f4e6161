import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { commands as shipped } from '../../commands/index.ts'
import { formatFaults } from '../../src/markdown/fault.ts'
import { loadPlaybooks } from '../../src/markdown/load.ts'
import { commands } from './commands.ts'

let root: string
let dir: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'playbooks-'))
  dir = join(root, 'playbooks')
  await mkdir(dir)
})
afterEach(() => rm(root, { recursive: true }))

const text = (match: string) => `---\ntitle: T\nmatch: ${match}\ngroup_by: []\nowner: me\napprovers: []\n---\n## Look\n`

async function write(path: string, content: string | Uint8Array) {
  await mkdir(dirname(join(dir, path)), { recursive: true })
  await writeFile(join(dir, path), content)
}

async function problems() {
  const result = await loadPlaybooks(dir, { commands })
  return result.ok ? '' : formatFaults(result.faults).replaceAll(`${dir}/`, '')
}

describe('loadPlaybooks', () => {
  it('reads all playbooks in the order of their paths, and nothing else', async () => {
    await write('s3/b.md', text('{ alertname: B }'))
    await write('kafka/a.md', text('{ alertname: A }'))
    await write('README.md', '# How to write one')
    await write('s3/README.md', '# How to write one')
    await write('s3/notes.txt', 'x')
    await write('.git/x.md', 'x')
    const result = await loadPlaybooks(dir, { commands })
    expect(result.ok && result.playbooks.map((p) => p.id)).toEqual(['kafka/a', 's3/b'])
  })

  it('lists the faults of all files at once, by file and line', async () => {
    await write('b/x.md', text('{}').replace('me', '[1]'))
    await write('a/x.md', text('{ a: /(/ }'))
    await write('a/deep/er.md', text('{ alertname: B }').replace('## Look', ''))
    await write('stray.md', 'x')
    const lines = (await problems()).split('\n').map((line) => line.split(': ')[0])
    expect(lines).toEqual([
      'a/deep/er.md',
      'a/deep/er.md:8',
      'a/x.md:3',
      'b/x.md:3',
      'b/x.md:5',
      'stray.md',
      'stray.md:1',
      'stray.md:1',
    ])
  })

  it('names both of two playbooks that one alert could match equally well', async () => {
    await write('a/x.md', text('{ alertname: A, topic: /o.*/ }'))
    await write('b/y.md', text('{ alertname: A, topic: /.*s/ }'))
    await write('c/z.md', text('{ alertname: A, topic: orders }'))
    const what = 'one alert can match this playbook and'
    const rest = ', and neither is more specific. Add a label to the "match" of one of them.'
    expect(await problems()).toBe(`a/x.md:3: ${what} b/y.md:3${rest}\nb/y.md:3: ${what} a/x.md:3${rest}`)
  })

  it('refuses a link that leads out, nowhere or to a folder, and follows one that stays inside', async () => {
    await writeFile(join(root, 'secret.md'), text('{ alertname: S }'))
    await write('a/real.md', text('{ alertname: A }'))
    await mkdir(join(dir, '..data'))
    await writeFile(join(dir, '..data', 'mounted.md'), text('{ alertname: M }'))
    await symlink(join(dir, '..data', 'mounted.md'), join(dir, 'a', 'mounted.md'))
    expect(await problems()).toBe('')
    await symlink(join(root, 'secret.md'), join(dir, 'a', 'out.md'))
    await symlink(join(root, 'none.md'), join(dir, 'a', 'nowhere.md'))
    await symlink(root, join(dir, 'b'))
    await symlink(join(dir, 'a'), join(dir, 'c'))
    const found = (await problems()).split('\n').map((line) => line.split('.')[0] + (/: [^.]*/.exec(line)?.[0] ?? ''))
    expect(found).toEqual([
      'a/nowhere: the link leads nowhere',
      'a/out: the link leads out of the playbooks',
      'b: the link leads out of the playbooks: the link leads out of the playbooks',
      'c: this is not a file: this is not a file',
    ])
  })

  it('refuses a file that is too large or is not UTF-8, and a directory that is not there', async () => {
    await write('a/big.md', 'x'.repeat(64 * 1024 + 1))
    await write('a/latin.md', new Uint8Array([0x2d, 0xe9, 0x0a]))
    expect(await problems()).toBe(
      'a/big.md: the file is larger than 64 KiB. Split it into several playbooks.\n' +
        'a/latin.md: the file is not UTF-8. Save it as UTF-8.',
    )
    const missing = await loadPlaybooks(join(dir, 'none'), { commands })
    expect(missing.ok || formatFaults(missing.faults)).toContain('there is no such directory')
  })

  it('takes every playbook that is shipped', async () => {
    const result = await loadPlaybooks(join(import.meta.dirname, '../../playbooks'), { commands: shipped })
    expect(result.ok ? '' : formatFaults(result.faults)).toBe('')
    expect(result.ok && result.playbooks.length).toBeGreaterThanOrEqual(6)
  })

  it('finds the example of the README to be right', async () => {
    const readme = await readFile(join(import.meta.dirname, '../../playbooks/README.md'), 'utf8')
    await write('postgres/example.md', /````markdown\n([\s\S]*?)````/.exec(readme)![1]!)
    const result = await loadPlaybooks(dir, { commands: shipped })
    expect(result.ok ? '' : formatFaults(result.faults)).toBe('')
  })
})
