import { z } from 'zod'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { ask } from './fleet.ts'
import { saidOf } from './send.ts'
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
    const said = answers.map(({ machine, result }) => {
      const { out, fault } = saidOf(result)
      if (fault !== null) return { machine, states: [], fault }
      try {
        return { machine, states: parseUnits(group.units, out), fault }
      } catch (error) {
        return { machine, states: [], fault: (error as Error).message }
      }
    })
    const lost = said.filter((one) => one.fault !== null)
    const states = said.flatMap(({ machine, states: own }) => own.map((state) => ({ machine, state })))
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
    const unknown = lost.map((one) => `${one.machine.name} ${one.fault}`).join('; ')
    const unreached = lost.length > 0 ? ` Not known of ${lost.length} machines: ${unknown}.` : ''
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
