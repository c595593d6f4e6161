import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startStage } from '../../src/sandbox/stage.ts'
import { play } from '../../src/sandbox/story.ts'

describe('one alert, one decision, one run', () => {
  let stage: Awaited<ReturnType<typeof startStage>>
  beforeAll(async () => {
    stage = await startStage({ port: 0, env: process.env })
  }, 120_000)
  afterAll(async () => {
    await stage?.stop()
  }, 60_000)

  it('goes from the webhook to a session that really ends, by one approval in the thread', async () => {
    const thread = await play(stage)
    expect(thread).toContainEqual(expect.stringContaining('Succeeded: terminate-the-sessions-at-the-root'))
    expect(thread.filter((text) => text.startsWith('Succeeded: 1.'))).toHaveLength(1)
  }, 120_000)
})
