import { readdir, readFile } from 'node:fs/promises'
import { beforeAll, describe, expect, it } from '@jest/globals'
import type { LogEntry } from '../../src/sandbox/slack/state.ts'
import { ADA, GUS, startWorld } from '../e2e/world.ts'
import { CRASH, crash } from './crash.ts'
import { check } from './crash-checker.ts'
import type { Seen } from './crash-seen.ts'
import { Violation } from './violation.ts'

/** One world with its five crashes takes half a minute on two cores that do nothing else. */
const PATIENCE = 240_000

let seen: Seen
beforeAll(async () => {
  for (let seed = 1; seed <= CRASH.short; seed += 1) seen = await crash(seed)
}, PATIENCE)

type Json = Record<string, unknown>
const edit = (log: readonly LogEntry[], is: (e: LogEntry) => boolean, by: (e: LogEntry) => LogEntry[]): LogEntry[] =>
  log.flatMap((e) => (is(e) ? by(e) : [e]))
const says = (e: LogEntry, text: string) => String(e.args?.text).startsWith(text)
const submits = (e: LogEntry, verdict: string, user?: string) => {
  const { view, user: by } = (e.args ?? {}) as { view?: Json; user?: { id: string } }
  const is = e.name === 'view_submission' && String(view?.private_metadata).includes(`"verdict":"${verdict}"`)
  return is && (user === undefined || by?.id === user)
}
const isRoot = (e: LogEntry) => e.name === 'chat.postMessage' && JSON.stringify(e.args).includes('"root')

/** What a broken Keyturn would leave behind, made of what a sound one did. */
const LIES: readonly (readonly [string, RegExp, (s: Seen) => Partial<Seen>])[] = [
  [
    'an accepted alert has no thread',
    /0 threads of/,
    (s) => ({ sent: [...s.sent, { at: 0, summary: 'Lost in space.', status: 'firing', answer: 200 }] }),
  ],
  ['a thread was posted twice', /2 threads of/, (s) => ({ slack: [...s.slack, s.slack.find(isRoot)!] })],
  [
    'a card was posted twice',
    /was posted 2 times/,
    (s) => ({ slack: [...s.slack, s.slack.find((e) => says(e, 'Succeeded') && e.name === 'chat.postMessage')!] }),
  ],
  [
    'one of two people did not press',
    /with 0 approved plans/,
    (s) => ({ slack: s.slack.filter((e) => !submits(e, 'approve', ADA)) }),
  ],
  [
    'people pressed after the effect',
    /with 0 approved plans/,
    (s) => ({ changes: s.changes.map((c) => ({ ...c, at: 0 })) }),
  ],
  [
    'a guest counted',
    /with 0 approved plans/,
    (s) => ({
      slack: edit(
        s.slack,
        (e) => submits(e, 'approve', ADA),
        (e) => [{ ...e, args: { ...e.args, user: { id: GUS } } }],
      ),
    }),
  ],
  ['an effect came twice', /had 2 effects by one grant/, (s) => ({ changes: s.changes.flatMap((c) => [c, c]) })],
  [
    'an effect was never on a card',
    /that no card showed/,
    (s) => ({ changes: [...s.changes, { ...s.changes[0]!, key: 'f'.repeat(32) }] }),
  ],
  [
    'two effects met on one target',
    /at once/,
    (s) => {
      const [one, other] = [...Map.groupBy(s.changes, (c) => c.key).values()]
      const meet = [one![0]!, other![0]!, one![1]!, other![1]!].map((c) => ({ ...c, room: one![0]!.room }))
      const room = (text: string) => text.replaceAll(`/rooms/${other![0]!.room}/`, `/rooms/${one![0]!.room}/`)
      return { changes: meet, slack: JSON.parse(room(JSON.stringify(s.slack))) }
    },
  ],
  ['an effect came into a freeze', /into a freeze/, () => ({ freezes: [{ from: 0, to: Number.POSITIVE_INFINITY }] })],
  [
    'an effect came after the end',
    /an effect on .* after "/,
    (s) => ({
      slack: edit(
        s.slack,
        (e) => says(e, 'Waiting for a decision'),
        (e) => [
          e,
          { ...e, at: 0, name: 'chat.update', args: { ...e.args, ts: e.args?.ts ?? e.response?.ts, text: 'Expired' } },
        ],
      ),
    }),
  ],
  ['a run says succeeded without an effect', /without an effect/, () => ({ changes: [] })],
  [
    'a run says failed with an effect',
    /says "Failed/,
    (s) => ({
      slack: edit(
        s.slack,
        (e) => says(e, 'Succeeded: ') && String(e.args?.text).includes('answered'),
        (e) => [{ ...e, args: { ...e.args, text: 'Failed: no reason' } }],
      ),
    }),
  ],
  [
    'a card still waits in the end',
    /in limbo after the heal/,
    (s) => ({ slack: s.slack.filter((e) => !(says(e, 'Succeeded') && e.name === 'chat.update')) }),
  ],
  [
    'a thread does not say what was sent last',
    /in limbo after the heal: .* root: /,
    (s) => ({ sent: [...s.sent, { ...s.sent[0]!, status: 'resolved' as const, answer: 200 }] }),
  ],
  [
    'a click counted twice',
    /counts 2 times/,
    (s) => ({ entries: s.entries.flatMap((e) => (e.event.type === 'proposal.decided' ? [e, e] : [e])) }),
  ],
  [
    'an accepted click is in no journal',
    /is in no journal/,
    (s) => ({ entries: s.entries.filter((e) => e.event.type !== 'proposal.decided') }),
  ],
  [
    'a decision was never pressed',
    /nobody pressed/,
    (s) => ({
      entries: s.entries.flatMap((e) =>
        e.event.type === 'proposal.decided'
          ? [e, { ...e, event: { ...e.event, decision: { ...e.event.decision, user: 'U0NOBODY' } } }]
          : [e],
      ),
    }),
  ],
  ['the journal was cut', /does not verify/, (s) => ({ entries: s.entries.slice(1) })],
  ['the journal does not verify offline', /does not verify/, () => ({ verified: { code: 1, out: '' } })],
]

describe('killed at the most telling points, with alerts in flight and people pressing', () => {
  it('Keyturn loses nothing, does nothing twice, and says what is true', () => {
    expect(seen.changes.length).toBeGreaterThan(0)
    expect(() => check(seen)).not.toThrow()
  })

  it.each(LIES)('it would be found out that %s', (_what, told, lie) => {
    const broken = { ...seen, ...lie(seen) }
    expect(() => check(broken)).toThrow(Violation)
    expect(() => check(broken)).toThrow(told)
  })
})

describe('a normal build', () => {
  it('has no points: no file of the program knows of them, and nothing loads them', async () => {
    const root = new URL('../../', import.meta.url)
    const files = await Promise.all(
      ['src', 'commands'].map(async (folder) =>
        (await readdir(new URL(folder, root), { recursive: true })).map((file) => `${folder}/${file}`),
      ),
    )
    for (const file of ['package.json', 'Dockerfile', ...files.flat().filter((f) => f.endsWith('.ts'))]) {
      const text = await readFile(new URL(file, root), 'utf8')
      expect([file, /crash-preload|from '[./]*test\/|--import|process\.on\('message'/.exec(text)?.[0]]).toEqual([
        file,
        undefined,
      ])
    }
  })

  it('goes on when it is told to die at one', async () => {
    const ended: string[] = []
    const w = await startWorld({
      playbooks: {},
      connections: {},
      node: ['--no-warnings'],
      spawned(role, child) {
        child.send({ seam: 'after append incident.opened', times: 1 })
        child.once('exit', () => ended.push(role))
      },
    })
    try {
      expect(await w.alert([{ labels: { alertname: 'Strange' } }])).toBe(200)
      await w.see('root', (m) => m.text.startsWith('Strange: firing'))
      expect(ended).toEqual([])
    } finally {
      await w.stop()
    }
  })
})
