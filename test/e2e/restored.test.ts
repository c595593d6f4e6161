import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { until } from '../redis/cluster.ts'
import { ALLOW, lampOff, startLamps, switchOn } from './lamps.ts'
import { ADA, startWorld, type World } from './world.ts'

let lamps: Awaited<ReturnType<typeof startLamps>>
let own: string
let w: World
beforeAll(async () => {
  lamps = await startLamps()
  own = await mkdtemp(join(tmpdir(), 'keyturn-witness-'))
  w = await startWorld({
    playbooks: { 'lamps/off': lampOff(switchOn()) },
    connections: { lamps: { kind: 'http', environment: 'house', baseUrl: lamps.url, allow: ALLOW } },
    settings: { witnessFile: join(own, 'witness.json') },
  })
})
afterAll(async () => {
  await w?.stop()
  await lamps?.close()
  await rm(own, { recursive: true, force: true })
})

it('an older append-only file that is put back while nothing runs brings no second run: the worker finds out at its start', async () => {
  await w.alert([{ labels: { alertname: 'LampOff', room: 'hall' } }])
  const card = await w.see('proposal:p1', (m) => JSON.stringify(m.blocks).includes('keyturn:approve'))
  await w.killWorker()
  expect(await w.decide(ADA, card, 'approve', 'It is dark')).toMatchObject({ ok: true })
  await w.see('root', (m) => m.text.includes('waiting for a worker'))
  const [now, old] = ['appendonlydir', 'old'].map((name) => join(w.folder, name)) as [string, string]
  await w.killBot()
  await w.killRedis()
  await cp(now, old, { recursive: true })

  await w.startRedis()
  await w.startWorker()
  await w.startBot()
  await w.see('outcome:p1', (m) => m.text.startsWith('Succeeded'))
  expect(lamps.effects).toHaveLength(1)
  const count = async () => JSON.parse(await readFile(join(own, 'witness.json'), 'utf8')).seen as number
  const ended = await count()
  await until(count, (seen) => seen > ended)
  await Promise.all([w.killWorker(), w.killBot()])
  await w.killRedis()
  await rm(now, { recursive: true })
  await cp(old, now, { recursive: true })
  // As if nothing had ever been done, so that the plan is the approved one again.
  lamps.lit.clear()

  await w.startRedis()
  await w.startWorker()
  await w.startBot()
  await w.see('root', (m) => m.text.includes('Redis has lost entries that it had confirmed'))
  expect(await w.keyturn('thaw', '--reason', 'compared')).toMatchObject({ code: 0 })
  await until(
    () => w.entries(),
    (entries) => entries.some((e) => e.event.type === 'run.voided'),
  )
  expect(lamps.effects).toHaveLength(1)
}, 120_000)
