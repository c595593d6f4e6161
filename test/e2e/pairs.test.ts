import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { ALL, incidentKey } from '../../src/redis/keys.ts'
import { until } from '../redis/cluster.ts'
import { ALLOW, lampOff, startLamps, switchOn } from './lamps.ts'
import { ADA, SAM, startWorld, type World } from './world.ts'

/** One more than a worker takes at a time. */
const ROOMS = ['hall', 'attic', 'cellar', 'kitchen', 'porch']

let lamps: Awaited<ReturnType<typeof startLamps>>
let w: World
beforeAll(async () => {
  lamps = await startLamps()
  w = await startWorld({
    playbooks: { 'lamps/off': lampOff(switchOn()) },
    connections: { lamps: { kind: 'http', environment: 'house', baseUrl: lamps.url, allow: ALLOW, timeoutMs: 60_000 } },
  })
})
afterAll(async () => {
  await w?.stop()
  await lamps?.close()
})

it('two bots and two workers on one Redis make one thread an incident, one decision a plan, one run a grant', async () => {
  const port = await w.freePort()
  const config = await w.writeConfig(port)
  await Promise.all([w.startProcess('bot', config), w.startProcess('worker', config)])
  // Slack gives what people press to its two connections by turns.
  await w.sandbox.waitFor(() => w.sandbox.log.filter((l) => l.name === 'connected').length === 2, 10_000)
  const bots = [w.webhook, `http://127.0.0.1:${port}/webhooks/alertmanager`]
  const off = ROOMS.map((room) => ({ labels: { alertname: 'LampOff', room }, annotations: { summary: room } }))
  const sent = [...bots, ...bots].flatMap((to) => [w.alert(off, to), ...off.map((one) => w.alert([one], to))])
  expect(new Set(await Promise.all(sent))).toEqual(new Set([200]))

  const redis = w.connect()
  const stored = async (type: string) => {
    const ids = (await redis.smembers(ALL)).map((id) => incidentKey(id, 'journal'))
    const lines = (await Promise.all(ids.map((key) => redis.lrange(key, 0, -1)))).flat()
    return lines.filter((line) => line.includes(`"type":"${type}"`)).length
  }
  const asked = () => [ADA, SAM].filter((user) => w.modalOf(user)?.callback_id === 'keyturn:decide')
  const pressAll = (card: Parameters<World['press']>[1]) =>
    [ADA, SAM].map(async (user) => {
      const last = w.modalOf(user)
      if (last) await w.sandbox.closeView(user, last.id)
      return w.press(user, card, 'approve')
    })

  lamps.hold()
  for (const [n, room] of ROOMS.entries()) {
    const card = await w.see('proposal:p1', (m) => {
      const blocks = JSON.stringify(m.blocks)
      return blocks.includes('keyturn:approve') && blocks.includes(`/rooms/${room}/on`)
    })
    const values = { reason: { value: { type: 'plain_text_input', value: `It is dark in the ${room}` } } }
    const submit = (user: string) => w.sandbox.submit(user, w.modalOf(user)?.id ?? '', values)
    // Once, but for a machine so slow that a form misses Slack's three seconds: then people press again.
    while ((await stored('proposal.granted')) === n) {
      await Promise.all(pressAll(card))
      await w.sandbox.waitFor(() => asked().length === 2, 5_000).catch(() => {})
      // Each by both bots: the first of them ends it for the others.
      await Promise.allSettled([...asked(), ...asked()].map(submit))
    }
  }
  await until(
    async () => lamps.effects.length,
    (n) => n === ROOMS.length,
  )
  lamps.release()
  await until(
    () => stored('run.finished'),
    (n) => n === ROOMS.length,
  )

  const roots = w.messages().filter((m) => w.keyOf(m) === 'root')
  expect(roots).toHaveLength(ROOMS.length)
  expect(lamps.effects.map((e) => e.room).sort()).toEqual([...ROOMS].sort())
  const entries = await w.entries()
  const workers = new Set(entries.flatMap(({ event }) => (event.type === 'run.started' ? [event.worker] : [])))
  expect(workers.size).toBe(2)
  for (const incident of new Set(entries.map((e) => e.incident))) {
    const types: string[] = entries.flatMap((e) => (e.incident === incident ? [e.event.type] : []))
    const count = (type: string) => types.filter((t) => t === type).length
    const once = ['incident.opened', 'plan.made', 'proposal.decided', 'proposal.granted', 'run.started', 'run.finished']
    expect(Object.fromEntries(once.map((type) => [type, count(type)]))).toEqual(
      Object.fromEntries(once.map((type) => [type, 1])),
    )
  }
}, 120_000)
