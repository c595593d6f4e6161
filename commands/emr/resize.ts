import { ModifyInstanceFleetCommand, ModifyInstanceGroupsCommand } from '@aws-sdk/client-emr'
import { z } from 'zod'
import type { ReadContext } from '../../src/domain/command.ts'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { answered } from '../aws/answered.ts'
import { narrowed } from '../aws/narrow.ts'
import { emr } from './connection.ts'
import { ClusterId, changeable, findCluster } from './look.ts'
import { listPools, managedScaling, type Pool } from './pools.ts'
import { changing } from './rights.ts'

type Market = 'onDemand' | 'spot'
type Data = Readonly<{
  connection: string
  cluster: string
  group: string
  from: number
  to: number
  /** Both parts of what a fleet shall want: one that is left out may be taken for 0. Null for a group. */
  targets: Readonly<Record<Market, number>> | null
}>

/** Sets how many machines an instance group has, or units a fleet: core ones only grow, since shrinking loses HDFS blocks. */
export const emrResize = defineChange({
  id: 'emr.resize',
  summary: 'Set the size of an EMR instance group or fleet',
  effect: 'idempotent',
  risk: 'medium',
  params: z.object({
    connection: z.string().describe('EMR connection'),
    cluster: ClusterId,
    group: z
      .string()
      .regex(/^i[gf]-[A-Z0-9]+$/, 'the id of an instance group or fleet such as ig-2ABC or if-2ABC')
      .describe('Id of the instance group or fleet'),
    instances: z.coerce.number().int().min(0).describe('Machines, or units of a fleet, that it shall have'),
    market: z
      .enum(['', 'onDemand', 'spot'])
      .default('')
      .describe('Which part of a fleet changes, where it has both: onDemand or spot'),
  }),
  async plan({ connection, cluster: id, group: poolId, instances, market }, ctx) {
    const { client, environment, settings } = await ctx.connect(emr, connection)
    const cluster = await changeable(client.reads, id, settings, ctx.signal)
    const pool = (await listPools(client.reads, cluster, ctx.signal)).find((one) => one.id === poolId)
    if (!pool) throw new Refused(`"${cluster.Name}" has no instance group or fleet ${poolId}.`)
    const { wants: from, role, state } = pool
    const unit = pool.kind === 'fleet' ? 'units' : 'machines'
    if (role === 'MASTER') throw new Refused(`${poolId} is the master group; its size is fixed.`)
    if (instances > settings.maxInstances)
      throw new Refused(`${instances} ${unit} are more than the ${settings.maxInstances} that this connection allows.`)
    if (instances === from) throw new Refused(`${poolId} wants ${from} ${unit} already.`)
    if (role !== 'TASK' && instances < from)
      throw new Refused(`${poolId} is a core group: fewer machines may lose HDFS blocks. Shrink a task group instead.`)
    if (state !== 'RUNNING') throw new Refused(notNow(pool, id))
    const targets = pool.kind === 'fleet' ? targetsOf(pool, instances, market) : null
    const scaling = await managedScaling(client.reads, id, ctx.signal)
    return {
      summary: `Set ${poolId} of "${cluster.Name}" from ${from} to ${instances} ${unit}`,
      targets: [
        {
          id: `emr:${connection}/${id}/${poolId}`,
          name: `${cluster.Name} ${role.toLowerCase()}`,
          fingerprint: `${from} ${state}${pool.kind === 'fleet' ? ` ${JSON.stringify(pool.targets)}` : ''}`,
          details: {
            Cluster: `${cluster.Name} (${id})`,
            Environment: environment,
            Region: settings.region,
            Type: pool.type,
            Market: pool.market,
            Wants: targets ? `${from}: ${described(pool.targets)} → ${described(targets)}` : String(from),
            Ceiling: String(settings.maxInstances),
          },
        },
      ],
      steps: [
        {
          id: 'resize',
          title: 'Resize it',
          detail: targets
            ? `ModifyInstanceFleet ${id} ${poolId} TargetOnDemandCapacity=${targets.onDemand} TargetSpotCapacity=${targets.spot}`
            : `ModifyInstanceGroups ${id} ${poolId} ${instances}`,
        },
      ],
      warnings: [
        `The new size stays until somebody sets it back to ${from}.`,
        ...(scaling ? [scaling] : []),
        ...(pool.policy && pool.policy !== 'DETACHED'
          ? [`${poolId} has a scaling policy of its own (${pool.policy}), which sets another size again by itself.`]
          : []),
      ],
      data: { connection, cluster: id, group: poolId, from, to: instances, targets } satisfies Data,
    }
  },
  async run({ data }, given) {
    const pools = data.targets
      ? ['ModifyInstanceFleet', 'ListInstanceFleets']
      : ['ModifyInstanceGroups', 'ListInstanceGroups']
    const ctx = await narrowed(given, emr, data.connection, (own) =>
      changing(own, data.cluster, [...pools, 'DescribeCluster']),
    )
    const { client } = await ctx.connect(emr, data.connection)
    await ctx.step('resize', async () => {
      const now = await wants(data, ctx)
      if (now === data.to) return now
      if (now !== data.from)
        throw new Refused(`${data.group} wants ${now} machines now, not ${data.from} as was shown.`)
      if (data.targets) {
        const InstanceFleet = {
          InstanceFleetId: data.group,
          TargetOnDemandCapacity: data.targets.onDemand,
          TargetSpotCapacity: data.targets.spot,
        }
        await answered(`ModifyInstanceFleet ${data.group}`, ctx.signal, () =>
          client.writes.send(new ModifyInstanceFleetCommand({ ClusterId: data.cluster, InstanceFleet }), {
            abortSignal: ctx.signal,
          }),
        )
        return data.to
      }
      const InstanceGroups = [{ InstanceGroupId: data.group, InstanceCount: data.to }]
      await answered(`ModifyInstanceGroups ${data.group}`, ctx.signal, () =>
        client.writes.send(new ModifyInstanceGroupsCommand({ ClusterId: data.cluster, InstanceGroups }), {
          abortSignal: ctx.signal,
        }),
      )
      return data.to
    })
    return `${data.group} was set from ${data.from} to ${data.to} ${data.targets ? 'units' : 'machines'}; they come in some minutes.`
  },
  async verify({ data }, ctx) {
    const now = await wants(data, ctx)
    return [{ title: `It wants ${data.to}`, ok: now === data.to, detail: `${now}` }]
  },
  async probe({ data }, _step, ctx) {
    const now = await wants(data, ctx)
    const landed = now === data.to ? 'yes' : now === data.from ? 'no' : 'cannot_tell'
    return { landed, detail: `${data.group} wants ${now}` }
  },
})

/** Why a group that is not RUNNING is left alone, and what a person can do. */
const notNow = ({ id, kind, state, wants, runs }: Pool, cluster: string): string =>
  state === 'RESIZING'
    ? `${id} is RESIZING: it wants ${wants} and has ${runs}. Wait until it is RUNNING. Where it does not end, EC2 lacks capacity: set it to what it has, by hand: ${
        kind === 'group'
          ? `aws emr modify-instance-groups --cluster-id ${cluster} --instance-groups InstanceGroupId=${id},InstanceCount=${runs}`
          : `aws emr modify-instance-fleet --cluster-id ${cluster} --instance-fleet InstanceFleetId=${id},TargetOnDemandCapacity=…,TargetSpotCapacity=…`
      }`
    : `${id} is ${state}; wait until it is RUNNING.`

/** A fleet's two parts with the one changed that makes the sum right. */
function targetsOf({ id, targets }: Pool, instances: number, market: '' | Market): Record<Market, number> {
  const has = (['onDemand', 'spot'] as const).filter((one) => targets[one] > 0)
  const part = market || (has.length === 1 ? has[0]! : '')
  if (part === '')
    throw new Refused(`${id} wants ${described(targets)}. Say by "market" which part shall change: onDemand or spot.`)
  const other = part === 'onDemand' ? targets.spot : targets.onDemand
  if (instances < other)
    throw new Refused(`${id} wants ${described(targets)}: ${instances} in all is less than its other part.`)
  return { ...targets, [part]: instances - other }
}

const described = ({ onDemand, spot }: Readonly<Record<Market, number>>): string =>
  `${onDemand} on demand, ${spot} spot`

async function wants(data: Data, ctx: ReadContext): Promise<number | null> {
  const { client } = await ctx.connect(emr, data.connection)
  const cluster = await findCluster(client.reads, data.cluster, ctx.signal)
  const pools = await listPools(client.reads, cluster, ctx.signal)
  return pools.find((one) => one.id === data.group)?.wants ?? null
}
