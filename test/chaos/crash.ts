import type { ChildProcess } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pass } from 'node:timers/promises'
import { defaultWorkspace } from '../../src/sandbox/slack/workspace.ts'
import { ADA, ONA, SAM, startWorld, type World } from '../e2e/world.ts'
import { type Card, cardsOf } from './crash-cards.ts'
import { check, limbo, type Seen, type Sent } from './crash-checker.ts'
import { startPeople } from './crash-people.ts'
import { POINTS, type Point } from './crash-points.ts'
import { startTarget } from './crash-target.ts'
import type { Part } from './parts.ts'
import { type Random, randomOf } from './scheduler.ts'
import { Violation } from './violation.ts'

const CHANNELS = 8
const QUORUM = 2
/** Alerts that come at once in the beginning; later another one every so many milliseconds, while fewer cards than this wait. */
const IN_FLIGHT = 4
const EVERY = 4000
/** Within so many milliseconds every point of a run is passed, and after the last kill everything is told. */
const REACHED = 90_000
const HEALED = 60_000
/** So long nothing may wait any more until it counts as told: the next card of a thread is a second away. */
const CALM = 2500
/** How many points of each process one run kills it at. */
const BOTS = 3
const WORKERS = 2

/** What people do about the rooms, in turn. */
const MINDS = ['approve', 'strange', 'rival', 'approve', 'reopen', 'ignore', 'resolve', 'cancel', 'reject']

const preload = join(import.meta.dirname, 'crash-preload.ts')
/** In every second house nobody can look whether a lamp is on: there only Keyturn itself keeps from switching twice. */
const playbook = (n: number) => `---
title: Lamps of house ${n}
match: { alertname: /Lamp.+/, house: "${n}" }
group_by: [alertname, room]
owner: "@lamps"
approvers: ["@data-oncall"]
channel: house-${n}
---
Somebody sits in the dark.

## Look
\`\`\`yaml http.get
connection: lamps
path: /rooms/\${labels.room}
\`\`\`

## 1. Switch it on
\`\`\`yaml http.request
connection: lamps
method: POST
path: /rooms/\${labels.room}/on
${n % 2 === 0 ? `check: /rooms/\${labels.room}/is-on` : ''}
\`\`\`
`

/** Changes need some time, so that people and crashes come between; one that is to be cancelled takes long. */
const takes = (room: string) => (room.startsWith('cancel') ? 6000 : 300)

function startHouse(
  lamps: string,
  mode: 'http' | 'socket',
  spawned: (role: Point['process'], child: ChildProcess) => void,
) {
  const workspace = defaultWorkspace()
  const { members } = workspace.channels[0]!
  const houses = Array.from({ length: CHANNELS }, (_, n) => ({
    id: `C0000HOUSE${n}`,
    name: `house-${n}`,
    members: [...members],
  }))
  workspace.channels.push(...houses)
  const allow = ['is-on', 'on'].map((verb) => ({ method: verb === 'on' ? 'POST' : 'GET', path: `/rooms/*/${verb}` }))
  return startWorld({
    mode,
    workspace,
    channels: Object.fromEntries(houses.map((h) => [h.name, h.id])),
    playbooks: Object.fromEntries(houses.map((_, n) => [`lamps/house-${n}`, playbook(n)])),
    connections: {
      lamps: {
        kind: 'http',
        environment: 'house',
        baseUrl: lamps,
        allow: [...allow, { method: 'GET', path: '/rooms/*' }],
        timeoutMs: 30_000,
      },
    },
    policy: {
      approvers: { 'data-oncall': { usergroups: ['S0000DATA'] } },
      quorum: { medium: QUORUM },
      proposalMinutes: 0.4,
    },
    node: ['--import', preload],
    spawned,
  })
}

/** Restarts what dies, and arms each new process for its next point. */
function createSupervisor(points: readonly Point[], random: Random, first: boolean, onError: (error: unknown) => void) {
  const waiting = {
    bot: points.filter((p) => p.process === 'bot'),
    worker: points.filter((p) => p.process === 'worker'),
  }
  const alive: Partial<Record<Point['process'], ChildProcess>> = {}
  const starting = new Set<Promise<unknown>>()
  let restart: World['startProcess'] | null = null
  return {
    alive,
    left: () => [...waiting.bot, ...waiting.worker],
    /** Why a worker that is armed for it dies when the target has landed its effect. */
    landed() {
      if (waiting.worker[0]?.seam === 'during send POST') alive.worker?.kill('SIGKILL')
    },
    spawned(role: Point['process'], child: ChildProcess) {
      alive[role] = child
      const next = waiting[role][0]
      if (next) child.send({ seam: next.seam, times: first || !next.often ? 1 : 1 + random.below(3) })
      child.once('exit', (code, signal) => {
        if (!restart) return
        if (signal !== 'SIGKILL') onError(new Violation(`the ${role} ended by itself with ${code ?? signal}`))
        waiting[role].shift()
        const started = restart(role).catch(() => {})
        starting.add(started)
      })
    },
    supervise(start: World['startProcess']) {
      restart = start
    },
    async stop() {
      restart = null
      await Promise.all(starting)
    },
  }
}

/** The points of a seed: the first pass goes through the matrix as it is listed, the others in an order of their own. */
export function pointsOf(seed: number): Point[] {
  const of = (process: Point['process'], n: number) => {
    const all = POINTS.filter((p) => p.process === process)
    const passes = Math.ceil(all.length / n)
    const pass = Math.floor((seed - 1) / PASS)
    const random = randomOf(pass)
    const order =
      pass === 0
        ? all
        : all
            .map((p) => ({ p, by: random.next() }))
            .sort((a, b) => a.by - b.by)
            .map(({ p }) => p)
    const from = (((seed - 1) % PASS) % passes) * n
    return order.slice(from, from + n)
  }
  return [...of('bot', BOTS), ...of('worker', WORKERS)]
}
const sizeOf = (process: Point['process'], n: number) =>
  Math.ceil(POINTS.filter((p) => p.process === process).length / n)
/** How many seeds pass through the whole matrix. */
export const PASS = Math.max(sizeOf('bot', BOTS), sizeOf('worker', WORKERS))

/** One house in which processes are killed at the points of this seed while alerts come and people press. */
export async function crash(seed: number): Promise<Seen> {
  const random = randomOf(seed)
  const points = pointsOf(seed)
  const errors: unknown[] = []
  const onError = (error: unknown) => void errors.push(error)
  const raise = () => {
    if (errors.length > 0) throw errors[0]
  }
  const target = await startTarget(takes)
  const supervisor = createSupervisor(points, random, seed <= PASS, onError)
  target.onLanded(supervisor.landed)
  const mode = points.some((p) => p.http) || random.chance(0.5) ? 'http' : 'socket'
  const w = await startHouse(target.url, mode, supervisor.spawned).catch(async (error) => {
    await target.close()
    throw error
  })
  supervisor.supervise(w.startProcess)
  const sent: Sent[] = []
  const freezes: { from: number; to: number }[] = []
  const people = startPeople(w, target, onError)
  let over = false

  /** Sends as Alertmanager does: again until it is accepted. */
  async function send(name: string, room: string, house: number, status: Sent['status'] = 'firing'): Promise<void> {
    const labels = { alertname: name, room, house: String(house), severity: 'critical' }
    const summary = `${name} in ${room}.`
    while (!over) {
      const answer = await w.alert([{ labels, status, annotations: { summary } }]).catch(() => 0)
      sent.push({ at: Date.now(), summary, status, answer })
      if (answer === 200) return
      await pass(200)
    }
  }
  const sending = new Set<Promise<void>>()
  const sender = (work: Promise<void>) => {
    sending.add(work)
    void work.catch(onError).finally(() => sending.delete(work))
  }
  const waiting = () => limbo(cardsOf(w.sandbox), sent)
  /** What a person sees who looks into a failure. */
  const story = () => [
    ...cardsOf(w.sandbox).map((c) => `  ${c.channel} ${c.incident} ${c.key}: ${c.text}`),
    ...w.output
      .join('')
      .split('\n')
      .filter((line) => !line.includes('job taken'))
      .slice(-15),
  ]
  const until = async (what: string, ms: number, test: () => string[], calm = 0) => {
    const deadline = Date.now() + ms
    for (let last = Date.now(); ; ) {
      raise()
      const left = test()
      if (left.length > 0) last = Date.now()
      else if (Date.now() - last >= calm) return
      if (left.length > 0 && Date.now() > deadline)
        throw new Violation([`${what} ${ms / 1000} s: ${left.join('; ')}`, ...story()].join('\n'))
      await pass(150)
    }
  }

  try {
    let rooms = 0
    let next = 0
    const fire = () => {
      next = Date.now() + EVERY
      const mind = MINDS[rooms % MINDS.length]!
      const room = `${mind === 'rival' ? 'approve' : mind}-${rooms}`
      const house = (rooms + 1) % CHANNELS
      rooms += 1
      sender(send(mind === 'strange' ? `Strange-${room}` : 'LampOff', room, house))
      if (mind === 'rival') sender(send('LampDim', room, (house + 1) % CHANNELS))
      if (mind === 'resolve' || mind === 'reopen') sender(resolveLater(room, house))
    }
    const resolveLater = async (room: string, house: number) => {
      const shows = async (test: (card: Card) => boolean) => {
        while (!over && !cardsOf(w.sandbox).some(test)) await pass(100)
      }
      await shows((c) => c.key.startsWith('proposal:') && c.shown.includes(`/rooms/${room}/`))
      await send('LampOff', room, house, 'resolved')
      if (!room.startsWith('reopen')) return
      await shows((c) => c.key === 'root' && c.text.includes(': resolved') && c.shown.includes(`LampOff in ${room}.`))
      // Until nobody looks after it any more.
      await pass(5000)
      await send('LampOff', room, house)
    }
    /** Freezes everything for some seconds, once something has run. */
    const freezeOnce = async () => {
      while (!over && target.log.length === 0) await pass(100)
      const say = async (verb: 'freeze' | 'thaw') => {
        const { code, out } = await w.keyturn(verb, '--reason', 'a drill')
        if (code !== 0) throw new Error(`keyturn ${verb}: ${out}`)
      }
      await say('freeze')
      const from = Date.now()
      await pass(3000)
      freezes.push({ from, to: Date.now() })
      await say('thaw')
    }
    for (let i = 0; i < IN_FLIGHT; i += 1) fire()
    if (seed > PASS && random.chance(0.3)) sender(freezeOnce())
    if (seed > PASS && random.chance(0.3)) w.sandbox.faults({ loseReplies: 3, methods: ['chat.postMessage'] })
    await until('points not passed within', REACHED, () => {
      const left = supervisor.left().map((p) => `${p.process}: ${p.seam}`)
      if (left.length > 0 && Date.now() > next && waiting().length < IN_FLIGHT) fire()
      return left
    })
    const unsent = () => [...sending].map(() => 'something is not accepted')
    await until('still in limbo after', HEALED, () => [...waiting(), ...unsent()], CALM)
    over = true
    await people.stop()
    raise()
    const entries = await w.entries()
    const file = join(w.folder, 'journal.jsonl')
    await writeFile(file, entries.map((e) => `${JSON.stringify(e)}\n`).join(''))
    const heads = cardsOf(w.sandbox).flatMap((c) => {
      const head = c.key.startsWith('outcome:') && /sha256:[0-9a-f]{64}/.exec(c.shown)?.[0]
      return head ? ['--head', `${c.incident}=${head}`] : []
    })
    const verified = await w.keyturn('journal', 'verify', file, ...heads)
    const seen: Seen = {
      sent,
      slack: [...w.sandbox.log],
      changes: target.log,
      entries,
      verified,
      freezes,
      approvers: [ADA, SAM, ONA],
      quorum: QUORUM,
    }
    check(seen)
    return seen
  } catch (error) {
    if (error instanceof Violation)
      error.message += `\nKilled: ${points.map((p) => `${p.process} ${p.seam}`).join(', ')}`
    throw error
  } finally {
    over = true
    await people.stop()
    await supervisor.stop()
    await w.stop()
    await target.close()
  }
}

/** A part of `npm run chaos`. */
export const CRASH: Part = {
  name: 'crash',
  unit: `crashes of five processes each, ${PASS} for the whole matrix`,
  short: 1,
  long: 3 * PASS,
  run: async (seed) => void (await crash(seed)),
}
