import { z } from 'zod'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { ask } from './fleet.ts'
import { outputOf } from './send.ts'
import { described, isUp, parseUnits, showScript } from './unit-state.ts'

/** Shows every listed unit of a group, machine by machine, those that are down first. */
export const machinesUnits = defineRead({
  id: 'machines.units',
  summary: 'Show the state of the units of a group of machines',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Machines connection'),
    group: z.string().describe('Group, as the connection names it'),
  }),
  async read({ connection, group: name }, ctx) {
    const { answers, group, environment } = await ask(
      connection,
      name,
      ({ units }) => {
        if (units.length === 0) throw new Refused(`The group "${name}" lists no units.`)
        return showScript(units)
      },
      ctx,
    )
    const lost = answers.filter((one) => one.result === null)
    const states = answers
      .filter((one) => one.result !== null)
      .flatMap((one) =>
        parseUnits(group.units, outputOf(one.machine.name, one.result)).map((state) => ({
          machine: one.machine,
          state,
        })),
      )
    const down = states.filter(({ state }) => !isUp(state))
    const rows = [...down, ...states.filter(({ state }) => isUp(state))].map(({ machine, state }) => [
      machine.name,
      machine.id,
      state.unit,
      state.load === 'loaded' ? `${state.active} (${state.sub})` : state.load,
      state.since || 'never',
      state.restarts || '0',
    ])
    const first = down[0] ? `; ${down[0].machine.name}: ${described(down[0].state)}` : ''
    const unreached = lost.length > 0 ? ` Not reached: ${lost.map((one) => one.machine.name).join(', ')}.` : ''
    return {
      summary: `${down.length} of ${states.length} units of ${name} (${environment}) are down${first}.${unreached}`,
      blocks: [
        {
          type: 'table',
          columns: ['Machine', 'Instance', 'Unit', 'State', 'Active since', 'Restarts'],
          rows: rows.slice(0, 60),
          omitted: Math.max(0, rows.length - 60),
        },
      ],
    }
  },
})
