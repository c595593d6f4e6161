import { z } from 'zod'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { readValues } from '../values.ts'
import { call, examine, failure, open } from './run.ts'

/** Runs a script that the settings call read-only, and shows what it says. No other script is run without a decision. */
export const scriptLook = defineRead({
  id: 'script.look',
  summary: 'Show what an allowed read-only script says',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Script connection'),
    script: z.string().describe('Name of the script'),
    args: z.array(z.string()).default([]).describe('Its parameters, one name=value each'),
  }),
  async read({ connection, script: name, args }, ctx) {
    const { client, script } = await open(connection, name, ctx)
    if (!script.readOnly)
      throw new Refused(`The settings do not call ${name} read-only: it runs by script.run, after a decision.`)
    const values = readValues('The script', script.params, args)
    await examine(script.path)
    const ended = await call(script, script, values, client, ctx.signal)
    if (ended.stopped || ended.code === null) throw new Refused(failure(name, script, ended))
    const { output, cut } = ended
    return {
      summary: `${name} ended with exit code ${ended.code}${cut ? '; its output was cut' : ''}.`,
      blocks: output.trim() === '' ? [] : [{ type: 'code', text: output }],
    }
  },
})
