import type { ReadContext } from '../../src/domain/command.ts'
import { Refused } from '../../src/domain/command.ts'
import type { Airflow } from './client.ts'
import { airflow, type Settings } from './connection.ts'
import type { Dag, DagRun } from './nouns.ts'

/** Whether a name is one of the patterns, in which `*` stands for any characters. */
export const matches = (patterns: readonly string[], name: string): boolean =>
  patterns.some((pattern) => {
    const [head = '', ...rest] = pattern.split('*')
    if (rest.length === 0) return name === pattern
    if (!name.startsWith(head)) return false
    const last = rest.pop()!
    let at = head.length
    for (const part of rest) {
      const found = name.indexOf(part, at)
      if (found < 0) return false
      at = found + part.length
    }
    return name.endsWith(last) && name.length - last.length >= at
  })

export const isCritical = (settings: Settings, dag: string, task: string): boolean =>
  matches(settings.critical.dags, dag) || matches(settings.critical.tasks, `${dag}.${task}`)

/** A DAG that may be changed, as it is now. Refuses one that the connection does not list or Airflow does not know. */
export async function changeable(client: Airflow, settings: Settings, dag: string, signal: AbortSignal): Promise<Dag> {
  if (!matches(settings.dags, dag))
    throw new Refused(
      `The connection does not allow changes to the DAG "${dag}". It allows: ${settings.dags.join(', ')}.`,
    )
  const found = await client.dag(dag, signal)
  if (!found) throw new Refused(`Airflow knows no DAG "${dag}".`)
  return found
}

/** A run of a DAG; refuses one that Airflow does not know. */
export async function existing(client: Airflow, dag: string, run: string, signal: AbortSignal): Promise<DagRun> {
  const found = await client.run(dag, run, signal)
  if (!found) throw new Refused(`The DAG "${dag}" has no run "${run}".`)
  return found
}

/** Refuses to start or resume a backfill while a critical DAG runs or is due. Other DAGs are not held back. */
export async function refuseBesideCritical(connection: string, dag: string, ctx: ReadContext): Promise<void> {
  const { client, settings } = await ctx.connect(airflow, connection)
  if (!matches(settings.backfills.dags, dag) || settings.critical.dags.length === 0) return
  const going = await client.runs('~', { states: ['running', 'queued'] }, ctx.signal)
  const busy = going.find((run) => matches(settings.critical.dags, run.dag))
  if (busy)
    throw new Refused(
      `${dag} is a backfill, and the critical DAG ${busy.dag} is ${busy.state} (${busy.run}). Ask again when it is done.`,
    )
  const until = ctx.now().getTime() + settings.backfills.leadMinutes * 60_000
  for (const name of settings.critical.dags.filter((pattern) => !pattern.includes('*'))) {
    const critical = await client.dag(name, ctx.signal)
    if (critical && critical.paused !== true && critical.nextRun && Date.parse(critical.nextRun) <= until)
      throw new Refused(
        `${dag} is a backfill, and the critical DAG ${name} is due at ${critical.nextRun}. Ask again when it is done.`,
      )
  }
}
