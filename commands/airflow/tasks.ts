import { z } from 'zod'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { namesIn } from './clear-tasks.ts'
import { airflow } from './connection.ts'
import { existing, isCritical } from './guards.ts'
import { cutNote } from './list.ts'
import type { TaskInstance } from './nouns.ts'
import { nameOf } from './show.ts'

const ROWS = 30

/** Tasks of one run in whatever state they are, also those that have not begun. */
export const tasks = defineRead({
  id: 'airflow.tasks',
  summary: 'Show the tasks of one run, or the named ones, in whatever state they are',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Airflow connection'),
    dag: z.string().describe('DAG'),
    run: z.string().describe('Run of the DAG'),
    tasks: z.string().default('').describe('Tasks, separated by commas; empty for all'),
  }),
  async read({ connection, dag, run, tasks: wanted }, ctx) {
    const { client, settings } = await ctx.connect(airflow, connection)
    await existing(client, dag, run, ctx.signal)
    const names = namesIn(wanted)
    const all = await client.tasks(dag, run, { cut: true }, ctx.signal)
    for (const name of names)
      if (!all.some((t) => t.task === name))
        throw new Refused(`There is no task "${name}" in ${dag}, run ${run}.${cutNote(all)}`)
    const found = all
      .filter((t) => names.length === 0 || names.includes(t.task))
      .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
    const running = found.filter((t) => t.state === 'running')
    const states = Object.entries(Object.groupBy(found, (t) => t.state))
      .map(([state, of = []]) => (found.length === 1 ? `${nameOf(of[0]!)} is ${state}` : `${of.length} ${state}`))
      .sort()
    return {
      summary: `${dag}, run ${run}: ${states.join(', ') || 'no tasks'}.${cutNote(all)}`,
      blocks: [
        {
          type: 'table',
          columns: ['Task', 'State', 'Try', 'Began', 'Ended', 'Operator', 'Critical'],
          rows: found
            .slice(0, ROWS)
            .map((t) => [
              nameOf(t),
              t.state,
              String(t.tryNumber),
              t.start,
              t.end,
              t.operator,
              isCritical(settings, t.dag, t.task) ? 'yes' : 'no',
            ]),
          omitted: Math.max(0, found.length - ROWS),
        },
        ...(running.length > 0
          ? [
              {
                type: 'table' as const,
                columns: ['Running task', 'Machine', 'Process'],
                rows: running.slice(0, ROWS).map((t) => [nameOf(t), t.host, processOf(settings.api, t)]),
                omitted: Math.max(0, running.length - ROWS),
              },
            ]
          : []),
      ],
    }
  },
})

/**
 * What the process of a running task is called on its machine: Airflow 2 `airflow task runner: <dag> <task> …`
 * (task/task_runner/standard_task_runner.py), Airflow 3 by the id of the try (task_sdk/execution_time/task_runner.py).
 */
const processOf = (api: 1 | 2, t: TaskInstance): string =>
  api === 1 ? `airflow task runner: ${t.dag} ${t.task}` : `airflow worker -- ${t.id}`
