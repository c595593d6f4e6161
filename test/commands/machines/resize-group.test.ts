import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { resizeGroup } from '../../../commands/machines/resize-group.ts'
import { propose } from '../context.ts'
import { type Machines, startMachines } from './world.ts'

describe('machines.resize-group', () => {
  let m: Machines
  beforeEach(async () => {
    m = await startMachines({ maxMachines: 6 })
  })
  afterEach(() => m.close())

  const plan = (more: object = {}) =>
    propose(resizeGroup, { connection: 'prod', group: 'airflow', wanted: '5', ...more }, m.world.read())
  const refusal = (more: object = {}) =>
    plan(more).then(
      () => 'planned',
      (error: Error) => `${error.name}: ${error.message}`,
    )

  it('asks for more machines, and knows that it did', async () => {
    const shown = await plan()
    expect(shown.targets[0]?.details).toMatchObject({ Wants: '3 → 5', 'In service': '3', Ceiling: '6' })
    expect((await resizeGroup.probe(shown, 'resize', m.world.read())).landed).toBe('no')
    await resizeGroup.run(shown, m.world.run(shown).ctx)
    expect(m.scaling.state.desired).toBe(5)
    expect((await resizeGroup.verify(shown, m.world.read()))[0]?.ok).toBe(true)
  })

  it('is of unknown outcome when no answer came, until it is looked at', async () => {
    const shown = await plan()
    m.scaling.lose('SetDesiredCapacity')
    await expect(resizeGroup.run(shown, m.world.run(shown).ctx)).rejects.toMatchObject({ name: 'Unanswered' })
    expect((await resizeGroup.probe(shown, 'resize', m.world.read())).landed).toBe('yes')
  })

  it('does not override what somebody set meanwhile', async () => {
    const shown = await plan()
    m.scaling.state.desired = 4
    await expect(resizeGroup.run(shown, m.world.run(shown).ctx)).rejects.toThrow('wants 4 machines now')
    expect((await resizeGroup.probe(shown, 'resize', m.world.read())).landed).toBe('cannot_tell')
    expect(m.scaling.sent('SetDesiredCapacity')).toHaveLength(0)
  })

  it('refuses to exceed its ceilings, to take machines away, and while others are replaced', async () => {
    expect(await refusal({ wanted: 7 })).toContain('above the ceiling of 6')
    expect(await refusal({ wanted: 2 })).toContain('takes none away')
    expect(await refusal({ group: 'bare' })).toContain("can't be resized")
    m.scaling.state.refresh = 'InProgress'
    expect(await refusal()).toContain('instance refresh')
    for (const wanted of ['0', '1.5', 'many', '1e9']) expect(await refusal({ wanted })).toMatch(/^ZodError/)
  })
})
