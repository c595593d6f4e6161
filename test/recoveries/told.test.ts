import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { PROGRAM, startAlertmanager } from '../commands/alertmanager/server.ts'
import { FROM, startPagerduty, TOKEN } from '../commands/pagerduty/server.ts'
import { describeWith } from '../harness/peer.ts'
import { startRedis } from '../redis/server.ts'
import { createDesk } from './desk.ts'

/** Playbooks about who is told of what, driven as the rows of the table are: by alerts and people. */
let redis: Awaited<ReturnType<typeof startRedis>>
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())

describeWith([PROGRAM], 'alertmanager/alert-storm', () => {
  let server: Awaited<ReturnType<typeof startAlertmanager>>
  beforeAll(async () => {
    server = await startAlertmanager()
  })
  afterAll(() => server?.stop())

  it('silences the noisy alert for a while, in the name of who asked, once somebody approved', async () => {
    await server.fire({ alertname: 'Lag', topic: 'a' }, { alertname: 'Lag', topic: 'b' }, { alertname: 'DiskFull' })
    const alerts = { kind: 'alertmanager', environment: 'production', baseUrl: server.origin, silenceable: ['Lag'] }
    const setup = { connections: { alerts }, secrets: {} }
    const storm = (noisy: string) => ({ labels: { alertname: 'AlertStorm', connection: 'alerts', noisy } })
    const desk = await createDesk(redis, setup)
    const id = await desk.fire(storm('Lag'))
    // How long, and why, is for a person to say.
    expect(await desk.last(id)).toBeUndefined()
    await desk.ask(id, 'silence-it-for-a-while', { minutes: '20', reason: 'the consumer is being scaled' })
    expect(await server.silences()).toEqual([])
    await desk.approve(id)
    expect(await desk.last(id)).toMatchObject({ status: 'succeeded' })
    expect(await server.heard()).toEqual([{ alertname: 'DiskFull' }])
    const [made] = await server.silences()
    expect(made).toMatchObject({
      createdBy: 'U0ONA with Keyturn',
      comment: expect.stringMatching(new RegExp(`^the consumer is being scaled \\(incident ${id}, `)),
    })

    const next = await createDesk(redis, setup)
    const other = await next.fire(storm('DiskFull'))
    await next.ask(other, 'silence-it-for-a-while', { minutes: '20', reason: 'it is loud' })
    expect(await next.last(other)).toMatchObject({ status: 'refused', note: expect.stringContaining('DiskFull') })
  })
})

describe('pagerduty/escalates-though-handled', () => {
  it('acknowledges, and resolves by a decision of its own', async () => {
    const server = await startPagerduty()
    server.add('Q1ABCDEF')
    const duty = { kind: 'pagerduty', environment: 'production', baseUrl: server.origin, tokenFrom: 'T', from: FROM }
    const desk = await createDesk(redis, {
      connections: { duty: { ...duty, services: ['PSVC1'] } },
      secrets: { T: TOKEN },
    })
    const status = () => server.incidents.get('Q1ABCDEF')?.status
    const id = await desk.fire({
      labels: { alertname: 'PagerDutyEscalates', connection: 'duty', incident: 'Q1ABCDEF' },
    })
    expect([(await desk.last(id))?.status, status()]).toEqual(['open', 'triggered'])
    await desk.approve(id)
    expect([(await desk.last(id))?.status, status()]).toEqual(['succeeded', 'acknowledged'])
    await desk.ask(id, 'resolve-it')
    expect(status()).toBe('acknowledged')
    await desk.approve(id)
    expect([(await desk.last(id))?.status, status()]).toEqual(['succeeded', 'resolved'])
    const thread = await desk.thread(id)
    expect(thread).toContain('Incident #1234 is resolved')
    expect(thread).not.toContain(TOKEN)
    await server.stop()
  })
})
