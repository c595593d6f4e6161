import { type Instance, TerminateInstanceInAutoScalingGroupCommand } from '@aws-sdk/client-auto-scaling'
import { z } from 'zod'
import type { ReadContext, RunContext } from '../../src/domain/command.ts'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { answered } from '../aws/answered.ts'
import { narrowed } from '../aws/narrow.ts'
import { outlive } from '../aws/outlive.ts'
import { rest as pause, settled, waiting } from '../settle.ts'
import { groupOf, machines } from './connection.ts'
import { findGroup, heldMinutes, hookShown, hooksOf, isInService, refuseUnlessSteady, versionOf } from './group.ts'
import { scaling as scalingOf } from './rights.ts'
import { paceOf } from './send.ts'
import { InstanceId, listOf } from './shell.ts'
import { tenantsOf } from './tenants.ts'

type One = Readonly<{ instance: string; fingerprint: string }>
type Data = Readonly<{
  connection: string
  group: string
  scaling: string
  machines: readonly One[]
  /** Whether tasks that run on a machine are interrupted. */
  interrupt: boolean
}>

const All = z.union([z.literal('all'), InstanceId])

const fingerprintOf = (one: Instance): string =>
  [one.InstanceId, one.LifecycleState, one.HealthStatus, versionOf(one)].join(' ')

/** Terminates machines of an Auto Scaling group one at a time, and waits for each one's replacement. */
export const cycleInstances = defineChange({
  id: 'machines.cycle-instances',
  summary: 'Replace machines of an Auto Scaling group by new ones, one at a time',
  effect: 'once',
  risk: 'high',
  runMinutes: 600,
  params: z.object({
    connection: z.string().describe('Machines connection'),
    group: z.string().describe('Group, as the connection names it'),
    instances: listOf(All, 'instance ids separated by commas, or "all"').describe(
      'Instance ids, separated by commas, or "all"',
    ),
    interrupt: z
      .enum(['no', 'yes'])
      .default('no')
      .describe('Whether a machine is taken away on which tasks of Airflow run'),
  }),
  async plan({ connection, group: name, instances: asked, interrupt }, ctx) {
    const { client, settings, environment } = await ctx.connect(machines, connection)
    const group = groupOf(settings, name)
    const { autoScalingGroup: scaling } = group
    if (!scaling) throw new Refused(`The group "${name}" names no Auto Scaling group, so its machines can't be cycled.`)
    const found = await findGroup(client.scalingReads, scaling, ctx.signal)
    await refuseUnlessSteady(client.scalingReads, found, ctx.signal)
    const all = (found.Instances ?? []).toSorted((a, b) => (a.InstanceId ?? '').localeCompare(b.InstanceId ?? ''))
    const picked = asked.includes('all') ? all : all.filter((one) => asked.includes(one.InstanceId ?? ''))
    const gone = asked.filter((id) => id !== 'all' && !all.some((one) => one.InstanceId === id))
    if (picked.length === 0)
      throw new Refused(`"${scaling}" has none of the machines ${asked.join(', ') || '(none named)'}.`)
    const desired = found.DesiredCapacity ?? 0
    if (all.length !== desired)
      throw new Refused(`"${scaling}" wants ${desired} machines and has ${all.length}. Wait until they are equal.`)
    const weak = all.find((one) => !picked.includes(one) && !isInService(one))
    if (weak)
      throw new Refused(
        `${weak.InstanceId} of "${scaling}" is ${weak.LifecycleState ?? 'in a state that is not told'}, ${weak.HealthStatus ?? 'of unknown health'}: take no other machine away before it is in service.`,
      )
    const leaving = picked.find((one) => one.LifecycleState?.startsWith('Terminat'))
    if (leaving) throw new Refused(`${leaving.InstanceId} is ${leaving.LifecycleState} already.`)
    const kept = picked.filter((one) => one.ProtectedFromScaleIn)
    if (kept.length > 0 && asked.includes('all'))
      throw new Refused(
        `${kept.map((one) => one.InstanceId).join(', ')} of "${scaling}" is protected from scale-in: somebody wants it to stay. Name the machines that are meant.`,
      )
    const ids = picked.map((one) => one.InstanceId ?? '')
    const tenants = await tenantsOf(connection, group, name, ids, ctx)
    if (interrupt === 'no' && tenants) refuseTenants(tenants.map((one) => one.said))
    const hooks = await hooksOf(client.scalingReads, scaling, ctx.signal)
    const slow = hooks.filter((hook) => heldMinutes(hook) > settings.replaceMinutes)
    const stopped = (found.SuspendedProcesses ?? []).map((one) => one.ProcessName ?? '').sort()
    return {
      summary: `Replace ${picked.length} of ${all.length} machines of ${name}, one at a time`,
      targets: picked.map((one) => ({
        id: `machines:${connection}/${one.InstanceId}`,
        name: one.InstanceId ?? '',
        fingerprint: fingerprintOf(one),
        details: {
          'Auto Scaling group': `${scaling} (${found.MinSize}–${found.MaxSize}, wants ${desired})`,
          Environment: environment,
          Region: settings.region,
          Zone: one.AvailabilityZone ?? 'unknown',
          Type: one.InstanceType ?? 'unknown',
          State: `${one.LifecycleState}, ${one.HealthStatus}`,
          'Made from': versionOf(one),
          'Health checks': `${found.HealthCheckType ?? 'unknown'}, after ${found.HealthCheckGracePeriod ?? 0} s`,
          ...(stopped.length > 0 ? { 'Suspended processes': stopped.join(', ') } : {}),
          ...(hooks.length > 0 ? { 'Lifecycle hooks': hooks.map(hookShown).join('; ') } : {}),
        },
      })),
      steps: picked.flatMap(({ InstanceId: id }) => [
        {
          id: `terminate:${id}`,
          title: `Terminate ${id}`,
          detail: `TerminateInstanceInAutoScalingGroup ${id} ShouldDecrementDesiredCapacity=false`,
        },
        {
          id: `replaced:${id}`,
          title: `Wait until ${desired} machines are in service again`,
          detail: `DescribeAutoScalingGroups ${scaling}, for at most ${settings.replaceMinutes} minutes`,
        },
      ]),
      warnings: [
        'What is on the disks of a terminated machine is lost, its logs included.',
        ...(desired === 1 ? ['It is the only machine: what runs on it is down until the new one is in service.'] : []),
        tenants === null
          ? 'What else runs on these machines is not looked at: the group names no "airflow".'
          : interrupt === 'yes'
            ? 'Tasks of Airflow that run on a machine are interrupted, of whatever DAG; Airflow retries those that have retries left.'
            : 'A machine on which a task of Airflow has begun by then is not taken away: the run stops there.',
        ...(/\bELB\b|VPC_LATTICE/.test(found.HealthCheckType ?? '')
          ? []
          : ['In service means that EC2 says so: whether the units of a new machine run is not looked at.']),
        ...slow.map(
          (hook) =>
            `The hook ${hook.LifecycleHookName} may hold a machine for ${heldMinutes(hook)} minutes, longer than the ${settings.replaceMinutes} that are waited for.`,
        ),
        ...kept.map((one) => `${one.InstanceId} is protected from scale-in: somebody wants it to stay.`),
        ...gone.map((id) => `${id} is not in the group (any more): it is left out.`),
      ],
      data: {
        connection,
        group: name,
        scaling,
        interrupt: interrupt === 'yes',
        machines: picked.map((one) => ({ instance: one.InstanceId ?? '', fingerprint: fingerprintOf(one) })),
      } satisfies Data,
    }
  },

  async run({ data }, given) {
    const ctx = await narrowed(given, machines, data.connection, (own, { groups }) => {
      const isAsked = !data.interrupt && groups[data.group]?.airflow !== undefined
      const looks = isAsked ? ['ssm:DescribeInstanceInformation'] : []
      return scalingOf(own, data.scaling, 'TerminateInstanceInAutoScalingGroup', looks)
    })
    const { client, settings } = await ctx.connect(machines, data.connection)
    const total = data.machines.length
    for (const [index, one] of data.machines.entries()) {
      ctx.progress(index, total, `${one.instance} is terminated`)
      await ctx.step(`terminate:${one.instance}`, async () => {
        const group = await findGroup(client.scalingReads, data.scaling, ctx.signal)
        const now = group.Instances?.find((machine) => machine.InstanceId === one.instance)
        if (!now || fingerprintOf(now) !== one.fingerprint)
          throw new Refused(`${one.instance} is ${now?.LifecycleState ?? 'gone'} now and not as it was shown.`)
        const weak = group.Instances?.find(
          (machine) => machine !== now && !isInService(machine) && !listed(data, machine),
        )
        if (weak) throw new Refused(`${weak.InstanceId} is ${weak.LifecycleState}: no other machine was taken away.`)
        const own = groupOf(settings, data.group)
        const tenants = data.interrupt ? null : await tenantsOf(data.connection, own, data.group, [one.instance], ctx)
        if (tenants) refuseTenants(tenants.map((tenant) => tenant.said))
        const input = { InstanceId: one.instance, ShouldDecrementDesiredCapacity: false }
        const command = new TerminateInstanceInAutoScalingGroupCommand(input)
        await answered(`TerminateInstanceInAutoScalingGroup ${one.instance}`, ctx.signal, () =>
          client.scalingWrites.send(command, { abortSignal: ctx.signal }),
        )
        return null
      })
      const note = (text: string) => ctx.progress(index, total, text)
      const rest = total - index - 1
      await ctx.step(`replaced:${one.instance}`, () =>
        waiting(ctx.signal, () => untilReplaced(data, one.instance, rest, note, ctx)),
      )
      ctx.progress(index + 1, total)
    }
    return `${total} machines of ${data.scaling} were replaced: ${data.machines.map((one) => one.instance).join(', ')} are gone.`
  },

  async verify({ data }, ctx) {
    const { client } = await ctx.connect(machines, data.connection)
    const group = await findGroup(client.scalingReads, data.scaling, ctx.signal)
    const left = data.machines.filter((one) =>
      group.Instances?.some((m) => m.InstanceId === one.instance && isInService(m)),
    )
    const up = (group.Instances ?? []).filter(isInService).length
    return [
      {
        title: 'The machines are gone',
        ok: left.length === 0,
        detail: left.map((one) => one.instance).join(', '),
      },
      {
        title: 'As many as wanted are in service',
        ok: up >= (group.DesiredCapacity ?? 0),
        detail: `${up} of ${group.DesiredCapacity}`,
      },
    ]
  },

  async probe({ data }, step, ctx) {
    const one = data.machines.find((machine) => step.endsWith(`:${machine.instance}`))
    if (!one) return { landed: 'cannot_tell', detail: `The plan has no step ${step}.` }
    const look = () => stateOf(data, one.instance, ctx)
    if (step.startsWith('replaced:')) {
      const { leaving, up, desired } = await look()
      return { landed: leaving && up >= desired ? 'yes' : 'no', detail: `${up} of ${desired} machines are in service` }
    }
    const seen = await settled(look, ({ leaving }) => leaving, ctx.signal)
    return { landed: seen.leaving ? 'yes' : 'no', detail: `${one.instance} is ${seen.state}` }
  },
})

/** How many tasks are named. */
const NAMED = 8

function refuseTenants(said: readonly string[]): void {
  if (said.length === 0) return
  const more = said.length > NAMED ? ` and ${said.length - NAMED} more` : ''
  throw new Refused(
    `Tasks of Airflow run there, and would be interrupted: ${said.slice(0, NAMED).join(', ')}${more}. Wait for them, or set "interrupt" to yes.`,
  )
}

/** A sick machine that is itself to be replaced later does not stand in the way. */
const listed = (data: Data, machine: Instance): boolean =>
  data.machines.some((one) => one.instance === machine.InstanceId)

async function stateOf(data: Data, instance: string, ctx: ReadContext) {
  const { client } = await ctx.connect(machines, data.connection)
  const group = await findGroup(client.scalingReads, data.scaling, ctx.signal)
  const all = group.Instances ?? []
  const state = all.find((one) => one.InstanceId === instance)?.LifecycleState ?? 'gone'
  const others = all.filter((one) => one.InstanceId !== instance && !listed(data, one))
  // Machines of the plan that have not had their turn count as they are.
  const waiting = all.filter((one) => one.InstanceId !== instance && listed(data, one) && !isLeaving(one))
  return {
    state,
    leaving: state === 'gone' || state.startsWith('Terminat'),
    up: others.filter(isInService).length + waiting.length,
    desired: group.DesiredCapacity ?? 0,
  }
}

const isLeaving = (one: Instance): boolean => one.LifecycleState?.startsWith('Terminat') ?? false

/** Waits until the machine is gone and the group has as many others as it wants. */
async function untilReplaced(
  data: Data,
  instance: string,
  rest: number,
  note: (text: string) => void,
  ctx: RunContext,
): Promise<string> {
  const { settings } = await ctx.connect(machines, data.connection)
  const until = ctx.now().getTime() + settings.replaceMinutes * 60_000
  const pace = paceOf(settings, ctx.signal, note)
  for (;;) {
    const { leaving, state, up, desired } = await outlive(() => stateOf(data, instance, ctx), pace)
    const shown = `${up} of ${desired} machines are in service`
    if (leaving && up >= desired) return shown
    const untouched = rest > 0 ? `; ${rest} machines after it were not touched` : ''
    if (ctx.now().getTime() > until)
      throw new Error(
        `${instance} (${state}) was not replaced within ${settings.replaceMinutes} minutes: ${shown}${untouched}`,
      )
    note(`${instance} is ${state}, ${shown}`)
    await pause(settings.pollSeconds, ctx.signal)
  }
}
