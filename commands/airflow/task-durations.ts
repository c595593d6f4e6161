import { z } from 'zod'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { airflow } from './connection.ts'
import type { TaskInstance } from './nouns.ts'

const AT_ONCE = 6

/** How long one task took in the last runs of its DAG, as a chart; a running one counts until now. */
export const taskDurations = defineRead({
  id: 'airflow.task-durations',
  summary: 'Chart how long a task took over the last runs of its DAG',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Airflow connection'),
    dag: z.string().describe('DAG'),
    task: z.string().describe('Task'),
    runs: z.coerce.number().int().min(2).max(60).default(30).describe('Runs to look at'),
  }),
  async read({ connection, dag, task, runs: most }, ctx) {
    const { client } = await ctx.connect(airflow, connection)
    const runs = [...(await client.runs(dag, { most }, ctx.signal))].reverse()
    const found: (TaskInstance | null)[] = []
    for (let at = 0; at < runs.length; at += AT_ONCE)
      found.push(
        ...(await Promise.all(
          runs.slice(at, at + AT_ONCE).map(({ run }) => client.task({ dag, run, task, mapIndex: -1 }, ctx.signal)),
        )),
      )
    const points = found.flatMap((t, i) => {
      const seconds = t && (t.state === 'running' ? (ctx.now().getTime() - Date.parse(t.start)) / 1000 : t.duration)
      const label = (runs[i]!.logicalDate || runs[i]!.start).slice(0, 16).replace('T', ' ')
      return seconds === null || Number.isNaN(seconds) ? [] : [{ label, value: Math.round(seconds / 6) / 10 }]
    })
    const last = points.at(-1)
    if (!last) throw new Refused(`None of the last ${runs.length} runs of ${dag} has a duration of the task "${task}".`)
    const before = points
      .slice(0, -1)
      .map((p) => p.value)
      .sort((a, b) => a - b)
    const usual = before[Math.floor(before.length / 2)]
    const against =
      usual === undefined
        ? ''
        : `; half of the ${before.length} before took less than ${usual} min, the longest ${before.at(-1)} min`
    return {
      summary: `${dag}.${task} took ${last.value} min in the latest run${against}.`,
      blocks: [{ type: 'chart', title: `${dag}.${task}`, unit: 'min', points }],
    }
  },
})
