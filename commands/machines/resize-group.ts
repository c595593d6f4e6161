import { ScalingActivityInProgressFault, SetDesiredCapacityCommand } from '@aws-sdk/client-auto-scaling'
import { z } from 'zod'
import type { ReadContext } from '../../src/domain/command.ts'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { answered } from '../aws/answered.ts'
import { narrowed } from '../aws/narrow.ts'
import { groupOf, machines } from './connection.ts'
import { findGroup, isInService, refuseUnlessSteady } from './group.ts'
import { scaling as scalingOf } from './rights.ts'

type Data = Readonly<{ connection: string; scaling: string; from: number; to: number }>

/** Gives an Auto Scaling group more machines, up to the ceiling of its settings; it takes none away. */
export const resizeGroup = defineChange({
  id: 'machines.resize-group',
  summary: 'Give an Auto Scaling group more machines, up to its ceiling',
  effect: 'idempotent',
  risk: 'medium',
  params: z.object({
    connection: z.string().describe('Machines connection'),
    group: z.string().describe('Group, as the connection names it'),
    wanted: z.coerce.number().int().min(1).max(1_000).describe('Machines that it shall have'),
  }),
  async plan({ connection, group: name, wanted }, ctx) {
    const { client, settings, environment } = await ctx.connect(machines, connection)
    const { autoScalingGroup: scaling, maxMachines } = groupOf(settings, name)
    if (!scaling || !maxMachines)
      throw new Refused(`The group "${name}" names no autoScalingGroup with maxMachines, so it can't be resized.`)
    if (wanted > maxMachines)
      throw new Refused(`${wanted} machines are above the ceiling of ${maxMachines} for the group "${name}".`)
    const found = await findGroup(client.scalingReads, scaling, ctx.signal)
    await refuseUnlessSteady(client.scalingReads, found, ctx.signal)
    const from = found.DesiredCapacity ?? 0
    if (found.MaxSize === undefined)
      throw new Refused(`Auto Scaling does not say how many machines "${scaling}" may have.`)
    if (wanted > found.MaxSize)
      throw new Refused(`"${scaling}" has at most ${found.MaxSize} machines by its own settings.`)
    if (wanted <= from)
      throw new Refused(
        `"${scaling}" wants ${from} machines already; this command takes none away: it could take a busy one.`,
      )
    const all = found.Instances ?? []
    return {
      summary: `Set ${name} from ${from} to ${wanted} machines`,
      targets: [
        {
          id: `machines:${connection}/group/${scaling}`,
          name: scaling,
          fingerprint: `wants ${from}`,
          details: {
            Environment: environment,
            Region: settings.region,
            Wants: `${from} → ${wanted}`,
            'In service': String(all.filter(isInService).length),
            Type: [...new Set(all.map((one) => one.InstanceType ?? 'unknown'))].sort().join(', ') || 'unknown',
            Ceiling: String(maxMachines),
          },
        },
      ],
      steps: [{ id: 'resize', title: `Ask for ${wanted} machines`, detail: `SetDesiredCapacity ${scaling} ${wanted}` }],
      warnings: [`The new size stays, and costs, until somebody or a scaling policy sets it back to ${from}.`],
      data: { connection, scaling, from, to: wanted } satisfies Data,
    }
  },
  async run({ data }, given) {
    const ctx = await narrowed(given, machines, data.connection, (own) =>
      scalingOf(own, data.scaling, 'SetDesiredCapacity'),
    )
    const { client } = await ctx.connect(machines, data.connection)
    await ctx.step('resize', async () => {
      const now = await wantsNow(data, ctx)
      if (now === data.to) return now
      if (now !== data.from)
        throw new Refused(`"${data.scaling}" wants ${now} machines now, not ${data.from} as was shown.`)
      const input = { AutoScalingGroupName: data.scaling, DesiredCapacity: data.to, HonorCooldown: true }
      try {
        await answered(`SetDesiredCapacity ${data.scaling}`, ctx.signal, () =>
          client.scalingWrites.send(new SetDesiredCapacityCommand(input), { abortSignal: ctx.signal }),
        )
      } catch (error) {
        if (error instanceof ScalingActivityInProgressFault)
          throw new Refused(`"${data.scaling}" is in its cooldown after another change. Ask again in some minutes.`)
        throw error
      }
      return data.to
    })
    return `"${data.scaling}" was set from ${data.from} to ${data.to} machines; they come in some minutes.`
  },
  async verify({ data }, ctx) {
    const now = await wantsNow(data, ctx)
    return [{ title: `The group wants ${data.to} machines`, ok: now === data.to, detail: String(now) }]
  },
  async probe({ data }, _step, ctx) {
    const now = await wantsNow(data, ctx)
    const landed = now === data.to ? 'yes' : now === data.from ? 'no' : 'cannot_tell'
    return { landed, detail: `"${data.scaling}" wants ${now} machines` }
  },
})

async function wantsNow(data: Data, ctx: ReadContext): Promise<number> {
  const { client } = await ctx.connect(machines, data.connection)
  return (await findGroup(client.scalingReads, data.scaling, ctx.signal)).DesiredCapacity ?? 0
}
