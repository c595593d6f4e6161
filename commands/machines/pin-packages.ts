import { z } from 'zod'
import type { ReadContext } from '../../src/domain/command.ts'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { narrowed } from '../aws/narrow.ts'
import { groupOf, machines, refuseUnlisted } from './connection.ts'
import { chosen, machineTarget } from './fleet.ts'
import { identityOf } from './identity.ts'
import { listScript, type Pin, parsePackages, pinScript } from './inventory.ts'
import { scripting } from './rights.ts'
import { commentOf, look, outputOf, perform, probeCommand } from './send.ts'
import { InstanceId, listOf, Package, Version } from './shell.ts'
import { refuseSurprises, type Simulated, shownChanges, simulatedOn } from './simulate.ts'

type One = Readonly<{
  instance: string
  name: string
  fingerprint: string
  /** What the package manager said that it would do; empty where it was not asked. */
  shown: string
  changes: Simulated['changes']
  /** Requirements of Python that were not met before. */
  broken: readonly string[]
}>
type Data = Readonly<{
  connection: string
  group: string
  pins: readonly Pin[]
  machines: readonly One[]
  token: string
  since: string
}>

/** `name=version`, as the plan shows it. */
const Pinned = z.string().refine((text) => {
  const { name, version } = pinOf(text)
  return Package.safeParse(name).success && Version.safeParse(version).success
})
const pinOf = (text: string): Pin => {
  const [name = '', ...version] = text.split('=')
  return { name, version: version.join('=') }
}

/** Installs exact versions of listed packages on one machine at a time, and stops at the first where that fails. */
export const pinPackages = defineChange({
  id: 'machines.pin-packages',
  summary: 'Install exact versions of packages on a group of machines, one machine at a time',
  effect: 'idempotent',
  risk: 'high',
  runMinutes: 240,
  params: z.object({
    connection: z.string().describe('Machines connection'),
    group: z.string().describe('Group, as the connection names it'),
    packages: listOf(Pinned, 'packages such as apache-airflow=2.9.3, separated by commas').describe(
      'Packages as name=version, separated by commas',
    ),
    instances: listOf(InstanceId, 'instance ids, separated by commas')
      .default([])
      .describe('Instance ids, separated by commas; empty for all machines of the group'),
  }),
  async plan({ connection, group: name, packages, instances }, ctx) {
    const { client, settings, environment } = await ctx.connect(machines, connection)
    const group = groupOf(settings, name)
    const pins = packages.map(pinOf).sort((a, b) => a.name.localeCompare(b.name))
    if (pins.length === 0) throw new Refused('Name at least one package.')
    const twice = pins.find((pin, i) => pins[i + 1]?.name === pin.name)
    if (twice) throw new Refused(`${twice.name} is named with two versions.`)
    const names = pins.map((pin) => pin.name)
    refuseUnlisted(names, group.packages, 'package', name)
    const { picked: all, leftOut } = await chosen(client.reads, group, name, instances, ctx.signal)
    const installed = await installedOn(
      connection,
      name,
      all.map((machine) => machine.id),
      names,
      ctx,
    )
    const picked = all.filter((machine) => installed.get(machine.id) !== wantedOf(pins))
    if (picked.length === 0) throw new Refused(`All machines of ${name} have ${wantedOf(pins)} already.`)
    const ids = picked.map((machine) => machine.id)
    const simulated = await simulatedOn(connection, name, ids, pins, ctx)
    for (const machine of picked) {
      const found = simulated.get(machine.id)
      if (found) refuseSurprises(machine.name, found, pins)
    }
    const shownOf = (id: string): string => {
      const found = simulated.get(id)
      return found ? shownChanges(found) : ''
    }
    return {
      summary: `Pin ${wantedOf(pins)} on ${picked.length} of ${all.length} machines of ${name}, one at a time`,
      targets: picked.map((machine) =>
        machineTarget(connection, machine, `${installed.get(machine.id)!} ${shownOf(machine.id)}`.trim(), {
          Environment: environment,
          Region: settings.region,
          Installed: installed.get(machine.id)!,
          Wanted: wantedOf(pins),
          ...(simulated.has(machine.id) ? { 'All that changes': shownOf(machine.id).slice(0, 1_500) } : {}),
        }),
      ),
      steps: picked.map((machine) => ({
        id: `pin:${machine.id}`,
        title: `Install on ${machine.name}`,
        detail: `AWS-RunShellScript ${machine.id}: ${pinScript(group, pins, simulated.get(machine.id)?.changes).join('; ')}`,
      })),
      warnings: [
        'Units go on with the old versions until they are restarted.',
        ...(simulated.size === 0
          ? [
              'dnf was not asked what else it would change: it does so with the installation. It removes nothing for a conflict.',
            ]
          : []),
        ...picked.flatMap((machine) => {
          const { broken = [] } = simulated.get(machine.id) ?? {}
          return broken.length > 0
            ? [`${machine.name} has ${broken.length} unmet requirements already: ${broken[0]}.`]
            : []
        }),
        ...leftOut,
      ],
      data: {
        connection,
        group: name,
        pins,
        machines: picked.map((m) => ({
          instance: m.id,
          name: m.name,
          fingerprint: installed.get(m.id)!,
          shown: shownOf(m.id),
          changes: simulated.get(m.id)?.changes ?? [],
          broken: simulated.get(m.id)?.broken ?? [],
        })),
        ...identityOf({ connection, name, pins, step: 'pin' }, ctx),
      } satisfies Data,
    }
  },

  async run({ data }, given) {
    for (const [index, one] of data.machines.entries()) {
      const ctx = await narrowed(given, machines, data.connection, (own, { region }) =>
        scripting(own, region, one.instance),
      )
      const { client, settings } = await ctx.connect(machines, data.connection)
      const group = groupOf(settings, data.group)
      ctx.progress(index, data.machines.length, one.name)
      await ctx.step(`pin:${one.instance}`, async () => {
        const now = await versionsOn(data, one.instance, ctx)
        if (now === wantedOf(data.pins)) return now
        if (now !== one.fingerprint)
          throw new Refused(`${one.name} has ${now} now, not ${one.fingerprint} as was shown. Make the plan again.`)
        const [simulated] = (await simulatedOn(data.connection, data.group, [one.instance], data.pins, ctx)).values()
        if (simulated) {
          refuseSurprises(one.name, simulated, data.pins)
          if (shownChanges(simulated) !== one.shown)
            throw new Refused(
              `${one.name} would change ${shownChanges(simulated)} now, not what was shown. Make the plan again.`,
            )
        }
        const order = { instance: one.instance, script: pinScript(group, data.pins, one.changes) }
        await perform(client, settings, { ...order, comment: commentOf(data, `pin:${one.instance}`) }, ctx.signal)
        const after = await versionsOn(data, one.instance, ctx)
        if (after !== wantedOf(data.pins)) throw new Error(`${one.name} has ${after} after the installation`)
        return after
      })
    }
    return `${data.machines.map((one) => one.name).join(', ')} got ${wantedOf(data.pins)}. Restart the units that use them.`
  },

  async verify({ data }, ctx) {
    const names = data.pins.map((pin) => pin.name)
    const ids = data.machines.map((one) => one.instance)
    const installed = await installedOn(data.connection, data.group, ids, names, ctx)
    const versions = data.machines.map((one) => ({
      title: `${one.name} has the versions`,
      ok: installed.get(one.instance) === wantedOf(data.pins),
      detail: installed.get(one.instance) ?? '',
    }))
    const { settings } = await ctx.connect(machines, data.connection)
    if (groupOf(settings, data.group).packageManager !== 'pip') return versions
    // As `pip check` does, but for what was so before.
    const simulated = await simulatedOn(data.connection, data.group, ids, data.pins, ctx)
    const fits = data.machines.map((one) => {
      const fresh = (simulated.get(one.instance)?.broken ?? []).filter((text) => !one.broken.includes(text))
      return { title: `What ${one.name} has fits together`, ok: fresh.length === 0, detail: fresh.join('; ') }
    })
    return [...versions, ...fits]
  },

  async probe({ data }, step, ctx) {
    const one = data.machines.find((machine) => step === `pin:${machine.instance}`)
    if (!one) return { landed: 'cannot_tell', detail: `The plan has no step ${step}.` }
    const { client } = await ctx.connect(machines, data.connection)
    const order = { instance: one.instance, comment: commentOf(data, step), since: data.since }
    const command = await probeCommand(client, order, ctx.signal)
    const now = await versionsOn(data, one.instance, ctx)
    const detail = `${one.name} has ${now}. ${command.detail}`
    if (now === wantedOf(data.pins)) return { landed: 'yes', detail }
    // A command that may still run can change the versions in the next second.
    return { landed: command.over && now === one.fingerprint ? 'no' : 'cannot_tell', detail }
  },
})

const wantedOf = (pins: readonly Pin[]): string => pins.map((pin) => `${pin.name}=${pin.version}`).join(' ')

const versionsOn = async (data: Data, instance: string, ctx: ReadContext): Promise<string> => {
  const names = data.pins.map((pin) => pin.name)
  return (await installedOn(data.connection, data.group, [instance], names, ctx)).get(instance)!
}

/** The versions of the named packages, as one text by machine. */
async function installedOn(
  connection: string,
  name: string,
  instances: readonly string[],
  packages: readonly string[],
  ctx: ReadContext,
): Promise<Map<string, string>> {
  const { client, settings } = await ctx.connect(machines, connection)
  const script = listScript(groupOf(settings, name))
  const results = await look(client, settings, { instances, script }, ctx.signal)
  return new Map(
    [...results].map(([instance, result]) => {
      const all = parsePackages(outputOf(instance, result))
      return [instance, packages.map((one) => `${one}=${all.get(one) ?? 'none'}`).join(' ')]
    }),
  )
}
