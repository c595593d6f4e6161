import { z } from 'zod'
import { defineRead, type EvidenceBlock, type ReadContext } from '../../src/domain/command.ts'
import { maskSecrets } from '../mask.ts'
import type { Airflow } from './client.ts'
import { airflow } from './connection.ts'
import { isCritical } from './guards.ts'
import { cutNote } from './list.ts'
import type { TaskInstance } from './nouns.ts'
import { line, nameOf } from './show.ts'

const ROWS = 20
const LOGS = 3
/** Bytes of a log that are kept, and lines of it that are shown. */
const TAIL = 32_768
const LINES = 25

/** The tasks that failed, the first to fail first, with the last lines of the logs of the first three. */
export const failedTasks = defineRead({
  id: 'airflow.failed-tasks',
  summary: 'List failed tasks of a DAG or of all DAGs, with the end of their logs',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Airflow connection'),
    dag: z.string().default('~').describe('DAG; ~ for all'),
    run: z.string().default('~').describe('Run of the DAG; ~ for all of the last hours'),
    hours: z.coerce.number().int().min(1).max(168).default(24).describe('How far back to look, in hours'),
  }),
  async read({ connection, dag, run, hours }, ctx) {
    const { client, settings } = await ctx.connect(airflow, connection)
    const since = run === '~' ? new Date(ctx.requestedAt.getTime() - hours * 3_600_000).toISOString() : undefined
    const listed = await client.tasks(dag, run, { states: ['failed'], since, cut: true }, ctx.signal)
    const failed = listed.toSorted((a, b) =>
      a.end === b.end ? (nameOf(a) < nameOf(b) ? -1 : 1) : a.end < b.end ? -1 : 1,
    )
    const where = `${dag === '~' ? 'all DAGs' : dag}${run === '~' ? ` within ${hours} h` : `, run ${run}`}`
    if (failed.length === 0) return { summary: `No failed task in ${where}.${cutNote(listed)}`, blocks: [] }
    const blocks: EvidenceBlock[] = [
      {
        type: 'table',
        columns: ['DAG', 'Run', 'Task', 'Try', 'Began', 'Ended', 'Operator', 'Critical'],
        rows: failed
          .slice(0, ROWS)
          .map((t) => [
            t.dag,
            t.run,
            nameOf(t),
            String(t.tryNumber),
            t.start,
            t.end,
            t.operator,
            isCritical(settings, t.dag, t.task) ? 'yes' : 'no',
          ]),
        omitted: Math.max(0, failed.length - ROWS),
      },
    ]
    for (const task of failed.slice(0, LOGS)) {
      const tail = await logTail(client, task, ctx)
      blocks.push({ type: 'code', text: `${task.dag}.${nameOf(task)}, try ${task.tryNumber}:\n${tail}` })
    }
    const first = failed[0]!
    const when = first.end ? ` at ${first.end}` : ', which has no end'
    return {
      summary: `${failed.length} failed ${failed.length === 1 ? 'task' : 'tasks'} in ${where}; the first is ${first.dag}.${nameOf(first)}${when}.${cutNote(listed)}`,
      blocks,
    }
  },
})

/** The end of the log of a try, or why there is none: one that cannot be read leaves the rest of the evidence as it is. */
async function logTail(client: Airflow, task: TaskInstance, ctx: ReadContext): Promise<string> {
  if (task.tryNumber < 1) return 'It never ran: there is no log.'
  try {
    const log = await client.log(task, task.tryNumber, TAIL, ctx.signal)
    return log === null ? 'Airflow has no log of this try.' : lastLines(log, LINES)
  } catch (error) {
    if (ctx.signal.aborted) throw error
    return `Its log cannot be read: ${line(error instanceof Error ? error.message : String(error), 300)}`
  }
}

/** The last lines of a log that hold something, each cut to 300 characters. */
export function lastLines(log: string, most: number): string {
  const lines = maskSecrets(log)
    .split('\n')
    .filter((text) => text.trim() !== '')
  return (
    lines
      .slice(-most)
      .map((text) => line(text, 300))
      .join('\n') || '(empty)'
  )
}
