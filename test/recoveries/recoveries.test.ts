import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { hasRun, proposalsOf } from '../../src/domain/incident.ts'
import { changesOf } from '../../src/domain/ladder.ts'
import { startRedis } from '../redis/server.ts'
import { createDesk } from './desk.ts'
import { stopPipeline } from './redshift.ts'
import { page, ROWS } from './table.ts'

let redis: Awaited<ReturnType<typeof startRedis>>
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(async () => {
  await stopPipeline()
  await redis.stop()
})

describe.each(ROWS.map((row) => [row.id, row.failure, row] as const))('%s: %s', (_id, _failure, row) => {
  let system: Awaited<ReturnType<typeof row.begin>>
  beforeAll(async () => {
    system = await row.begin()
  })
  afterAll(() => system?.stop())

  it('is recovered from the thread by an approval, for real, or handed over with what was found', async () => {
    const desk = await createDesk(redis, system)
    const id = await desk.fire(await system.alert())
    const incident = await desk.incident(id)
    expect(incident.playbook?.id).toBe(row.playbook)
    const looks = incident.playbook!.steps.filter((step) => step.call?.effect === 'read')
    for (const { id: step } of looks)
      expect([step, incident.evidence[step]?.result]).toMatchObject([step, { status: 'gathered' }])
    // What the playbook says is no evidence.
    const drawn = JSON.parse(await desk.thread(id)) as { key: string }[]
    const opened = JSON.stringify(drawn.filter(({ key }) => key !== 'playbook'))
    expect(system.evidence).not.toEqual([])
    expect(system.evidence.filter((found) => !found.test(opened)).map(String)).toEqual([])
    if (!system.mended) {
      expect(await desk.last(id)).toBeUndefined()
      expect(opened).toContain('Handed over to')
      return
    }
    if (system.recover) await system.recover(desk, id)
    else {
      expect(await desk.last(id)).toMatchObject({ status: 'open' })
      expect(await desk.thread(id)).toContain(`Approve in ${(await desk.last(id))!.subject!.environment}`)
      await desk.approve(id)
    }
    const run = (await desk.last(id))!
    expect([run.status, run.run?.message, run.run?.checks.every((c) => c.ok)]).toEqual([
      'succeeded',
      expect.any(String),
      true,
    ])
    expect(run.run!.checks.length).toBeGreaterThan(0)
    expect(await desk.thread(id)).toContain('Succeeded')
    await system.mended()
    const after = await desk.incident(id)
    const idle = changesOf(after).filter((step) => !proposalsOf(after, step.id).some(hasRun))
    expect(idle.map((step) => step.title)).toEqual([])
  })

  it('refuses what must not be done, and says why, if there is anything to do', async () => {
    if (!system.guards) return expect(system.mended).toBeUndefined()
    for (const guard of system.guards) {
      const desk = await createDesk(redis, system)
      const id = await guard.arrange(desk)
      const { status, note, run } = (await desk.last(id))!
      // Where only the change itself can tell, it was approved, and nothing more was done.
      const refusal = run ? { status: 'failed', note: run.message } : { status: 'refused', note }
      expect([status, refusal.note]).toEqual([refusal.status, expect.stringMatching(guard.says)])
      const done = Object.entries(run?.steps ?? {}).flatMap(([step, s]) => (s.status === 'done' ? [step] : []))
      expect(done).toEqual(guard.done ?? [])
      expect(await desk.thread(id)).toContain(run ? 'Failed' : 'Refused')
    }
  })
})

it('docs/recoveries.md is the table of these tests', async () => {
  expect(await readFile(new URL('../../docs/recoveries.md', import.meta.url), 'utf8')).toBe(page())
})
