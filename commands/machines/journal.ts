import { z } from 'zod'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { maskSecrets } from '../mask.ts'
import { refuseUnlisted } from './connection.ts'
import { ask } from './fleet.ts'
import { saidOf } from './send.ts'
import { quote, Unit } from './shell.ts'

/** Systems Manager keeps the beginning of an output; the end is what matters here. */
const MOST_BYTES = 6_000
/** Machines whose lines are shown. */
const SHOWN = 10

/** Shows the last lines that a unit wrote, on each machine of a group. */
export const machinesJournal = defineRead({
  id: 'machines.journal',
  summary: 'Show the last lines of a unit’s journal',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Machines connection'),
    group: z.string().describe('Group, as the connection names it'),
    unit: Unit.describe('Unit, as in airflow-scheduler.service'),
    lines: z.coerce.number().int().min(1).max(200).default(20).describe('How many lines'),
  }),
  async read({ connection, group: name, unit, lines }, ctx) {
    const { answers } = await ask(
      connection,
      name,
      (group) => {
        refuseUnlisted([unit], group.units, 'unit', name)
        return [
          `journalctl --no-pager --utc --output=short-iso --lines=${lines} --unit=${quote(unit)} | tail -c ${MOST_BYTES}`,
        ]
      },
      ctx,
    )
    const said = answers.map((one) => ({ machine: one.machine, ...saidOf(one.result) }))
    const told = said.filter((one) => one.fault === null)
    if (told.length === 0)
      throw new Refused(`No machine of the group "${name}" answers: ${said[0]?.machine.name} ${said[0]?.fault}.`)
    const silent = said.filter((one) => one.fault !== null).map((one) => `${one.machine.name} ${one.fault}`)
    const rest = told.length > SHOWN ? `; those of ${told.length - SHOWN} more are not shown` : ''
    return {
      summary: `The last ${lines} lines of ${unit} on ${told.length} of ${answers.length} machines of ${name}${rest}.${silent.map((one) => ` ${one}.`).join('')}`,
      blocks: told.slice(0, SHOWN).flatMap(({ machine, out }) => [
        { type: 'text' as const, text: `${machine.name} (${machine.id})` },
        { type: 'code' as const, text: maskSecrets(out.trimEnd()) || '-- No entries --' },
      ]),
    }
  },
})
