import { z } from 'zod'
import { defineRead, type ReadContext, Refused } from '../../src/domain/command.ts'
import { ask } from './fleet.ts'
import { listScript, parsePackages } from './inventory.ts'
import { saidOf } from './send.ts'

const SHOWN = 60

/** Shows the packages whose versions differ between two groups, or within one of them; what is equal is left out. */
export const machinesPackages = defineRead({
  id: 'machines.packages',
  summary: 'Show which packages differ between two groups of machines',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Machines connection'),
    group: z.string().describe('Group, as the connection names it'),
    against: z.string().describe('Group to compare with'),
    againstConnection: z.string().default('').describe('Machines connection of that group; empty for the same'),
  }),
  async read({ connection, group, against, againstConnection }, ctx) {
    const here = await versionsOf(connection, group, ctx)
    const there = await versionsOf(againstConnection || connection, against, ctx)
    const names = [...new Set([...here.versions.keys(), ...there.versions.keys()])].sort()
    const say = (side: typeof here, name: string) => {
      const found = side.versions.get(name)
      const missing = side.machines - [...(found?.values() ?? [])].reduce((sum, count) => sum + count, 0)
      const all = [...(found ?? []), ...(missing > 0 ? [['not installed', missing] as const] : [])]
      return all.length === 1
        ? all[0]![0]
        : all
            .map(([version, count]) => `${version} (${count} machines)`)
            .sort()
            .join(', ')
    }
    const rows = names
      .map((name) => [name, say(here, name), say(there, name)])
      .filter(([, a, b]) => a !== b || a?.includes(' machines)'))
    return {
      summary: `${rows.length} of ${names.length} packages differ between ${group} (${here.environment}, ${here.machines} machines) and ${against} (${there.environment}, ${there.machines} machines).${[...here.silent, ...there.silent].map((one) => ` ${one}.`).join('')}`,
      blocks: [
        {
          type: 'table',
          columns: ['Package', group, against],
          rows: rows.slice(0, SHOWN),
          omitted: Math.max(0, rows.length - SHOWN),
        },
      ],
    }
  },
})

/** How many machines of a group have which version of which package. */
async function versionsOf(connection: string, name: string, ctx: ReadContext) {
  const { answers, environment } = await ask(connection, name, listScript, ctx)
  const versions = new Map<string, Map<string, number>>()
  const silent: string[] = []
  let reached = 0
  for (const { machine, result } of answers) {
    const { out, fault } = saidOf(result)
    try {
      if (fault !== null) throw new Error(fault)
      for (const [pack, version] of parsePackages(out)) {
        const counts = versions.get(pack) ?? new Map<string, number>()
        counts.set(version, (counts.get(version) ?? 0) + 1)
        versions.set(pack, counts)
      }
      reached++
    } catch (error) {
      silent.push(`${machine.name} ${(error as Error).message}`)
    }
  }
  if (reached === 0) throw new Refused(`No machine of the group "${name}" answers: ${silent[0]}.`)
  return { versions, machines: reached, environment, silent }
}
