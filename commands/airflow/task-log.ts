import { z } from 'zod'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { airflow } from './connection.ts'
import { lastLines } from './failed-tasks.ts'
import { nameOf } from './show.ts'

/** The end of the log of one try of a task. */
export const taskLog = defineRead({
  id: 'airflow.task-log',
  summary: 'Show the end of the log of one task',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Airflow connection'),
    dag: z.string().describe('DAG'),
    run: z.string().describe('Run of the DAG'),
    task: z.string().describe('Task'),
    mapIndex: z.coerce.number().int().min(-1).default(-1).describe('Index of a mapped task; -1 for others'),
    lines: z.coerce.number().int().min(1).max(200).default(60).describe('Lines to show'),
  }),
  async read({ connection, lines, ...key }, ctx) {
    const { client } = await ctx.connect(airflow, connection)
    const task = await client.task(key, ctx.signal)
    if (!task) throw new Refused(`There is no task "${nameOf(key)}" in ${key.dag}, run ${key.run}.`)
    const where = `${task.dag}.${nameOf(task)}, run ${task.run}, try ${task.tryNumber} (${task.state})`
    if (task.tryNumber < 1)
      return {
        summary: `${task.dag}.${nameOf(task)}, run ${task.run}, never ran (${task.state}): there is no log.`,
        blocks: [],
      }
    const log = await client.log(key, task.tryNumber, lines * 1000, ctx.signal)
    if (log === null) return { summary: `Airflow has no log of ${where}.`, blocks: [] }
    return { summary: `The end of the log of ${where}.`, blocks: [{ type: 'code', text: lastLines(log, lines) }] }
  },
})
