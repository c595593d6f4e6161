import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { commands } from '../../commands/index.ts'
import { sentenceOf } from '../../src/pipeline/told.ts'
import { openRig, type Rig } from '../chaos/executor-rig.ts'
import { EXECUTORS } from '../chaos/executors.ts'
import type { SqlMischief } from '../chaos/sql-tap.ts'
import { type Mischief, startMischief } from '../harness/mischief.ts'
import { READERS } from './reads.ts'
import { replyOf, rowsOf } from './replies.ts'

const LINES = { ...READERS, ...EXECUTORS }
let rig: Rig
let proxy: Awaited<ReturnType<typeof startMischief>>
beforeAll(async () => {
  rig = await openRig(LINES, commands, {
    reply: replyOf,
    rows: rowsOf,
    between: async (origin) => {
      proxy = await startMischief(origin)
      return proxy
    },
  })
})
afterAll(async () => {
  await rig.stop()
  await proxy.close()
})

type Outcome = Awaited<ReturnType<Rig['call']>>
/** Kinds that have no web between: their own tests break their wires. */
const OWN_WIRE = ['kafka', 'postgres', 'script', 'network']
/** They show what they were answered, word for word. */
const VERBATIM = ['http.get', 'http.graphql', 'http.request']
/** What a page answers is what they are asked. */
const PROBES = ['machines.urls']
/** AWS does what carries the same token once, however often it is sent. */
const TOKENED = ['redshift.copy']
/** What no person may read. */
const RAW =
  /Zod|invalid_type|Cannot read prop|is not a function|is not iterable|Unexpected (token|end|non)|in JSON at|\bundefined\b|\[object |(?<!\()\bE(CONN|PIPE)|socket hang up|fetch failed|<html|<\?xml|\bNaN\b|deserializ/i
const CLEAR = /^(No |Every |All \d|Nothing|None |0 )(?!.*(not known|unknown))/s

const textOf = (one: Outcome): string =>
  one.fault ? sentenceOf(one.fault) : one.evidence ? JSON.stringify(one.evidence) : `${one.message}`
const changesOf = (id: string, one: Outcome) => one.asked.filter(({ shape }) => LINES[id]![2].test(shape)).length

const IDS = Object.keys(LINES).filter((id) => !OWN_WIRE.includes(LINES[id]![0]))
const LOOKS = IDS.filter((id) => id in READERS)
const CHANGES = IDS.filter((id) => id in EXECUTORS)
const baselines = new Map<string, Outcome>()
async function baseline(id: string): Promise<Outcome> {
  proxy.rest()
  const known = baselines.get(id)
  if (known) return known
  const one = await rig.call(id, LINES[id]![1])
  if (one.fault) throw one.fault
  baselines.set(id, one)
  return one
}
async function under(id: string, mischief: Mischief, more: Parameters<typeof proxy.play>[1] = {}): Promise<Outcome> {
  proxy.play(mischief, more)
  const one = await rig.call(id, LINES[id]![1])
  proxy.rest()
  expect([id, mischief, textOf(one)]).toEqual([id, mischief, expect.not.stringMatching(RAW)])
  return one
}

it('every command is in the table, but for those with a wire of their own', () => {
  const missing = commands.filter((c) => !(c.id in LINES)).map((c) => c.id)
  expect(missing.filter((id) => !OWN_WIRE.includes(id.split('.')[0]!))).toEqual([])
})

describe.each(LOOKS)('%s', (id) => {
  it.each(['throttled', 'unavailable', 'expired', 'lost', 'partial'] as const)(
    'finds the same or says in a sentence that it could not look, when twice an answer is %s',
    async (mischief) => {
      const usual = await baseline(id)
      const one = await under(id, mischief)
      if (!one.fault && !PROBES.includes(id) && JSON.stringify(one.evidence) !== JSON.stringify(usual.evidence))
        expect([textOf(one), CLEAR.test(one.evidence!.summary)]).toEqual([
          expect.stringMatching(/could not|cannot|not be read|answered|did not|no answer|unknown|not known|left out/i),
          CLEAR.test(usual.evidence!.summary),
        ])
    },
  )
  it.each(['slow', 'extra'] as const)('finds the same when answers are %s', async (mischief) => {
    const usual = await baseline(id)
    const one = await under(id, mischief)
    if (mischief === 'extra' && VERBATIM.includes(id)) expect(one.evidence?.summary).toBe(usual.evidence?.summary)
    else expect(textOf(one)).toEqual(textOf(usual))
  })
  it.each([0, 1, 2])('takes null for what it is, and for no all-clear (third %i of all values)', async (shift) => {
    const usual = await baseline(id)
    const one = await under(id, 'nulls', { shift })
    if (!one.fault && !CLEAR.test(usual.evidence!.summary)) expect(one.evidence!.summary).not.toMatch(CLEAR)
  })
  it('takes a state that nobody knows for no all-clear', async () => {
    const usual = await baseline(id)
    const one = await under(id, 'unknown')
    if (!one.fault && !CLEAR.test(usual.evidence!.summary)) expect(one.evidence!.summary).not.toMatch(CLEAR)
  })
})

describe.each(CHANGES)('%s', (id) => {
  it.each(['throttled', 'unavailable', 'expired', 'lost', 'partial'] as const)(
    'does the same or says in a sentence why not, when twice an answer to its plan is %s',
    async (mischief) => {
      const usual = await baseline(id)
      const one = await under(id, mischief)
      if (!one.fault) expect(one.message).toBe(usual.message)
      if (!TOKENED.includes(id)) expect(changesOf(id, one)).toBeLessThanOrEqual(changesOf(id, usual))
    },
  )
  it.each(['throttled', 'unavailable', 'expired', 'lost', 'partial'] as const)(
    'ends as it would have, when answers after the change are %s',
    async (mischief) => {
      const usual = await baseline(id)
      const one = await under(id, mischief, { on: () => rig.hasChanged() })
      // These connections have a token that nobody can buy anew; whoever's can be has a test of its own.
      if (mischief !== 'expired' || !one.fault) expect([id, textOf(one)]).toEqual([id, textOf(usual)])
      if (one.fault) expect(changesOf(id, one)).toBeLessThanOrEqual(changesOf(id, usual))
      else expect(changesOf(id, one)).toBe(changesOf(id, usual))
    },
  )
  it('ends as it would have, when twice it is shown what was there before the change', async () => {
    const usual = await baseline(id)
    const one = await under(id, 'stale', { on: () => rig.hasChanged() })
    if (!one.fault) expect(one.message).toBe(usual.message)
    expect(changesOf(id, one)).toBeLessThanOrEqual(changesOf(id, usual))
  })
  it.each(['slow', 'extra'] as const)('does the same when answers are %s', async (mischief) => {
    const usual = await baseline(id)
    const one = await under(id, mischief)
    if (mischief === 'extra' && VERBATIM.includes(id)) expect(one.fault).toBeUndefined()
    else expect(textOf(one)).toBe(textOf(usual))
  })
  it.each([0, 1, 2])('does nothing else when a third of all values is null (%i)', async (shift) => {
    const usual = await baseline(id)
    const one = await under(id, 'nulls', { shift })
    expect(changesOf(id, one)).toBeLessThanOrEqual(changesOf(id, usual))
  })
  it('takes a state that nobody knows for no success', async () => {
    await baseline(id)
    await under(id, 'unknown')
  })
})

describe.each(Object.keys(LINES).filter((id) => ['postgres', 'redshift'].includes(LINES[id]![0])))(
  '%s, over its database',
  (id) => {
    const isLook = id in READERS
    const played = async (kind: SqlMischief, more: Parameters<Rig['sql']['play']>[1] = {}) => {
      const usual = await baseline(id)
      rig.sql.play(kind, more)
      const one = await rig.call(id, LINES[id]![1])
      rig.sql.play(null)
      expect([id, kind, textOf(one)]).toEqual([id, kind, expect.not.stringMatching(RAW)])
      return { usual, one }
    }
    it.each(['starting', 'full', 'lost'] as const)(
      'does the same or says why not, when twice it is %s',
      async (kind) => {
        const { usual, one } = await played(kind)
        if (!one.fault) expect(textOf(one)).toBe(textOf(usual))
        if (!isLook && !TOKENED.includes(id)) expect(changesOf(id, one)).toBeLessThanOrEqual(changesOf(id, usual))
      },
    )
    it.each([0, 1, 2])('takes null for no all-clear and no leave (%i)', async (shift) => {
      const { usual, one } = await played('nulls', { shift })
      if (isLook && !one.fault && !CLEAR.test(usual.evidence!.summary)) expect(one.evidence!.summary).not.toMatch(CLEAR)
      if (!isLook) expect(changesOf(id, one)).toBeLessThanOrEqual(changesOf(id, usual))
    })
  },
)
