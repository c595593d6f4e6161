import { describe, expect, it } from '@jest/globals'
import { BUGS } from './bugs.ts'
import { PARTS } from './parts.ts'
import { simulate } from './simulation.ts'

/** A planted bug must show within so many schedules. */
const WITHIN = 200

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

  it.each(Object.entries(BUGS))('it is found out that %s', async (_name, bug) => {
    let found: unknown
    for (let seed = 0; seed < WITHIN && !found; seed += 1)
      found = await simulate(seed, bug).then(
        () => undefined,
        (error: Error) => error,
      )
    expect(found).toMatchObject({ name: 'Violation' })
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
