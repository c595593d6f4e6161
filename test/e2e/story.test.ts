import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startStage } from '../../src/sandbox/stage.ts'
import { play } from '../../src/sandbox/story.ts'

describe('the stories of the demo', () => {
  let stage: Awaited<ReturnType<typeof startStage>>
  beforeAll(async () => {
    stage = await startStage({ port: 0, env: process.env })
  }, 120_000)
  afterAll(async () => {
    await stage?.stop()
  }, 60_000)

  it('end a session, mend a file and raise a capacity for real, each by one approval in its thread', async () => {
    const told = await play(stage)
    expect(told.filter((text) => text === '')).toHaveLength(3)
    expect(await stage.rowsOf('ledger')).toEqual([['ledger', 'ACTIVE', '10', '20']])
  }, 120_000)

  it('take an alert that is fired twice as one, and break nothing a second time', async () => {
    await stage.fire('warehouse')
    const blocked = await stage.rowsOf('warehouse')
    await stage.fire('warehouse')
    expect(await stage.rowsOf('warehouse')).toEqual(blocked)
    await stage.resolve('warehouse')
  })
})
