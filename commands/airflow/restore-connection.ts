import { z } from 'zod'
import { defineChange, type ReadContext, Refused } from '../../src/domain/command.ts'
import { airflow, type Settings } from './connection.ts'
import type { StoredConnection } from './nouns.ts'
import { line } from './show.ts'

type Good = Settings['connections'][string]
/** The old value is kept here, in the plan, as far as Airflow shows it: never its password, and of `extra` only the keys. */
type Data = Readonly<{ connection: string; id: string; before: StoredConnection | null }>

/** The last good value of a connection, or undefined. */
export const goodOf = (settings: Settings, id: string): Good | undefined =>
  Object.hasOwn(settings.connections, id) ? settings.connections[id] : undefined

/** What can be seen to differ, field by field as `old → new`. */
export function differences(stored: StoredConnection | null, good: Good): Record<string, string> {
  const fields = ['type', 'host', 'login', 'schema', 'port'] as const
  const show = (value: string | number | null | undefined) => (value ? line(String(value)) : 'empty')
  const differing = fields.filter((field) => String(stored?.[field] ?? '') !== String(good[field] ?? ''))
  return Object.fromEntries(differing.map((field) => [field, `${show(stored?.[field])} → ${show(good[field])}`]))
}

/**
 * Where Airflow looks before its database: a secrets backend, then this environment variable (docs: "Secrets Backend",
 * search path). No API shows either.
 */
export const variableOf = (id: string): string => `AIRFLOW_CONN_${id.toUpperCase()}`

/** Writes the last good value of a connection back; its secrets go from the environment to Airflow and nowhere else. */
export const restoreConnection = defineChange({
  id: 'airflow.restore-connection',
  summary: "Write the last good value of one of Airflow's connections back",
  effect: 'idempotent',
  risk: 'medium',
  params: z.object({
    connection: z.string().describe('Airflow connection'),
    id: z.string().describe("Id of Airflow's own connection"),
  }),
  async plan({ connection, id }, ctx) {
    const { client, settings } = await ctx.connect(airflow, connection)
    const good = goodOf(settings, id)
    if (!good)
      throw new Refused(
        `No last good value of "${id}" is configured for "${connection}". There is one of: ${Object.keys(settings.connections).sort().join(', ') || 'none'}.`,
      )
    const before = await client.connection(id, ctx.signal)
    const secrets = {
      ...(good.passwordFrom && { password: `from the variable ${good.passwordFrom}, not shown` }),
      ...(good.extraFrom && {
        extra: `from the variable ${good.extraFrom}, not shown; its keys now: ${before?.extraKeys.join(', ') || 'none'}`,
      }),
    }
    const details = { ...differences(before, good), ...secrets }
    if (Object.keys(details).length === 0)
      throw new Refused(`The connection ${id} has its last good value already. Nothing to do.`)
    return {
      summary: `${before ? 'Restore' : 'Make'} the connection ${id} of Airflow from its last good value`,
      targets: [
        {
          id: `airflow:${connection}/connection/${id}`,
          name: `connection ${id}`,
          fingerprint: before ? JSON.stringify(before) : 'absent',
          details: { State: before ? 'exists' : 'absent', ...details },
        },
      ],
      steps: [
        {
          id: 'write',
          title: `Write ${id}`,
          detail: `${before ? `PATCH connections/${id}` : 'POST connections'} ${Object.keys(details).join(', ')}`,
        },
      ],
      warnings: [
        ...(before
          ? []
          : [
              `${id} is not in Airflow's database. If it stood in ${variableOf(id)} or in a secrets backend, mend it there: these go first, and the row that this makes is then read by nobody.`,
            ]),
        ...(before && good.passwordFrom
          ? [
              'Airflow gives no password out: the one that is replaced is not kept. All else of the old value is kept in this plan.',
            ]
          : []),
        'What has read the old value keeps it until it restarts: restart the web server (Airflow 3: the API server) afterwards.',
      ],
      data: { connection, id, before } satisfies Data,
    }
  },
  async run({ data }, ctx) {
    const { client, settings } = await ctx.connect(airflow, data.connection)
    await ctx.step('write', async (): Promise<undefined> => {
      const good = goodOf(settings, data.id)
      const now = await client.connection(data.id, ctx.signal)
      if (!good || JSON.stringify(now) !== JSON.stringify(data.before))
        throw new Refused(`The connection ${data.id} is not as it was when this was approved.`)
      await client.restoreConnection(data.id, good, now !== null, ctx.signal)
    })
    return `The connection ${data.id} has its last good value again. The web server (Airflow 3: the API server) reads it after a restart.`
  },
  async verify({ data }, ctx) {
    const { visible, detail, good } = await look(data, ctx)
    const { client } = await ctx.connect(airflow, data.connection)
    const test = good && (await client.testConnection(data.id, good, ctx.signal))
    return [
      { title: 'All that can be seen is the last good value', ok: visible, detail },
      ...(test ? [{ title: 'Airflow connects with it', ok: test.status, detail: line(test.message) }] : []),
    ]
  },
  async probe({ data }, _step, ctx) {
    const { now, visible, detail } = await look(data, ctx)
    if (JSON.stringify(now) !== JSON.stringify(data.before)) return { landed: visible ? 'yes' : 'cannot_tell', detail }
    // Nothing that can be seen has changed: if it had to, nothing was written; if only secrets did, nobody can see it.
    return { landed: visible ? 'cannot_tell' : 'no', detail }
  },
})

async function look(data: Data, ctx: ReadContext) {
  const { client, settings } = await ctx.connect(airflow, data.connection)
  const good = goodOf(settings, data.id)
  const now = await client.connection(data.id, ctx.signal)
  const differ = good ? Object.keys(differences(now, good)) : ['no last good value is configured']
  return { good, now, visible: now !== null && differ.length === 0, detail: differ.join(', ') }
}
