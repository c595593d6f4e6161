import { generateKeyPairSync } from 'node:crypto'
import type { Alert } from '../../src/domain/alert.ts'
import * as decide from '../../src/domain/decide.ts'
import type { Entry, Happening } from '../../src/domain/event.ts'
import { evolve } from '../../src/domain/evolve.ts'
import * as freeze from '../../src/domain/freeze.ts'
import type { Incident } from '../../src/domain/incident.ts'
import * as notice from '../../src/domain/notice.ts'
import type { Playbook } from '../../src/domain/playbook.ts'
import { type Person, Policy } from '../../src/domain/policy.ts'
import type { Holder } from '../../src/domain/ports.ts'
import * as run from '../../src/domain/run.ts'
import type { createOracle } from './core-oracle.ts'
import type { Random } from './scheduler.ts'

/** The rules of the domain that a schedule asks. A flaw puts another one in a rule's place. */
export const RULES = { ...notice, ...decide, ...run, ...freeze }
export type Rules = typeof RULES

/** What is broken on purpose in a schedule. */
export type Flaw = Readonly<
  Partial<Rules> & {
    /** The policy that bots and workers judge by. */
    policy?: Policy
    /** The journal appends without comparing versions. */
    blind?: boolean
    /** The store forgets which intents it has stored. */
    forgetful?: boolean
    /** Virtual milliseconds that a lock is held for. */
    lockFor?: number
    /** Whether the plan of now is another than the one that was granted. */
    differs?: (now: string, granted: string | undefined) => boolean
    /** Whether anybody looks whether all is frozen. */
    heedsFreeze?: boolean
    /** Whether a lock says which taking of it this is. */
    namesTakes?: boolean
    /** What of the target's state a plan holds. */
    sees?: (bulb: string) => string
    /** What the bot takes a person for; `before` is the first look at them. */
    takesFor?: (now: Person, before: Person) => Person
  }
>

export const T0 = Date.parse('2026-11-21T03:00:00.000Z')
export const MINUTE = 60_000
export const ROOMS = ['hall', 'attic']
export const STEPS = ['first', 'second']
const GROUP = 'S0DATA'

export const policy = Policy.parse({
  approvers: {
    data: {
      users: ['U0ADA', 'U0SAM', 'U0SAM2', 'U0GUS', 'U0DEE', 'U0BOT', 'U0OLF'],
      usergroups: [GROUP],
      oncall: ['primary'],
    },
  },
  defaultApprovers: ['data'],
  oncall: { primary: { users: ['U0ONA', 'U0OTTO'], start: new Date(T0).toISOString(), shiftHours: 1 } },
  people: { sam: ['U0SAM', 'U0SAM2'] },
  quorum: { low: 2, medium: 1 },
  proposalMinutes: 60,
  grantMinutes: 15,
})

/** All who press; the first five may decide, at times. */
export const PEOPLE = [
  'U0ADA',
  'U0SAM',
  'U0GEO',
  'U0ONA',
  'U0SAM2',
  'U0OTTO',
  'U0GUS',
  'U0DEE',
  'U0BOT',
  'U0OLF',
  'U0WHO',
]

const call = (risk: 'low' | 'medium') => ({
  command: 'lamp.switch',
  summary: '',
  effect: 'once' as const,
  risk,
  params: {},
  fields: [],
})
export const playbook: Playbook = {
  id: 'lamp/off',
  hash: 'sha256:1',
  title: 'The lamp is off',
  match: {},
  groupBy: ['room'],
  owner: '@lamps',
  approvers: [],
  severity: null,
  channel: null,
  intro: '',
  steps: [
    { id: 'switch', title: 'Switch', line: 1, prose: '', call: call('low') },
    { id: 'replace', title: 'Replace', line: 2, prose: '', call: call('medium') },
  ],
}

export const keys = generateKeyPairSync('ed25519')

/** A process: what it does ends when it dies; nothing of it goes on while it is paused. */
export type Proc = {
  name: string
  dead: boolean
  /** The instant at which it goes on. */
  pausedUntil: number
  /** When it last gave a sign of life. */
  beat: number
  /** Whether its copy of the playbook is the incident's. */
  knows: boolean
  /** Of its command. */
  version: string
}
export type Alerting = { room: string; status: Alert['status']; startsAt: string; endsAt: string | null }

const isSame = (a: Holder, b: Holder) => a.incident === b.incident && a.proposal === b.proposal

/** What all processes of a schedule share: the clock, the store, the target and the people. */
export function createWorld(random: Random, oracle: ReturnType<typeof createOracle>, flaw: Flaw) {
  const states = new Map<string, Incident>()
  const journals = new Map<string, Entry[]>()
  const current = new Map<string, string>()
  const ops = new Set<string>()
  const locks = new Map<string, { holder: Holder; at: number }>()
  const firstLooks = new Map<string, Person>()
  const members = new Set(['U0GEO'])
  const world = {
    rules: { ...RULES, ...flaw } as Rules,
    policy: flaw.policy ?? policy,
    sees: flaw.sees ?? ((bulb: string) => bulb),
    differs: flaw.differs ?? ((now: string, granted: string | undefined) => now !== granted),
    random,
    oracle,
    now: T0,
    /** Counts the choices of the scheduler. */
    instant: 0,
    bulb: 'a',
    states,
    journals,
    current,
    locks,
    members,
    iso: () => new Date(world.now).toISOString(),
    ids: 0,
    op: () => `op-${world.ids++}`,

    /** Compare and set, once for each `op`. The hash is a number: chains are not what is looked at here. */
    append(id: string, version: number, op: string, at: string, events: readonly Happening[]) {
      if (ops.has(op) && !flaw.forgetful) return 'duplicate'
      const entries = journals.get(id) ?? []
      if (entries.length !== version && !flaw.blind) return 'conflict'
      ops.add(op)
      let state = states.get(id) ?? null
      for (const event of events) {
        const seq = entries.length + 1
        const entry = { incident: id, seq, at, op, event, prev: state?.head ?? '', hash: `${id}/${seq}` }
        entries.push(entry)
        state = evolve(state, entry)
        oracle.entry(entry)
      }
      journals.set(id, entries)
      states.set(id, state!)
      current.set(state!.group, id)
      return 'ok'
    },

    /** Takes the target's lock, or takes it anew under another `take`, unless another proposal has it. */
    acquire(target: string, holder: Holder) {
      const held = locks.get(target)
      const stands = held !== undefined && world.now - held.at < (flaw.lockFor ?? Number.POSITIVE_INFINITY)
      if (stands && !isSame(held.holder, holder)) return { ok: false as const, holder: held.holder }
      locks.set(target, { holder, at: world.now })
      return { ok: true as const, fresh: !stands, holder }
    },
    release(target: string, holder: Holder) {
      const theirs = locks.get(target)?.holder
      const current = flaw.namesTakes === false || (holder.take ?? theirs?.take) === theirs?.take
      if (theirs && isSame(theirs, holder) && current) locks.delete(target)
    },

    /** The last freeze, whether it stands or was lifted. */
    lastFreeze: () =>
      flaw.heedsFreeze === false
        ? null
        : world.rules.lastFreezeOf(states.get(current.get(freeze.FREEZE_GROUP) ?? '') ?? null),
    frozen: () => world.lastFreeze()?.until === null,

    /** What Slack says of a user now. */
    lookUp(user: string): Person {
      const person: Person = {
        user,
        name: user,
        deleted: user === 'U0DEE',
        bot: user === 'U0BOT',
        guest: user === 'U0GUS',
        external: user === 'U0OLF',
        usergroups: members.has(user) ? [GROUP] : [],
      }
      if (!firstLooks.has(user)) firstLooks.set(user, person)
      return flaw.takesFor ? flaw.takesFor(person, firstLooks.get(user)!) : person
    },

    /** The state of every journal, folded anew. */
    refold: (id: string) => journals.get(id)!.reduce<Incident | null>(evolve, null),
  }
  return world
}
export type World = ReturnType<typeof createWorld>
