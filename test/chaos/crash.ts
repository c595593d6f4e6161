import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pass } from 'node:timers/promises'
import { ADA, ONA, SAM, type World } from '../e2e/world.ts'
import { cardsOf } from './crash-cards.ts'
import { check } from './crash-checker.ts'
import { QUORUM, startHouses, takes } from './crash-house.ts'
import { limbo } from './crash-limbo.ts'
import { startPeople } from './crash-people.ts'
import { PASS, pointsOf } from './crash-points.ts'
import type { Seen } from './crash-seen.ts'
import { createSupervisor } from './crash-supervisor.ts'
import { startTarget } from './crash-target.ts'
import { createTraffic } from './crash-traffic.ts'
import type { Part } from './parts.ts'
import { randomOf } from './scheduler.ts'
import { Violation } from './violation.ts'

/** Alerts that come at once in the beginning; later another one every so many milliseconds, while fewer cards than this wait. */
const IN_FLIGHT = 4
const EVERY = 4000
/** Within so many milliseconds every point of a run is passed, and after the last kill everything is told. */
const REACHED = 90_000
const HEALED = 60_000
/** So long nothing may wait any more until it counts as told: the next card of a thread is a second away. */
const CALM = 2500

/** The journal as the command line exports it, and what it says of it with the heads that the threads show. */
async function exported(w: World): Promise<Pick<Seen, 'entries' | 'verified'>> {
  const entries = await w.entries()
  const file = join(w.folder, 'journal.jsonl')
  await writeFile(file, entries.map((e) => `${JSON.stringify(e)}\n`).join(''))
  const heads = cardsOf(w.sandbox).flatMap((c) => {
    const head = c.key.startsWith('outcome:') && /sha256:[0-9a-f]{64}/.exec(c.shown)?.[0]
    return head ? ['--head', `${c.incident}=${head}`] : []
  })
  return { entries, verified: await w.keyturn('journal', 'verify', file, ...heads) }
}

/** What a person sees who looks into a failure. */
const story = (w: World) => [
  ...cardsOf(w.sandbox).map((c) => `  ${c.channel} ${c.incident} ${c.key}: ${c.text}`),
  ...w.output
    .join('')
    .split('\n')
    .filter((line) => !line.includes('job taken'))
    .slice(-15),
]

/** Processes are killed at the points of this seed while alerts come and people press; then it is checked what was seen. */
export async function crash(seed: number): Promise<Seen> {
  const random = randomOf(seed)
  const points = pointsOf(seed)
  const errors: unknown[] = []
  const onError = (error: unknown) => void errors.push(error)
  const close: (() => unknown)[] = []
  try {
    const target = await startTarget(takes)
    close.push(() => target.close())
    const supervisor = createSupervisor(points, random, seed <= PASS, onError)
    target.onLanded(supervisor.landed)
    const mode = points.some((p) => p.http) || random.chance(0.5) ? 'http' : 'socket'
    const w = await startHouses(target.url, mode, supervisor.spawned)
    supervisor.supervise(w.startProcess)
    close.push(() => w.stop(), supervisor.stop)
    const traffic = createTraffic(w, onError)
    const people = startPeople(w, target, onError)
    close.push(people.stop, traffic.stop)

    /** Waits until \`test\` has had nothing to say for \`calm\` milliseconds. */
    const until = async (what: string, ms: number, test: () => string[], calm = 0) => {
      const deadline = Date.now() + ms
      for (let last = Date.now(); ; await pass(150)) {
        if (errors.length > 0) throw errors[0]
        const left = test()
        if (left.length > 0) last = Date.now()
        else if (Date.now() - last >= calm) return
        if (left.length > 0 && Date.now() > deadline)
          throw new Violation([`${what} ${ms / 1000} s: ${left.join('; ')}`, ...story(w)].join('\n'))
      }
    }
    const waiting = () => limbo(cardsOf(w.sandbox), traffic.sent)

    for (let i = 0; i < IN_FLIGHT; i += 1) traffic.fire()
    if (seed > PASS && random.chance(0.3)) traffic.freeze(() => target.log.length > 0)
    if (seed > PASS && random.chance(0.3)) w.sandbox.faults({ loseReplies: 3, methods: ['chat.postMessage'] })
    let next = Date.now() + EVERY
    await until('points not passed within', REACHED, () => {
      const left = supervisor.left().map((p) => `${p.process}: ${p.seam}`)
      if (left.length > 0 && Date.now() > next && waiting().length < IN_FLIGHT) {
        next = Date.now() + EVERY
        traffic.fire()
      }
      return left
    })
    // Once nobody is killed any more, two changes go well whatever became of the others.
    for (let i = 0; i < 2; i += 1) traffic.fire('approve')
    await until('still in limbo after', HEALED, () => [...waiting(), ...traffic.open()], CALM)
    traffic.stop()
    await people.stop()
    if (errors.length > 0) throw errors[0]
    const seen: Seen = {
      sent: traffic.sent,
      slack: [...w.sandbox.log],
      changes: target.log,
      freezes: traffic.freezes,
      approvers: [ADA, SAM, ONA],
      quorum: QUORUM,
      ...(await exported(w)),
    }
    check(seen)
    return seen
  } catch (error) {
    if (error instanceof Violation)
      error.message += `\nKilled: ${points.map((p) => `${p.process} ${p.seam}`).join(', ')}`
    throw error
  } finally {
    for (const end of close.reverse()) await end()
  }
}

/** A part of \`npm run chaos\`. */
export const CRASH: Part = {
  name: 'crash',
  unit: `runs with five kills each, ${PASS} for the whole matrix`,
  short: 1,
  long: 3 * PASS,
  run: async (seed) => void (await crash(seed)),
}
