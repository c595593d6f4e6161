import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { jsonLine } from '../src/audit.ts'
import { type Entry, genesis, seal } from '../src/domain/event.ts'
import { createJournal } from '../src/redis/journal.ts'
import { incidentId } from '../src/redis/keys.ts'
import { endProgram, freePort, startProgram } from '../src/sandbox/processes.ts'

const MAIN = new URL('../src/main.ts', import.meta.url).pathname
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyturn-main-'))
  await mkdir(join(folder, 'playbooks/x'), { recursive: true })
  await writeFile(
    join(folder, 'keyturn.yaml'),
    'slack: { channels: { default: C0000 } }\nhttp: { port: 0 }\nplaybooks: { directory: playbooks }\n',
  )
})
afterAll(() => rm(folder, { recursive: true }))

async function keyturn(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number | null; out: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (out += chunk))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, out }
}
const STACK = /\n\s+at /

describe('keyturn', () => {
  it('without a verb it knows says how to use it', async () => {
    for (const args of [[], ['nonsense'], ['journal']]) {
      const { code, out } = await keyturn(args)
      expect(code).toBe(1)
      expect(out).toContain('keyturn bot | worker | start')
      expect(out).not.toMatch(STACK)
    }
  })

  it('says how to use it when asked', async () => {
    for (const ask of ['--help', '-h']) {
      const { code, out } = await keyturn([ask])
      expect([code, out]).toEqual([0, expect.stringContaining('keyturn bot | worker | start')])
    }
  })

  it('refuses an option that it does not know, without a stack', async () => {
    const { code, out } = await keyturn(['check', '--what'])
    expect(code).toBe(1)
    expect(out).toContain('--what')
    expect(out).not.toMatch(STACK)
  })

  it('keys prints a pair of which one signs and the other verifies', async () => {
    const { out } = await keyturn(['keys'])
    expect(out).toMatch(/^KEYTURN_PRIVATE_KEY=\S+\nKEYTURN_PUBLIC_KEY=\S+\n$/)
    const { createPrivateKey, createPublicKey, sign, verify } = await import('node:crypto')
    const [priv, pub] = [...out.matchAll(/=(\S+)/g)].map((m) => Buffer.from(m[1]!, 'base64'))
    const text = Buffer.from('x')
    const signature = sign(null, text, createPrivateKey({ key: priv!, format: 'der', type: 'pkcs8' }))
    expect(verify(null, text, createPublicKey({ key: pub!, format: 'der', type: 'spki' }), signature)).toBe(true)
  })

  it('check names the faults of the playbooks by file and line, and is silent about sound ones', async () => {
    expect(await keyturn(['check'])).toMatchObject({ code: 0 })
    await writeFile(
      join(folder, 'playbooks/x/bad.md'),
      '---\ntitle: T\nmatch: { a: b }\ngroup_by: []\nowner: o\n---\nText\n\n## 1. Do\n```yaml no.such-command\n```\n',
    )
    const { code, out } = await keyturn(['check'])
    await rm(join(folder, 'playbooks/x/bad.md'))
    expect(code).toBe(1)
    expect(out).toMatch(/^playbooks\/x\/bad\.md:10: .*no\.such-command/m)
    expect(out).not.toMatch(STACK)
  })

  it('says which file is not there', async () => {
    const { code, out } = await keyturn(['check', '--config', 'other.yaml'])
    expect([code, out]).toEqual([1, expect.stringContaining('other.yaml: cannot be read. Copy keyturn.example.yaml')])
  })

  it('names every variable that is not set, at once, before it starts', async () => {
    const { code, out } = await keyturn(['start'])
    expect(code).toBe(1)
    for (const variable of [
      'REDIS_URL',
      'KEYTURN_PRIVATE_KEY',
      'KEYTURN_PUBLIC_KEY',
      'SLACK_BOT_TOKEN',
      'SLACK_APP_TOKEN',
    ])
      expect(out).toContain(`set the environment variable ${variable}`)
  })
})

describe('a start', () => {
  const withRedis = async (settings: string[], test: (url: string) => Promise<void>) => {
    const port = await freePort()
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', ...settings]
    const redis = await startProgram('redis-server', args, { ready: 'Ready to accept' })
    await test(`redis://127.0.0.1:${port}`).finally(() => endProgram(redis, 'SIGKILL'))
  }
  const worker = async (url: string, ...more: string[]) => {
    const { out } = await keyturn(['keys'])
    const key = /KEYTURN_PUBLIC_KEY=(\S+)/.exec(out)![1]!
    return [['worker', ...more], { REDIS_URL: url, KEYTURN_PUBLIC_KEY: key }] as [string[], Record<string, string>]
  }

  it('is refused on a Redis that could lose what was accepted, with what to set', async () => {
    await withRedis(['--appendonly', 'no', '--maxmemory-policy', 'allkeys-lru'], async (url) => {
      const { code, out } = await keyturn(...(await worker(url)))
      expect(code).toBe(1)
      expect(out).toContain('set `appendonly yes`')
      expect(out).toContain('set `maxmemory-policy noeviction`')
      expect(out).not.toMatch(STACK)
    })
  })

  it('goes on with a warning when told so, and SIGTERM ends it cleanly', async () => {
    await withRedis(['--appendonly', 'no'], async (url) => {
      const [args, env] = await worker(url, '--allow-volatile-redis')
      const child = await startProgram(process.execPath, [MAIN, ...args, '--config', join(folder, 'keyturn.yaml')], {
        env: { PATH: process.env.PATH, ...env },
        ready: 'worker is up',
      })
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      expect(await gone).toEqual([0, null])
    })
  })

  it('is not needed to ask what the playbooks were good for', async () => {
    await withRedis([], async (url) => {
      const empty = await keyturn(['coverage'], { REDIS_URL: url })
      expect(empty.out).toMatch(/^Since \d{4}-\d\d-\d\d: 0 incidents, 0 of them with a playbook.\n/)
      const [redis, subscriber] = [new Redis(url), new Redis(url)]
      const journal = createJournal({ redis, subscriber, clock: Date.now })
      const opened = { title: 'Disk', severity: 'page', channel: 'default', playbook: null } as const
      await journal.append(incidentId('g', 1), 0, 'open', [{ type: 'incident.opened', group: 'g', ...opened }])
      for (const client of [redis, subscriber]) client.disconnect()
      const { code, out } = await keyturn(['coverage', '--days', '7'], { REDIS_URL: url })
      expect([code, out]).toEqual([0, expect.stringContaining('No playbook matched:\n  Disk: 1, the last on ')])
    })
    const { code, out } = await keyturn(['coverage', '--days', '1e9'], { REDIS_URL: 'redis://127.0.0.1:1' })
    expect([code, out]).toEqual([1, '--days 1e9: write a whole number of days, such as 90.\n'])
  })

  it('is not needed to ask for an incident that there is not', async () => {
    await withRedis([], async (url) => {
      for (const args of [
        ['journal', 'export', 'nosuch'],
        ['approve', 'aaaaaaaaaaaa-9', 'p1'],
      ]) {
        const { code, out } = await keyturn(args, { REDIS_URL: url })
        expect([code, out]).toEqual([1, expect.stringContaining('there is no such incident')])
        expect(out).not.toMatch(STACK)
      }
    })
  })

  it('says that Redis is not there, without a stack', async () => {
    const [args, env] = await worker(`redis://127.0.0.1:${await freePort()}`)
    const { code, out } = await keyturn(args, env)
    expect(code).toBe(1)
    expect(out).toMatch(/Redis/)
    expect(out).not.toMatch(STACK)
  })
})

describe('journal verify', () => {
  const entriesOf = (incident: string): Entry[] => {
    let prev = genesis(incident)
    return Array.from({ length: 8 }, (_, i) => {
      const entry = seal({
        incident,
        seq: i + 1,
        at: `2026-01-02T03:04:0${i}.000Z`,
        op: `op${i}`,
        event: { type: 'alerts.changed', alerts: [], truncated: i },
        prev,
      })
      prev = entry.hash
      return entry
    })
  }
  const [A, B] = ['aaaaaaaaaaaa-1', 'bbbbbbbbbbbb-1']
  const verify = async (lines: readonly (Entry | string)[], ...more: string[]) => {
    const file = join(folder, 'journal.jsonl')
    await writeFile(file, lines.map((l) => (typeof l === 'string' ? l : JSON.stringify(l))).join('\n'))
    return keyturn(['journal', 'verify', file, ...more])
  }
  const both = [...entriesOf(A), ...entriesOf(B)]

  it('needs neither Redis nor a configuration, and prints the heads', async () => {
    const { code, out } = await verify(both, '--config', 'nowhere.yaml')
    expect([code, out]).toEqual([
      0,
      `${A}: 8 entries, head ${both[7]!.hash}\n${B}: 8 entries, head ${both[15]!.hash}\n`,
    ])
  })

  it.each<[string, (all: Entry[]) => (Entry | string)[], string]>([
    [
      'an edited entry',
      (all) => all.with(3, { ...all[3]!, at: '2026-01-02T09:09:09.000Z' }),
      'entry 4 was changed after it was written',
    ],
    ['a deleted entry', (all) => all.toSpliced(3, 1), 'entry 4 has number 5 in place 4'],
    [
      'two entries that changed places',
      (all) => all.with(3, all[4]!).with(4, all[3]!),
      'entry 4 has number 5 in place 4',
    ],
    ['an entry of another incident', (all) => all.with(3, { ...both[11]!, incident: A }), 'entry 4'],
    [
      'an entry that was sealed anew, since the next one does not follow it',
      (all) => {
        const { hash: _, ...entry } = all[3]!
        return all.with(3, seal({ ...entry, op: 'other' }))
      },
      'entry 5 does not follow the entry before it',
    ],
    ['a line that is not JSON', (all) => [...all, '{"incident":'], 'line 9'],
    ['a line that is no entry', (all) => [...all, '{"x":1}'], 'line 9'],
    ['that everything was taken out', () => [], 'there is no journal in it'],
  ])('finds %s', async (_what, change, fault) => {
    const { code, out } = await verify(change(entriesOf(A)))
    expect(code).toBe(1)
    expect(out).toContain(fault)
    expect(out).not.toMatch(STACK)
  })

  it('prints no line that somebody wrote into the file, and nothing that a terminal obeys', async () => {
    const lie = `x\n${A}: 8 entries, head sha256:00\u001b[2J\u009b2J`
    const { code, out } = await verify(entriesOf(A).map((entry) => ({ ...entry, incident: lie })))
    expect(code).toBe(1)
    expect(out.trim().split('\n')).toHaveLength(1)
    expect(out).not.toMatch(/[^\P{Cc}\n]/u)
  })

  it('takes what an export has made harmless for a terminal as it was written', async () => {
    const { hash: _, ...first } = entriesOf(A)[0]!
    const lie = seal({ ...first, op: 'a\u001b[2J\u009b2J\u202eb\u{e0041}c\u2028' })
    const text = jsonLine(lie)
    expect(text).not.toMatch(/[^\x20-\x7e]/)
    expect(JSON.parse(text)).toEqual(lie)
    expect(await verify([text])).toMatchObject({ code: 0 })
  })

  it('finds a tail that was cut off, by a head that was posted in the thread', async () => {
    const head = `${A}=${both[7]!.hash}`
    expect(await verify(entriesOf(A), '--head', head)).toMatchObject({ code: 0 })
    const cut = await verify(entriesOf(A).slice(0, 5), '--head', head)
    expect([cut.code, cut.out]).toEqual([1, expect.stringContaining(`${A}: no entry has the hash ${both[7]!.hash}`)])
    const gone = await verify(entriesOf(B), '--head', head)
    expect([gone.code, gone.out]).toEqual([1, expect.stringContaining(`${A}: there is no such journal`)])
  })
})
