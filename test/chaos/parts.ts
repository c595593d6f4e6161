import { signedGrant } from '../../bench/grant.ts'
import { audit } from '../../src/audit.ts'
import { type Entry, genesis, seal } from '../../src/domain/event.ts'
import { type Grant, verifyGrant } from '../../src/domain/grant.ts'
import { authorise } from './authorisation.ts'
import { createCanaryPart } from './canary.ts'
import { storm } from './clicks.ts'
import { simulateCore } from './core.ts'
import { simulateMany } from './core-threads.ts'
import { createDeliveryPart } from './delivery.ts'
import { createExecutorsPart } from './executors.ts'
import { forgeJob } from './forged-jobs.ts'
import { callNobody, takeRetries, trustSignature } from './guards.ts'
import { hostileCards } from './hostile-cards.ts'
import { createHalfOpenPart, createIngestPart } from './ingest.ts'
import { runAway } from './runaway.ts'
import { type Random, randomOf } from './scheduler.ts'
import { simulate } from './simulation.ts'
import { Violation } from './violation.ts'

/** One part of the suite: `run` throws Violation when a promise does not hold under this seed. */
export type Part = Readonly<{
  name: string
  /** What a seed stands for. */
  unit: string
  /** How many seeds the tests run, and how many `npm run chaos` does. */
  short: number
  long: number
  run(seed: number): Promise<unknown> | unknown
  /** The same for many seeds from the first on, where that is faster; gives a figure of them. */
  many?(from: number, seeds: number): Promise<string>
  /** Closes what the part has opened; throws Violation for what shows over many seeds only, or gives its figures. */
  close?(): Promise<string>
}>

/** To add a part is one line here. */
export const PARTS: readonly Part[] = [
  {
    name: 'pipeline',
    unit: 'schedules of bots, workers, people, crashes and a moving target',
    short: 120,
    long: 20_000,
    run: simulate,
  },
  {
    name: 'rules',
    unit: 'schedules of the rules alone, on a virtual clock, with faults',
    short: 1000,
    long: 1_000_000,
    run: (seed) => simulateCore(seed),
    many: async (from, seeds) => `${await simulateMany(from, seeds)} runs started`,
  },
  { name: 'cards', unit: 'labels that call people', short: 200, long: 20_000, run: (seed) => callNobody(seed) },
  {
    name: 'signatures',
    unit: 'requests signed at odd times, or forged',
    short: 300,
    long: 100_000,
    run: (seed) => trustSignature(seed),
  },
  { name: 'retries', unit: 'events that Slack sends again', short: 20, long: 2000, run: (seed) => takeRetries(seed) },
  { name: 'grants', unit: 'forged or altered grants', short: 400, long: 10_000, run: forgeGrant },
  {
    name: 'journals',
    unit: 'edits, deletions, moves and cut tails of a journal',
    short: 400,
    long: 10_000,
    run: tamper,
  },
  {
    name: 'authorisation',
    unit: 'presses by people, policies, channels, states and times of chance, against an independent oracle',
    short: 1200,
    long: 200_000,
    run: authorise,
  },
  { name: 'jobs', unit: 'forged or altered jobs in every state', short: 1000, long: 50_000, run: forgeJob },
  { name: 'ingest', unit: 'mutated webhook bodies', short: 1000, long: 100_000, ...createIngestPart() },
  {
    name: 'half-open',
    unit: 'healthy requests beside 500 half-open connections',
    short: 20,
    long: 2000,
    ...createHalfOpenPart(),
  },
  {
    name: 'delivery',
    unit: 'storms of threads through a Slack that is down, slow to say yes, and forgets to answer',
    short: 2,
    long: 60,
    ...createDeliveryPart(),
  },
  {
    name: 'clicks',
    unit: 'storms of a hundred clicks on two bots, and their replays',
    short: 3,
    long: 500,
    run: storm,
  },
  {
    name: 'executors',
    unit: 'hostile parameters through every command that changes something',
    short: 300,
    long: 20_000,
    ...createExecutorsPart(),
  },
  {
    name: 'canaries',
    unit: 'secrets in labels, output, errors, addresses and reasons',
    short: 60,
    long: 5000,
    ...createCanaryPart(),
  },
  {
    name: 'text',
    unit: 'incidents with hostile text in every place, as cards',
    short: 100,
    long: 10_000,
    run: hostileCards,
  },
  { name: 'runaway', unit: 'scripts that will not end', short: 6, long: 300, run: runAway },
]

const { grant: good, wanted } = signedGrant()

/** Changes one thing in JSON: a string, a number, an element of a list. */
function alter(random: Random, value: unknown): unknown {
  if (typeof value === 'string') {
    const at = random.below(value.length + 1)
    return random.chance(0.5) ? `${value.slice(0, at)}x${value.slice(at)}` : value.slice(0, at) + value.slice(at + 1)
  }
  if (typeof value === 'number') return value + 1
  if (Array.isArray(value)) {
    if (value.length === 0 || random.chance(0.2)) return [...value, ...value]
    const at = random.below(value.length)
    return random.chance(0.2) ? value.toSpliced(at, 1) : value.with(at, alter(random, value[at]))
  }
  if (typeof value === 'object' && value !== null) {
    const name = random.pick(Object.keys(value))
    return { ...value, [name]: alter(random, (value as Record<string, unknown>)[name]) }
  }
  return value === null ? 'x' : null
}

function forgeGrant(seed: number): void {
  const forged = alter(randomOf(seed), good) as Grant
  if (JSON.stringify(forged) === JSON.stringify(good)) return
  let verdict: unknown
  try {
    verdict = verifyGrant(forged, wanted)
  } catch (error) {
    // What does not even have a grant's shape never comes to be verified: the journal's schema refuses it.
    verdict = error
  }
  if (verdict === null) throw new Violation(`a grant holds that nobody gave: ${JSON.stringify(forged)}`)
}

const ID = 'aaaaaaaaaaaa-1'
const written = (() => {
  let prev = genesis(ID)
  return Array.from({ length: 30 }, (_, i): Entry => {
    const at = new Date(Date.parse('2026-11-21T03:00:00.000Z') + i * 1000).toISOString()
    const entry = seal({
      incident: ID,
      seq: i + 1,
      at,
      op: `op-${i}`,
      event: { type: 'alerts.changed', alerts: [], truncated: i },
      prev,
    })
    prev = entry.hash
    return entry
  })
})()
const heads = new Map([[ID, written.at(-1)!.hash]])

function tamper(seed: number): void {
  const random = randomOf(seed)
  const at = random.below(written.length)
  const other = random.below(written.length)
  const reseal = ({ hash: _, ...entry }: Entry) => seal({ ...entry, op: 'forged' })
  const changed = random.pick([
    () => written.with(at, alter(random, written[at]) as Entry),
    () => written.toSpliced(at, 1),
    () => written.with(at, written[other]!).with(other, written[at]!),
    () => written.slice(0, at),
    () => written.toSpliced(at, 0, written[other]!),
    () => written.with(at, reseal(written[at]!)),
    () => {
      // Everything from here on sealed anew: sound in itself, and found by the head that was posted.
      let prev = written[at]!.prev
      return written.map((entry, i) => {
        if (i < at) return entry
        const { hash: _, ...rest } = entry
        const sealed = seal({ ...rest, op: `forged-${i}`, prev })
        prev = sealed.hash
        return sealed
      })
    },
  ])()
  if (JSON.stringify(changed) === JSON.stringify(written)) return
  if (audit(new Map([[ID, changed]]), heads).sound) throw new Violation('a changed journal verifies')
}
