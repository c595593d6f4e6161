import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { commands } from '../../commands/index.ts'
import { openRig } from './executor-rig.ts'
import { EXECUTORS } from './executors.ts'

let rig: Awaited<ReturnType<typeof openRig>>
beforeAll(async () => {
  rig = await openRig(EXECUTORS)
})
afterAll(() => rig.stop())

it('every command that changes something has its line', () => {
  const changes = commands.filter((c) => c.effect !== 'read').map((c) => c.id)
  expect(Object.keys(EXECUTORS).sort()).toEqual(changes.sort())
})

it.each(Object.entries(EXECUTORS))('good parameters of %s reach the change', async (id, [, sample]) => {
  const { asked, fault, reached } = await rig.call(id, sample)
  expect({ reached, fault, asked: reached ? [] : asked.map((one) => one.shape) }).toEqual({
    reached: true,
    fault: undefined,
    asked: [],
  })
})
