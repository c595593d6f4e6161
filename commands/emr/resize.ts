import { ModifyInstanceGroupsCommand } from '@aws-sdk/client-emr'
import { z } from 'zod'
import type { ReadContext } from '../../src/domain/command.ts'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { answered } from '../aws/answered.ts'
import { emr } from './connection.ts'
import { ClusterId, changeable, listGroups, stateOf } from './look.ts'

type Data = Readonly<{ connection: string; cluster: string; group: string; from: number; to: number }>

/** Sets how many machines an instance group has: core groups only grow, since shrinking loses HDFS blocks. */
export const emrResize = defineChange({
  id: 'emr.resize',
  summary: 'Set the number of machines of an EMR instance group',
  effect: 'idempotent',
  risk: 'medium',
  params: z.object({
    connection: z.string().describe('EMR connection'),
    cluster: ClusterId,
    group: z
      .string()
      .regex(/^ig-[A-Z0-9]+$/, 'an instance group id such as ig-2ABC')
      .describe('Instance group id'),
    instances: z.coerce.number().int().min(0).describe('Machines that it shall have'),
  }),
  async plan({ connection, cluster: id, group: groupId, instances }, ctx) {
    const { client, environment, settings } = await ctx.connect(emr, connection)
    const cluster = await changeable(client.reads, id, settings, ctx.signal)
    const group = (await listGroups(client.reads, id, ctx.signal)).find((one) => one.Id === groupId)
    if (!group) throw new Refused(`"${cluster.Name}" has no instance group ${groupId}.`)
    const from = group.RequestedInstanceCount ?? 0
    const role = group.InstanceGroupType ?? 'unknown'
    if (role === 'MASTER') throw new Refused(`${groupId} is the master group; its size is fixed.`)
    if (instances > settings.maxInstances)
      throw new Refused(`${instances} machines are more than the ${settings.maxInstances} that this connection allows.`)
    if (instances === from) throw new Refused(`${groupId} wants ${from} machines already.`)
    if (role === 'CORE' && instances < from)
      throw new Refused(`${groupId} is a core group: fewer machines may lose HDFS blocks. Shrink a task group instead.`)
    if (stateOf(group) !== 'RUNNING') throw new Refused(`${groupId} is ${stateOf(group)}; wait until it is RUNNING.`)
    return {
      summary: `Set ${groupId} of "${cluster.Name}" from ${from} to ${instances} machines`,
      targets: [
        {
          id: `emr:${connection}/${id}/${groupId}`,
          name: `${cluster.Name} ${role.toLowerCase()}`,
          fingerprint: `${from} ${stateOf(group)}`,
          details: {
            Cluster: `${cluster.Name} (${id})`,
            Environment: environment,
            Region: settings.region,
            Type: group.InstanceType ?? 'unknown',
            Market: group.Market ?? 'unknown',
            Wants: String(from),
            Ceiling: String(settings.maxInstances),
          },
        },
      ],
      steps: [
        { id: 'resize', title: 'Resize the group', detail: `ModifyInstanceGroups ${id} ${groupId} ${instances}` },
      ],
      warnings: [`The new size stays until somebody sets it back to ${from}.`],
      data: { connection, cluster: id, group: groupId, from, to: instances } satisfies Data,
    }
  },
  async run({ data }, ctx) {
    const { client } = await ctx.connect(emr, data.connection)
    await ctx.step('resize', async () => {
      const now = await wants(data, ctx)
      if (now === data.to) return now
      if (now !== data.from)
        throw new Refused(`${data.group} wants ${now} machines now, not ${data.from} as was shown.`)
      const InstanceGroups = [{ InstanceGroupId: data.group, InstanceCount: data.to }]
      await answered(`ModifyInstanceGroups ${data.group}`, ctx.signal, () =>
        client.writes.send(new ModifyInstanceGroupsCommand({ ClusterId: data.cluster, InstanceGroups }), {
          abortSignal: ctx.signal,
        }),
      )
      return data.to
    })
    return `${data.group} was set from ${data.from} to ${data.to} machines; they come in some minutes.`
  },
  async verify({ data }, ctx) {
    const now = await wants(data, ctx)
    return [{ title: `The group wants ${data.to} machines`, ok: now === data.to, detail: `${now}` }]
  },
  async probe({ data }, _step, ctx) {
    const now = await wants(data, ctx)
    const landed = now === data.to ? 'yes' : now === data.from ? 'no' : 'cannot_tell'
    return { landed, detail: `${data.group} wants ${now} machines` }
  },
})

async function wants(data: Data, ctx: ReadContext): Promise<number | null> {
  const { client } = await ctx.connect(emr, data.connection)
  const groups = await listGroups(client.reads, data.cluster, ctx.signal)
  return groups.find((one) => one.Id === data.group)?.RequestedInstanceCount ?? null
}
