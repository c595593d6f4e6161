import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { emrApplications } from '../../../commands/emr/applications.ts'
import { killApplication } from '../../../commands/emr/kill-application.ts'
import { startSts } from '../aws/sts-server.ts'
import type { World } from '../context.ts'
import { createWorld, propose } from '../context.ts'
import { type Fleet, startFleet } from '../machines/fleet.ts'
import { mayScript } from '../machines/world.ts'
import { startEmr } from './server.ts'

const NODE = 'i-0a000001'
const STUCK = 'application_1700000000000_0007'

describe('applications of YARN', () => {
  let emr: Awaited<ReturnType<typeof startEmr>>
  let sts: Awaited<ReturnType<typeof startSts>>
  let fleet: Fleet
  let world: World
  const app = (id: string) => join(fleet.machines.get(NODE)!.home, 'yarn', id)
  beforeEach(async () => {
    emr = await startEmr()
    sts = await startSts()
    fleet = await startFleet()
    await fleet.add(NODE, 'primary', {})
    emr.state.primaries.push(NODE)
    await mkdir(app('.'), { recursive: true })
    await writeFile(app(STUCK), 'RUNNING parse hadoop 1770000000000\n')
    await writeFile(app('application_1700000000000_0008'), 'ACCEPTED load hadoop 1770000100000\n')
    await writeFile(app('application_1700000000000_0006'), 'FINISHED done hadoop 1770000100000\n')
    let clock = Date.parse('2026-03-14T02:10:00.000Z')
    const settings = {
      ...{ region: 'us-east-1', endpoint: emr.endpoint, ssmEndpoint: fleet.endpoint, ...sts.settings },
      ...{ accessKeyIdFrom: 'K', secretAccessKeyFrom: 'K', backoffMs: 1, pollSeconds: 0.005, cancelMinutes: 0.1 },
      clusters: ['parsers'],
    }
    world = createWorld({
      now: () => {
        clock += 1_000
        return new Date(clock)
      },
      secrets: { K: 'local' },
      connections: {
        jobs: { kind: 'emr', settings: { ...settings, primaryNode: true } },
        closed: { kind: 'emr', settings },
      },
    })
  })
  afterEach(async () => {
    await world.close()
    await Promise.all([emr.close(), fleet.close(), sts.close()])
  })
  const at = { connection: 'jobs', cluster: 'j-1' }
  const plan = (more: object = {}) => propose(killApplication, { ...at, application: STUCK, ...more }, world.read())
  const refusal = (more: object) =>
    plan(more).then(
      () => 'planned',
      (error: Error) => error.message,
    )
  const state = async () => (await readFile(app(STUCK), 'utf8')).split(' ')[0]

  it('shows those that are open', async () => {
    if (emrApplications.effect !== 'read') throw new Error('no read')
    const { summary, blocks } = await emrApplications.read(at, world.read())
    expect(summary).toBe('YARN of "parsers" has 2 open applications.')
    expect(blocks[0]).toMatchObject({
      rows: [
        [STUCK, 'parse', 'SPARK', 'hadoop', 'default', 'RUNNING', '10%'],
        ['application_1700000000000_0008', 'load', 'SPARK', 'hadoop', 'default', 'ACCEPTED', '10%'],
      ],
      omitted: 0,
    })
  })

  it('kills the one that was named, once, and waits until YARN has ended it', async () => {
    const shown = await plan()
    expect(shown.targets[0]?.details).toMatchObject({ Started: '2026-02-02T02:40:00.000Z', User: 'hadoop' })
    expect(await plan()).toEqual(shown)
    expect((await killApplication.probe(shown, 'kill', world.read())).landed).toBe('no')
    expect(await killApplication.run(shown, world.run(shown).ctx)).toBe(`${STUCK} is KILLED.`)
    expect(await state()).toBe('KILLED')
    expect(sts.policies()).toEqual([mayScript(`ec2:us-east-1:123456789012:instance/${NODE}`)])
    expect(sts.asked()).toEqual(['ssm:GetCommandInvocation', 'ssm:SendCommand'])
    expect(fleet.changes()).toHaveLength(1)
    expect((await killApplication.verify(shown, world.read()))[0]?.ok).toBe(true)
    expect((await killApplication.probe(shown, 'kill', world.read())).landed).toBe('yes')
    expect(await refusal({})).toContain('is KILLED: there is nothing to kill')
  })

  it('does not call one killed that ends by itself meanwhile, nor one that stays', async () => {
    const shown = await plan()
    await writeFile(app(STUCK), 'FINISHED parse hadoop 1770000000000\n')
    await killApplication.run(shown, world.run(shown).ctx)
    expect(fleet.changes()).toHaveLength(0)
    expect((await killApplication.verify(shown, world.read()))[0]).toMatchObject({ ok: false, detail: 'FINISHED' })
    await writeFile(app(STUCK), 'RUNNING parse hadoop 1770000000000\n')
    await writeFile(join(fleet.machines.get(NODE)!.home, 'undying'), '')
    await expect(killApplication.run(shown, world.run(shown).ctx)).rejects.toThrow(/is RUNNING 0\.1 minutes after/)
  })

  it('refuses what is not there, what is no id, and where it may not', async () => {
    expect(await refusal({ application: 'application_1700000000000_0099' })).toContain('knows no application')
    expect(await refusal({ connection: 'closed' })).toContain('does not let scripts run on the primary node')
    for (const application of ['x', `${STUCK};id`, `${STUCK} `, '$(id)'])
      await expect(plan({ application })).rejects.toThrow()
    emr.state.primaries.length = 0
    expect(await refusal({})).toContain('no primary node that runs')
  })
})
