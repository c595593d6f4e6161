import type { ExportTask, RDSClient } from '@aws-sdk/client-rds'
import { ExportTaskAlreadyExistsFault, StartExportTaskCommand } from '@aws-sdk/client-rds'
import { Refused, Unanswered } from '../../src/domain/command.ts'
import { mayHaveLanded } from '../aws/client.ts'
import type { Source } from './tasks.ts'
import {
  covers,
  databasesOf,
  findSource,
  findTask,
  isComplete,
  isRunning,
  listTasks,
  MAX_RUNNING,
  nameOf,
  onlyOf,
  placeOf,
  stateOf,
} from './tasks.ts'

/** What StartExportTask is called with, and what tells our task from another of the same name. */
export type Wanted = Readonly<{
  name: string
  source: string
  only: readonly string[]
  bucket: string
  prefix: string
  role: string
  key: string
}>

/** Where the export will be. */
export const placeOfWanted = ({ bucket, prefix, name }: Wanted): string =>
  `s3://${[bucket, prefix, name].filter(Boolean).join('/')}`

/** Exports of this snapshot that are complete and hold all that is wanted: here, where ours would go, and elsewhere. */
export function madeAlready(
  tasks: readonly ExportTask[],
  wanted: Wanted,
  source: Source,
): { here: ExportTask[]; elsewhere: ExportTask[] } {
  const made =
    source.kind === 'snapshot'
      ? tasks.filter((t) => isComplete(t) && t.SourceArn === wanted.source && covers(onlyOf(t), wanted.only))
      : []
  const isHere = (t: ExportTask) => t.S3Bucket === wanted.bucket && (t.S3Prefix ?? '') === wanted.prefix
  return { here: made.filter(isHere), elsewhere: made.filter((t) => !isHere(t)) }
}

/**
 * Refuses an export that was made already, unless it is wanted `again`, one whose name is taken, and one for which there is no
 * room: one at a time for a cluster or instance, and five for the account.
 */
export async function refuseUnlessFree(
  reads: RDSClient,
  tasks: readonly ExportTask[],
  wanted: Wanted,
  source: Source,
  again: boolean,
  signal: AbortSignal,
): Promise<void> {
  const [done] = madeAlready(tasks, wanted, source).here
  if (done && !again)
    throw new Refused(
      `${nameOf(done)} already exported ${databasesOf(onlyOf(done))} of this snapshot, complete since ${done.TaskEndTime?.toISOString() ?? 'an unknown time'}: ${placeOf(done)}. Use that one, or set "again" to yes if its files are gone.`,
    )
  const taken = tasks.find((task) => nameOf(task) === wanted.name)
  if (taken)
    throw new Refused(
      `An export named ${wanted.name} exists already (${stateOf(taken)}). Ask again in a minute: the name holds the minute.`,
    )
  const running = tasks.filter(isRunning)
  for (const task of running) {
    const owner =
      task.SourceArn === wanted.source ? source.owner : (await findSource(reads, task.SourceArn ?? '', signal))?.owner
    if (owner === source.owner)
      throw new Refused(
        `${nameOf(task)} (${databasesOf(onlyOf(task))}) of ${owner} is ${stateOf(task)}, ${task.PercentProgress ?? 0} % done. One export of it at a time: wait for that one.`,
      )
  }
  if (running.length >= MAX_RUNNING) throw limitReached(running)
}

const limitReached = (running: readonly ExportTask[], cause?: unknown): Refused =>
  new Refused(
    `All ${MAX_RUNNING} export slots of the account are taken: ${running.map((t) => `${nameOf(t)} (${databasesOf(onlyOf(t))}, ${t.PercentProgress ?? 0} %)`).join(', ') || 'RDS does not list by what'}. Wait for one to end.`,
    { cause },
  )

/** Sends the request once. What became of it is looked up when the name exists or no reply came. Returns the task's state. */
export async function start(writes: RDSClient, reads: RDSClient, wanted: Wanted, signal: AbortSignal): Promise<string> {
  const request = new StartExportTaskCommand({
    ExportTaskIdentifier: wanted.name,
    SourceArn: wanted.source,
    S3BucketName: wanted.bucket,
    IamRoleArn: wanted.role,
    KmsKeyId: wanted.key,
    ...(wanted.prefix && { S3Prefix: wanted.prefix }),
    ...(wanted.only.length > 0 && { ExportOnly: [...wanted.only] }),
  })
  try {
    return (await writes.send(request, { abortSignal: signal })).Status ?? 'STARTING'
  } catch (error) {
    // Not modelled by the SDK: it comes with the code as its name.
    if (error instanceof Error && error.name.startsWith('ExportTaskLimitReached'))
      throw limitReached((await listTasks(reads, signal)).filter(isRunning), error)
    // The name exists, or no reply came: our own request may have landed.
    const exists = error instanceof ExportTaskAlreadyExistsFault
    if (signal.aborted || (!exists && !mayHaveLanded(error))) throw error
    const lost = new Unanswered(`StartExportTask ${wanted.name} got no answer, and RDS does not list the task (yet)`, {
      cause: error,
    })
    const task = await findTask(reads, wanted.name, signal).catch(() => {
      throw lost
    })
    if (task && isSame(task, wanted)) return task.Status ?? 'STARTING'
    if (task || exists)
      throw new Refused(
        `An export named ${wanted.name} exists already and is not this one. Ask again in a minute: the name holds the minute.`,
        { cause: error },
      )
    throw lost
  }
}

/** Is this task the one that was asked for, and not another of the same name? */
export function isSame(task: ExportTask, wanted: Wanted): boolean {
  return (
    nameOf(task) === wanted.name &&
    task.SourceArn === wanted.source &&
    task.S3Bucket === wanted.bucket &&
    (task.S3Prefix ?? '') === wanted.prefix &&
    onlyOf(task).join() === wanted.only.join()
  )
}
