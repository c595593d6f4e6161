import { z } from 'zod'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { maskSecrets } from '../mask.ts'
import { ask } from './fleet.ts'
import { saidOf } from './send.ts'
import { quote } from './shell.ts'

/** Processes sampled on each machine. */
const MOST = 3
/** Machines whose processes are shown. */
const SHOWN = 10
const MOST_BYTES = 6_000

/** Where the running Python processes stand whose command line holds a text: names of functions and lines, no values. */
export const machinesStackSample = defineRead({
  id: 'machines.stack-sample',
  summary: 'Show where running Python processes of a group of machines stand',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Machines connection'),
    group: z.string().describe('Group, as the connection names it'),
    process: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9 :_.+/@-]{2,250}$/, 'a part of the command line: letters, digits and : _ . + / @ -')
      .describe('Part of the command line of the process'),
  }),
  async read({ connection, group: name, process }, ctx) {
    const { answers } = await ask(
      connection,
      name,
      ({ pySpy }) => {
        if (!pySpy) throw new Refused(`The group "${name}" does not say where pySpy is.`)
        // As pgrep reads it, each of these stands for itself.
        const literal = process.replace(/[.+]/g, '[$&]')
        return [
          `for pid in $(pgrep -f -- ${quote(literal)} | head -n ${MOST}); do`,
          `  echo "pid $pid"; timeout 15 ${quote(pySpy)} dump --pid "$pid" 2>&1`,
          `done | head -c ${MOST_BYTES}`,
        ]
      },
      ctx,
    )
    const said = answers.map((one) => ({ machine: one.machine, ...saidOf(one.result) }))
    const found = said.filter((one) => one.out.trim() !== '')
    const silent = said.filter((one) => one.fault !== null).map((one) => ` ${one.machine.name} ${one.fault}.`)
    return {
      summary:
        (found.length === 0
          ? `No machine of ${name} that is reached runs a process with “${process}” in its command line.`
          : `Processes with “${process}” run on ${found.map((one) => one.machine.name).join(', ')}.`) + silent.join(''),
      blocks: found.slice(0, SHOWN).flatMap(({ machine, out }) => [
        { type: 'text' as const, text: `${machine.name} (${machine.id})` },
        { type: 'code' as const, text: maskSecrets(out.trim()) },
      ]),
    }
  },
})
