import { Refused } from '../../src/domain/command.ts'
import type { Dataset, TaskInstance } from './nouns.ts'

/** DAG to the DAGs that must have succeeded before it. */
export type Needs = ReadonlyMap<string, ReadonlySet<string>>

/** Reads `report: clean load; clean: extract`: before the colon a DAG, after it those that come first. */
export function readNeeds(text: string): [string, string][] {
  return text
    .split(';')
    .map((part) => part.trim())
    .filter(Boolean)
    .flatMap((part): [string, string][] => {
      const [dag = '', first, ...rest] = part.split(':').map((side) => side.trim())
      const names = (first ?? '').split(/[\s,]+/).filter(Boolean)
      if (!dag || /\s/.test(dag) || names.length === 0 || rest.length > 0)
        throw new Refused(`"${part.slice(0, 100)}" is no dependency. Write "report: clean load; clean: extract".`)
      return names.map((name) => [dag, name])
    })
}

/** Which DAG starts another through a dataset (Airflow 2) or asset (Airflow 3). */
export const needsOfDatasets = (datasets: readonly Dataset[]): [string, string][] =>
  datasets.flatMap((d) =>
    d.consumers.flatMap((after) => d.producers.map((before): [string, string] => [after, before])),
  )

/** Which DAG a sensor of these tasks waited for: Airflow shows it among the rendered fields of the tried task. */
export const needsOfSensors = (tasks: readonly TaskInstance[]): [string, string][] =>
  tasks.flatMap((t): [string, string][] => {
    const before = t.rendered.external_dag_id
    return t.operator.includes('ExternalTaskSensor') && typeof before === 'string' ? [[t.dag, before]] : []
  })

/** Joins pairs of a DAG and one that comes before it. A DAG that names itself waits for an earlier run: no order. */
export function joinNeeds(pairs: readonly (readonly [string, string])[]): Needs {
  const needs = new Map<string, Set<string>>()
  for (const [after, before] of pairs)
    if (after !== before) needs.set(after, (needs.get(after) ?? new Set()).add(before))
  return needs
}

/**
 * The waves of these DAGs, each sorted: a DAG stands in a later wave than all those among them that it needs, also
 * through DAGs that are not among them. Refuses a circle and names it.
 */
export function wavesOf(dags: readonly string[], needs: Needs): string[][] {
  const levels = new Map<string, number>()
  const chosen = new Set(dags)
  const levelOf = (dag: string, path: readonly string[]): number => {
    if (path.includes(dag))
      throw new Refused(
        `These DAGs wait for each other in a circle: ${[...path.slice(path.indexOf(dag)), dag].join(' → ')}.`,
      )
    const known = levels.get(dag)
    if (known !== undefined) return known
    const before = [...(needs.get(dag) ?? [])].sort().map((name) => levelOf(name, [...path, dag]))
    // One that is not among them takes no wave of its own.
    const level = Math.max(0, ...before) + (chosen.has(dag) ? 1 : 0)
    levels.set(dag, level)
    return level
  }
  const waves: string[][] = []
  for (const dag of [...chosen].sort()) {
    const at = levelOf(dag, []) - 1
    waves[at] = [...(waves[at] ?? []), dag]
  }
  return waves.filter(Boolean)
}

/** All DAGs that these need, near and far, sorted. */
export function allNeeds(dags: readonly string[], needs: Needs): string[] {
  const found = new Set<string>()
  const open = [...dags]
  for (let dag = open.pop(); dag !== undefined; dag = open.pop())
    for (const before of needs.get(dag) ?? [])
      if (!found.has(before)) {
        found.add(before)
        open.push(before)
      }
  return [...found].sort()
}
