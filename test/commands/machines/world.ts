import { startSts } from '../aws/sts-server.ts'
import { createWorld } from '../context.ts'
import { type Fleet, startFleet } from './fleet.ts'
import { type Scaling, startScaling } from './scaling.ts'

export const SCHEDULER = 'airflow-scheduler.service'
export const WORKER = 'airflow-worker.service'
/** Ids of the machines af-1 to af-3. */
export const IDS = ['i-0a000001', 'i-0a000002', 'i-0a000003'] as const

/** Three machines of the group `airflow`, one of `staging`, in one account; more settings of the group as given. */
export async function startMachines(
  group: object = {},
  settings: object = {},
  more: Readonly<{ connections?: Record<string, { kind: string; settings: unknown }>; secrets?: object }> = {},
) {
  const fleet: Fleet = await startFleet()
  const sts = await startSts()
  const scaling: Scaling = await startScaling('airflow-prod')
  for (const [i, id] of IDS.entries()) await fleet.add(id, `af-${i + 1}`, { Role: 'airflow' })
  await fleet.add('i-0b000001', 'staging-1', { Role: 'staging' })
  for (const id of IDS) for (const unit of [SCHEDULER, WORKER]) await fleet.unit(id, unit)
  scaling.hold(...IDS)
  const airflow = {
    tag: { name: 'Role', value: 'airflow' },
    autoScalingGroup: 'airflow-prod',
    units: [SCHEDULER, WORKER],
    packages: ['numpy', 'pandas'],
    ...group,
  }
  // A second passes with each look, so that patience ends after so many of them on any machine.
  let clock = Date.parse('2026-03-14T02:10:00.000Z')
  const world = createWorld({
    now() {
      clock += 1_000
      return new Date(clock)
    },
    secrets: { K: 'local', ...more.secrets },
    connections: {
      ...more.connections,
      prod: {
        kind: 'machines',
        settings: {
          region: 'us-east-1',
          ...sts.settings,
          endpoint: fleet.endpoint,
          autoScalingEndpoint: scaling.endpoint,
          accessKeyIdFrom: 'K',
          secretAccessKeyFrom: 'K',
          pollSeconds: 0.005,
          backoffMs: 1,
          comeBackSeconds: 8,
          replaceMinutes: 0.2,
          groups: {
            airflow,
            staging: { ...airflow, tag: { name: 'Role', value: 'staging' } },
            bare: { tag: { name: 'Role', value: 'airflow' } },
            empty: { tag: { name: 'Role', value: 'nobody' }, units: [WORKER] },
            elsewhere: { tag: { name: 'Role', value: 'airflow' }, autoScalingGroup: 'gone' },
          },
          ...settings,
        },
      },
    },
  })
  return {
    fleet,
    scaling,
    sts,
    world,
    async close() {
      await world.close()
      await Promise.all([fleet.close(), scaling.close(), sts.close()])
    },
  }
}
export type Machines = Awaited<ReturnType<typeof startMachines>>

/** The statements of a session that may run scripts on one machine. */
export const mayScript = (machine: string) => [
  {
    Effect: 'Allow',
    Action: ['ssm:SendCommand'],
    Resource: ['arn:aws:ssm:us-east-1::document/AWS-RunShellScript', `arn:aws:${machine}`],
  },
  { Effect: 'Allow', Action: ['ssm:GetCommandInvocation', 'ssm:CancelCommand'], Resource: ['*'] },
]
