import { z } from 'zod'
import type { ReadContext, RunContext } from '../../src/domain/command.ts'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { narrowed } from '../aws/narrow.ts'
import { rest as pause, waiting } from '../settle.ts'
import { groupOf, machines, refuseUnlisted } from './connection.ts'
import { chosen, machineTarget } from './fleet.ts'
import { identityOf } from './identity.ts'
import { scripting } from './rights.ts'
import { commentOf, lastLines, perform, probeCommand } from './send.ts'
import { InstanceId, listOf, quote, Unit } from './shell.ts'
import { described, isUp, lookAt, steadiness, type UnitState } from './unit-state.ts'

type One = Readonly<{ instance: string; name: string; fingerprint: string }>
type Data = Readonly<{
  connection: string
  units: readonly string[]
  machines: readonly One[]
  token: string
  since: string
}>

const fingerprintOf = (states: readonly UnitState[], ctx: ReadContext): string =>
  states.map((state) => `${state.unit} ${steadiness(state, ctx.requestedAt)}`).join(', ')

/** Restarts units on one machine at a time, in the order of the settings, and stops where they do not come back. */
export const restartUnits = defineChange({
  id: 'machines.restart-units',
  summary: 'Restart units of a group of machines, one machine at a time',
  effect: 'once',
  risk: 'medium',
  runMinutes: 240,
  params: z.object({
    connection: z.string().describe('Machines connection'),
    group: z.string().describe('Group, as the connection names it'),
    units: listOf(Unit, 'units such as airflow-worker.service, separated by commas')
      .default([])
      .describe('Units, separated by commas; empty for all that the group lists'),
    instances: listOf(InstanceId, 'instance ids, separated by commas')
      .default([])
      .describe('Instance ids, separated by commas; empty for all machines of the group'),
  }),
  async plan({ connection, group: name, units: asked, instances }, ctx) {
    const { client, settings, environment } = await ctx.connect(machines, connection)
    const group = groupOf(settings, name)
    refuseUnlisted(asked, group.units, 'unit', name)
    const units = group.units.filter((unit) => asked.length === 0 || asked.includes(unit))
    if (units.length === 0) throw new Refused(`The group "${name}" lists no units.`)
    const { picked, leftOut } = await chosen(client.reads, group, name, instances, ctx.signal)
    const ids = picked.map((machine) => machine.id)
    const states = await lookAt(connection, ids, units, ctx)
    const gone = states.flat().find((state) => state.load !== 'loaded')
    if (gone) throw new Refused(`There is no unit ${gone.unit} on a machine of "${name}" (${gone.load}).`)
    return {
      summary: `Restart ${units.join(', ')} on ${picked.length} machines of ${name}, one at a time`,
      targets: picked.map((machine, i) =>
        machineTarget(connection, machine, fingerprintOf(states[i]!, ctx), {
          Environment: environment,
          Region: settings.region,
          ...Object.fromEntries(states[i]!.map((s) => [s.unit, steadiness(s, ctx.requestedAt)])),
        }),
      ),
      steps: picked.flatMap((machine) => [
        {
          id: `restart:${machine.id}`,
          title: `Restart on ${machine.name}`,
          detail: `AWS-RunShellScript ${machine.id}: ${restartLine(units)}`,
        },
        {
          id: `back:${machine.id}`,
          title: `Wait until ${machine.name} is back`,
          detail: `systemctl show, for at most ${settings.comeBackSeconds} s`,
        },
      ]),
      warnings: [
        ...(picked.length === 1 ? ['There is one machine: what runs on it stops for the time of the restart.'] : []),
        ...leftOut,
      ],
      data: {
        connection,
        units,
        machines: picked.map((m, i) => ({ instance: m.id, name: m.name, fingerprint: fingerprintOf(states[i]!, ctx) })),
        ...identityOf({ connection, name, units, step: 'restart' }, ctx),
      } satisfies Data,
    }
  },

  async run({ data }, given) {
    const back: string[] = []
    for (const [index, one] of data.machines.entries()) {
      const ctx = await narrowed(given, machines, data.connection, (own, { region }) =>
        scripting(own, region, one.instance),
      )
      const note = (text: string) => ctx.progress(index, data.machines.length, `${one.name}: ${text}`)
      note('restarting')
      await ctx.step(`restart:${one.instance}`, () => restartOn(data, one, ctx))
      const rest = data.machines.length - index - 1
      const states = await ctx.step(`back:${one.instance}`, () =>
        waiting(ctx.signal, () => untilBack(data, one, rest, ctx, note)),
      )
      back.push(`${one.name}: ${states ?? 'back'}`)
      ctx.progress(index + 1, data.machines.length, back.at(-1))
    }
    return `${back.join('. ')}.`
  },

  async verify({ data }, ctx) {
    const ids = data.machines.map((one) => one.instance)
    const all = await lookAt(data.connection, ids, data.units, ctx)
    return data.machines.map((one, i) => ({
      title: `${one.name} is back`,
      ok: all[i]!.every((state) => isUp(state) && !(state.invocation && one.fingerprint.includes(state.invocation))),
      detail: all[i]!.map(described).join(', '),
    }))
  },

  async probe({ data }, step, ctx) {
    const one = data.machines.find((machine) => step.endsWith(`:${machine.instance}`))
    if (!one) return { landed: 'cannot_tell', detail: `The plan has no step ${step}.` }
    if (step.startsWith('back:')) {
      const [states = []] = await lookAt(data.connection, [one.instance], data.units, ctx)
      return { landed: states.every(isUp) ? 'yes' : 'no', detail: states.map(described).join(', ') }
    }
    const { client } = await ctx.connect(machines, data.connection)
    const order = { instance: one.instance, comment: commentOf(data, step), since: data.since }
    return probeCommand(client, order, ctx.signal)
  },
})

const restartLine = (units: readonly string[]) => `systemctl restart -- ${units.map(quote).join(' ')}`

/** Restarts the units of one machine if they are as they were shown. What systemd said is looked at in the next step. */
async function restartOn(data: Data, one: One, ctx: RunContext): Promise<string> {
  const { client, settings } = await ctx.connect(machines, data.connection)
  const [before = []] = await lookAt(data.connection, [one.instance], data.units, ctx)
  if (fingerprintOf(before, ctx) !== one.fingerprint)
    throw new Refused(`A unit of ${one.name} was started or stopped since the plan was shown. Make the plan again.`)
  // A unit that does not come up is an end that is known: the command itself has done its work.
  const script = [`${restartLine(data.units)} 2>&1 || echo "exit code $?"`]
  const comment = commentOf(data, `restart:${one.instance}`)
  const note = (text: string) => ctx.progress(data.machines.indexOf(one), data.machines.length, `${one.name}: ${text}`)
  const said = await perform(client, settings, { instance: one.instance, script, comment }, ctx.signal, note)
  return lastLines(said, 300)
}

/** How often in a row a unit must be up, and up by the same start: one that crashes and is restarted is not back. */
const LOOKS = 3

/** Waits until all units of a machine are up, and stay so for a few looks. */
export async function untilBack(
  data: Pick<Data, 'connection' | 'units'>,
  one: Pick<One, 'instance' | 'name'>,
  rest: number,
  ctx: RunContext,
  note: (text: string) => void,
): Promise<string> {
  const { settings } = await ctx.connect(machines, data.connection)
  const until = ctx.now().getTime() + settings.comeBackSeconds * 1000
  let before = ''
  let inRow = 0
  for (;;) {
    const [states = []] = await lookAt(data.connection, [one.instance], data.units, ctx, note)
    const now = states.map((state) => state.invocation).join()
    inRow = !states.every(isUp) ? 0 : now === before ? inRow + 1 : 1
    before = now
    const shown = states.map(described).join(', ')
    if (inRow >= LOOKS) return shown
    const untouched = rest > 0 ? `; ${rest} machines after it were not touched` : ''
    if (ctx.now().getTime() > until)
      throw new Error(`${one.name} did not come back within ${settings.comeBackSeconds} s: ${shown}${untouched}`)
    await pause(settings.pollSeconds, ctx.signal)
  }
}
