import type { Target } from '../../src/domain/plan.ts'
import type { TaskKey } from './client.ts'
import type { Dag, DagRun, TaskInstance } from './nouns.ts'

/** Untrusted text as one line without control characters, cut to `most` characters and marked when cut. */
export function line(text: string, most = 200): string {
  const characters = [...text.replace(/[\s\p{Cc}]+/gu, ' ').trim()]
  return characters.length <= most ? characters.join('') : `${characters.slice(0, most - 1).join('')}…`
}

export const nameOf = ({ task, mapIndex }: Pick<TaskKey, 'task' | 'mapIndex'>): string =>
  mapIndex >= 0 ? `${task}[${mapIndex}]` : task

/** A task of a run as it is shown and held to: another try, state or end is another task. */
export const fingerprintOf = (t: TaskInstance): string => `try ${t.tryNumber} ${t.state} ${t.end}`.trim()

export const taskTarget = (connection: string, t: TaskInstance): Target => ({
  id: `airflow:${connection}/${t.dag}/${t.run}/${nameOf(t)}`,
  name: `${t.dag}.${nameOf(t)}`,
  fingerprint: fingerprintOf(t),
  details: {
    DAG: t.dag,
    Run: t.run,
    State: t.state,
    Try: String(t.tryNumber),
    Began: t.start || 'never',
    Ended: t.end || 'never',
    ...(t.operator && { Operator: t.operator }),
    Pool: t.pool,
  },
})

export const runTarget = (connection: string, r: DagRun, details: Record<string, string> = {}): Target => ({
  id: `airflow:${connection}/${r.dag}/${r.run}`,
  name: `${r.dag} ${r.run}`,
  fingerprint: `${r.state} ${r.start} ${r.end}`,
  details: {
    State: r.state,
    Date: r.logicalDate || 'none',
    Began: r.start || 'never',
    Ended: r.end || 'never',
    ...details,
  },
})

/** A paused DAG starts none of its tasks: worth a word on every plan that wants some to start. */
export const pausedWarning = (dag: Dag): string[] =>
  dag.paused !== false
    ? [
        `The DAG ${dag.dag} is ${dag.paused ? 'paused' : 'perhaps paused'}: Airflow starts none of its tasks before it is resumed.`,
      ]
    : []
