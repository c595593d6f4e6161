import { z } from 'zod'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { narrowed } from '../aws/narrow.ts'
import { waiting } from '../settle.ts'
import { type Group, groupOf, machines, refuseUnlisted } from './connection.ts'
import { chosen, machineTarget } from './fleet.ts'
import { identityOf } from './identity.ts'
import { deleteScript, findOld, oldOn } from './old-files.ts'
import { untilBack } from './restart-units.ts'
import { scripting } from './rights.ts'
import { commentOf, perform, probeCommand } from './send.ts'
import { Folder, InstanceId, listOf, quote, Unit } from './shell.ts'
import { described, isUp, lookAt } from './unit-state.ts'

type One = Readonly<{ instance: string; name: string; hash: string; files: number; bytes: number }>
type Data = Readonly<{
  connection: string
  folder: string
  before: string
  unit: string
  machines: readonly One[]
  token: string
  since: string
}>

/** Deletes files of a configured folder that are older than a time, and restarts a unit then; one machine at a time. */
export const cleanUp = defineChange({
  id: 'machines.clean-up',
  summary: 'Delete old files below a configured folder of a group of machines, then restart a unit',
  effect: 'once',
  risk: 'medium',
  runMinutes: 240,
  params: z.object({
    connection: z.string().describe('Machines connection'),
    group: z.string().describe('Group, as the connection names it'),
    folder: Folder.describe('Folder: one of the configured ones, or below one of them'),
    olderThanHours: z.coerce.number().positive().max(87_600).describe('Age from which on files are deleted, in hours'),
    unit: z
      .union([z.literal(''), Unit])
      .default('')
      .describe('Unit to restart afterwards; empty for none'),
    instances: listOf(InstanceId, 'instance ids, separated by commas')
      .default([])
      .describe('Instance ids, separated by commas; empty for all machines of the group'),
  }),
  async plan({ connection, group: name, folder, olderThanHours, unit, instances }, ctx) {
    const { client, settings, environment } = await ctx.connect(machines, connection)
    const group = groupOf(settings, name)
    if (unit) refuseUnlisted([unit], group.units, 'unit', name)
    const keep = keepHours(group, folder, name)
    if (olderThanHours < keep)
      throw new Refused(
        `Files of ${folder} are kept for ${keep} hours; ${olderThanHours} hours would delete newer ones.`,
      )
    // A fixed time: "older than" would be another set of files a minute later.
    const before = new Date(ctx.requestedAt.getTime() - olderThanHours * 3_600_000).toISOString()
    const { picked: all, leftOut } = await chosen(client.reads, group, name, instances, ctx.signal)
    const old = await oldOn(
      connection,
      all.map((machine) => machine.id),
      folder,
      before,
      ctx,
    )
    const picked = all.filter((machine) => old.get(machine.id)!.files > 0)
    if (picked.length === 0) throw new Refused(`No file below ${folder} is from before ${before}: nothing to delete.`)
    const sum = (of: 'files' | 'bytes') => picked.reduce((total, machine) => total + old.get(machine.id)![of], 0)
    return {
      summary: `Delete ${sum('files')} files (${mib(sum('bytes'))}) below ${folder} from before ${before} on ${picked.length} machines of ${name}`,
      targets: picked.map((machine) => {
        const found = old.get(machine.id)!
        return machineTarget(connection, machine, found.hash, {
          Environment: environment,
          Region: settings.region,
          Folder: folder,
          Files: `${found.files}, ${mib(found.bytes)}`,
          Oldest: found.oldest,
          'Some of them': found.sample.join(', '),
        })
      }),
      steps: picked.flatMap((machine) => [
        {
          id: `clean:${machine.id}`,
          title: `Delete ${old.get(machine.id)!.files} files on ${machine.name}`,
          detail: `AWS-RunShellScript ${machine.id}: ${findOld(folder, before)} -delete`,
        },
        ...(unit
          ? [
              {
                id: `restart:${machine.id}`,
                title: `Restart ${unit} on ${machine.name}`,
                detail: `AWS-RunShellScript ${machine.id}: ${restart(unit)}`,
              },
              { id: `back:${machine.id}`, title: `Wait until ${unit} is back`, detail: 'systemctl show' },
            ]
          : []),
      ]),
      warnings: ['Deleted files do not come back.', ...leftOut],
      data: {
        connection,
        folder,
        before,
        unit,
        machines: picked.map((machine) => {
          const { hash, files, bytes } = old.get(machine.id)!
          return { instance: machine.id, name: machine.name, hash, files, bytes }
        }),
        ...identityOf({ connection, name, folder, step: 'clean' }, ctx),
      } satisfies Data,
    }
  },

  async run({ data }, given) {
    for (const [index, one] of data.machines.entries()) {
      const ctx = await narrowed(given, machines, data.connection, (own, { region }) =>
        scripting(own, region, one.instance),
      )
      const { client, settings } = await ctx.connect(machines, data.connection)
      const note = (text: string) => ctx.progress(index, data.machines.length, `${one.name}: ${text}`)
      const on = (step: string, script: readonly string[]) => {
        const order = { instance: one.instance, script, comment: commentOf(data, step) }
        return perform(client, settings, order, ctx.signal, note)
      }
      ctx.progress(index, data.machines.length, one.name)
      const clean = `clean:${one.instance}`
      await ctx.step(clean, async () => {
        await on(clean, deleteScript(data.folder, data.before, one.hash))
        return null
      })
      if (!data.unit) continue
      const again = `restart:${one.instance}`
      await ctx.step(again, async () => {
        await on(again, [`${restart(data.unit)} || true`])
        return null
      })
      const rest = data.machines.length - index - 1
      const units = { connection: data.connection, units: [data.unit] }
      await ctx.step(`back:${one.instance}`, () => waiting(ctx.signal, () => untilBack(units, one, rest, ctx, note)))
    }
    const total = (of: 'files' | 'bytes') => data.machines.reduce((sum, one) => sum + one[of], 0)
    return `${total('files')} files (${mib(total('bytes'))}) were deleted on ${data.machines.map((one) => one.name).join(', ')}.`
  },

  async verify({ data }, ctx) {
    const ids = data.machines.map((one) => one.instance)
    const old = await oldOn(data.connection, ids, data.folder, data.before, ctx)
    const states = data.unit ? await lookAt(data.connection, ids, [data.unit], ctx) : []
    return data.machines.flatMap((one, i) => {
      const { files } = old.get(one.instance)!
      const state = states[i]?.[0]
      return [
        { title: `${one.name} has no such old files`, ok: files === 0, detail: `${files} files` },
        ...(state ? [{ title: `${data.unit} runs on ${one.name}`, ok: isUp(state), detail: described(state) }] : []),
      ]
    })
  },

  async probe({ data }, step, ctx) {
    const one = data.machines.find((machine) => step.endsWith(`:${machine.instance}`))
    if (!one) return { landed: 'cannot_tell', detail: `The plan has no step ${step}.` }
    if (step.startsWith('back:')) {
      const [states = []] = await lookAt(data.connection, [one.instance], [data.unit], ctx)
      return { landed: states.every(isUp) ? 'yes' : 'no', detail: states.map(described).join(', ') }
    }
    const { client } = await ctx.connect(machines, data.connection)
    const order = { instance: one.instance, comment: commentOf(data, step), since: data.since }
    const command = await probeCommand(client, order, ctx.signal)
    if (step.startsWith('restart:')) return { landed: command.landed, detail: command.detail }
    const left = (await oldOn(data.connection, [one.instance], data.folder, data.before, ctx)).get(one.instance)!
    const detail = `${left.files} of ${one.files} files are left. ${command.detail}`
    if (left.files === 0) return { landed: 'yes', detail }
    return { landed: command.over && left.hash === one.hash ? 'no' : 'cannot_tell', detail }
  },
})

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`
const restart = (unit: string): string => `systemctl restart -- ${quote(unit)}`

/** The hours that files of this folder are kept; Refused when it is neither configured nor below a configured one. */
function keepHours(group: Group, folder: string, name: string): number {
  const above = Object.entries(group.folders).filter(([one]) => folder === one || folder.startsWith(`${one}/`))
  if (above.length === 0)
    throw new Refused(
      `${folder} is not below a folder that the group "${name}" lists. It lists: ${Object.keys(group.folders).join(', ') || 'none'}.`,
    )
  return Math.max(...above.map(([, { keepHours: hours }]) => hours))
}
