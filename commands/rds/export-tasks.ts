import type { ExportTask } from '@aws-sdk/client-rds'
import { z } from 'zod'
import type { EvidenceBlock } from '../../src/domain/command.ts'
import { defineRead } from '../../src/domain/command.ts'
import { rds } from './connection.ts'
import { databasesOf, findTask, isRunning, listTasks, MAX_RUNNING, nameOf, onlyOf, placeOf, stateOf } from './tasks.ts'

const RECENT = 10

/** Shows the export tasks that run, how many slots are free, and the last ones that ended. */
export const exportTasks = defineRead({
  id: 'rds.export-tasks',
  summary: 'Show running and recent RDS export tasks',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('RDS connection'),
    name: z.string().default('').describe('Name of the task that failed to start, to look for it'),
    source: z.string().default('').describe('ARN of a snapshot or cluster: show its tasks only'),
  }),
  async read({ connection, name, source }, ctx) {
    const { client } = await ctx.connect(rds, connection)
    const all = await listTasks(client.reads, ctx.signal)
    const running = all.filter(isRunning)
    const ended = all.filter((task) => !isRunning(task) && (source === '' || task.SourceArn === source))
    const named = name === '' ? null : await findTask(client.reads, name, ctx.signal)
    const blocks: EvidenceBlock[] = []
    if (running.length > 0) blocks.push(table(running, running.length))
    if (ended.length > 0) {
      blocks.push({ type: 'text', text: source ? `Ended tasks of ${source}:` : 'Ended last:' })
      blocks.push(table(ended, RECENT))
    }
    if (named)
      blocks.push({
        type: 'text',
        text: `${name}: ${stateOf(named)}, in ${placeOf(named)}${named.FailureCause ? `; ${named.FailureCause}` : ''}.`,
      })
    if (running.length > 0)
      blocks.push({
        type: 'text',
        text: 'RDS does not keep who started a task: only its role is shown. CloudTrail has the caller in the event StartExportTask with this exportTaskIdentifier.',
      })
    const slots = `${running.length} of ${MAX_RUNNING} export slots of the account are taken`
    const found =
      name === '' ? '' : named ? ` A task named ${name} exists: ${stateOf(named)}.` : ` There is no task named ${name}.`
    return { summary: `${slots}.${found}`, blocks }
  },
})

const table = (tasks: readonly ExportTask[], rows: number): EvidenceBlock => ({
  type: 'table',
  columns: ['Name', 'State', 'Done', 'Source', 'Databases', 'Started', 'Role'],
  rows: tasks
    .slice(0, rows)
    .map((task) => [
      nameOf(task),
      stateOf(task),
      `${task.PercentProgress ?? 0} %`,
      (task.SourceArn ?? '').split(':').slice(5).join(':'),
      databasesOf(onlyOf(task)),
      task.TaskStartTime?.toISOString() ?? 'not yet',
      (task.IamRoleArn ?? '').split('/').at(-1) ?? '',
    ]),
  omitted: Math.max(0, tasks.length - rows),
})
