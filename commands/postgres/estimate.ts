import type { Client, QueryConfig } from 'pg'
import type { Sql } from './session.ts'
import { clean } from './text.ts'

/** The planner's view of a running query; `problem` says why there is none. */
export type Estimate = Readonly<{ rows: string; cost: string; plan: string; problem: string }>

const none = (problem: string): Estimate => ({ rows: '', cost: '', plan: '', problem })
const MOST_LINES = 25

/** Statements that can be prepared and explained. */
const EXPLAINABLE = /^\s*(select|with|insert|update|delete|merge|values)\b/i

/**
 * Estimates a query without running it. The text is sent as one PREPARE over the extended protocol, where the server
 * refuses a second statement, inside a read-only transaction that is rolled back. The plan is the generic one, which
 * does not depend on the values of its parameters: they are not known here.
 */
export async function estimate(sql: Sql, query: string): Promise<Estimate> {
  if (!EXPLAINABLE.test(query)) return none('not a statement with a plan')
  // plan_cache_mode: https://www.postgresql.org/docs/release/12.0/
  if (sql.version() > 0 && sql.version() < 12) return none(`Postgres ${sql.version()} gives no plan without the values`)
  const found = await sql.alone((client) => explained(client, query))
  return found ?? none('a pooler of transactions keeps no session to ask in')
}

async function explained(client: Client, query: string): Promise<Estimate> {
  await client.query('begin read only')
  try {
    await client.query({ text: `prepare keyturn_estimate as ${query}`, queryMode: 'extended' } as QueryConfig)
    await client.query('set local plan_cache_mode = force_generic_plan')
    const { rows: prepared } = await client.query<{ n: number }>(
      "select cardinality(parameter_types) as n from pg_prepared_statements where name = 'keyturn_estimate'",
    )
    const nulls = Array(prepared[0]?.n ?? 0).fill('null')
    const text = `explain execute keyturn_estimate${nulls.length > 0 ? `(${nulls.join(', ')})` : ''}`
    const { rows } = await client.query<string[]>({ text, rowMode: 'array' })
    const lines = rows.map((row) => String(row[0]))
    const top = /cost=[\d.]+\.\.([\d.]+) rows=(\d+)/.exec(lines[0] ?? '')
    const shown = lines.slice(0, MOST_LINES).map((line) => line.slice(0, 160))
    if (lines.length > MOST_LINES) shown.push(`… ${lines.length - MOST_LINES} more lines`)
    return { rows: top?.[2] ?? '', cost: top?.[1] ?? '', plan: shown.join('\n'), problem: '' }
  } catch (error) {
    return none(clean(error instanceof Error ? error.message : String(error), 120))
  } finally {
    await client.query('rollback')
    // Prepared statements outlive a rollback.
    await client.query('deallocate all')
  }
}
