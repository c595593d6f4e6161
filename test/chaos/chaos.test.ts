import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { BUGS } from './bugs.ts'
import { play, simulateCore } from './core.ts'
import { FLAWS } from './core-bugs.ts'
import { HOLES } from './guards.ts'
import { PARTS } from './parts.ts'
import { tapeOf } from './scheduler.ts'
import { simulate } from './simulation.ts'

/** A planted bug must show within so many schedules. */
const WITHIN = 50

const PLANTED: [string, string, (seed: number) => unknown][] = [
  ...Object.entries(BUGS).map(([name, bug]): (typeof PLANTED)[number] => [
    'pipeline',
    name,
    (seed) => simulate(seed, bug),
  ]),
  ...Object.entries(HOLES).map(([name, find]): (typeof PLANTED)[number] => ['edges', name, find]),
  ...Object.entries(FLAWS).map(([name, flaw]): (typeof PLANTED)[number] => [
    'rules',
    name,
    (seed) => simulateCore(seed, flaw),
  ]),
]

describe('under chance', () => {
  it.each(PARTS.map((p) => [p.name, p.unit, p] as const))(
    '%s: nothing happens that must not, in %s',
    async (_name, _unit, part) => {
      try {
        for (let seed = 1; seed <= part.short; seed += 1) await part.run(seed)
      } finally {
        await part.close?.()
      }
    },
  )

  it.each(PLANTED)('%s: it is found out that %s', async (_part, _name, find) => {
    let found: unknown
    for (let seed = 1; seed <= WITHIN && !found; seed += 1) {
      try {
        await find(seed)
      } catch (error) {
        found = error
      }
    }
    expect(found).toMatchObject({ name: 'Violation' })
  })

  it('the rules hold in whatever order and with whatever faults a library finds that it can shorten', () => {
    const tape = fc.uint8Array({ minLength: 50, maxLength: 1500, size: 'max' })
    fc.assert(
      fc.property(tape, (bytes) => void play(tapeOf(bytes))),
      { numRuns: 150 },
    )
    const flawed = fc.check(
      fc.property(tape, (bytes) => void play(tapeOf(bytes), FLAWS['one person is enough'])),
      { numRuns: 150, seed: 7 },
    )
    expect(flawed.errorInstance).toMatchObject({ name: 'Violation' })
  })

  it('the same seed gives the same schedule', async () => {
    const bug = BUGS['a guest may approve']!
    const outcome = (seed: number) =>
      simulate(seed, bug).then(
        () => 'none',
        (e: Error) => e.message,
      )
    const once = await Promise.all([0, 1, 2, 3].map(outcome))
    expect(await Promise.all([0, 1, 2, 3].map(outcome))).toEqual(once)
  })
})
