import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { airflow } from './connection.ts'
import { differences, goodOf, variableOf } from './restore-connection.ts'
import { line } from './show.ts'

/** Whether a connection of Airflow exists, how it differs from its last good value, and whether that value works. */
export const checkConnection = defineRead({
  id: 'airflow.connection',
  summary: 'Show whether a connection of Airflow resolves and works, without its secrets',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Airflow connection'),
    id: z.string().describe("Id of Airflow's own connection, such as the one of the remote logs"),
  }),
  async read({ connection, id }, ctx) {
    const { client, settings } = await ctx.connect(airflow, connection)
    const stored = await client.connection(id, ctx.signal)
    const good = goodOf(settings, id)
    const rows = stored
      ? [
          ['Type', stored.type],
          ['Host', line(stored.host)],
          ['Login', line(stored.login)],
          ['Schema', line(stored.schema)],
          ['Port', String(stored.port ?? '')],
          ['Keys of extra', stored.extraKeys.map((key) => line(key, 60)).join(', ')],
        ]
      : []
    const changed = good && stored ? Object.keys(differences(stored, good)) : []
    const test = good && (await client.testConnection(id, good, ctx.signal))
    const said = [
      stored
        ? `The connection ${id} exists in Airflow.`
        : `The connection ${id} is not in Airflow's database. It may stand in ${variableOf(id)} or in a secrets backend, which this API does not show.`,
      stored && `A value in ${variableOf(id)} or in a secrets backend goes before this one, and is not shown here.`,
      !good
        ? 'No last good value of it is configured.'
        : stored &&
          (changed.length > 0
            ? `It differs from its last good value in: ${changed.join(', ')}.`
            : 'All that can be seen of it is as in its last good value; the password cannot be seen.'),
      good &&
        (test
          ? `The last good value ${test.status ? 'works' : 'does not work'}: ${line(test.message)}`
          : 'Airflow does not allow to test connections here.'),
    ].filter(Boolean)
    return {
      summary: said[0] as string,
      blocks: [
        ...(rows.length > 0 ? [{ type: 'table' as const, columns: ['', 'Now'], rows, omitted: 0 }] : []),
        { type: 'text', text: said.join('\n') },
      ],
    }
  },
})
