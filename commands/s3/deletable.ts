import { z } from 'zod'
import type { ReadContext } from '../../src/domain/command.ts'
import { Refused } from '../../src/domain/command.ts'
import { airflow } from '../airflow/connection.ts'
import type { Listed } from './listing.ts'
import { timeOf } from './listing.ts'

/** Deleting takes one page of keys at a time; all of a plan's keys are held while they are listed. */
const MOST = 50_000

/** A folder below which folders may be deleted. */
export const Deletable = z.strictObject({
  /** `bucket/folder`. Only what is at least one folder below can be deleted, never all of it at once. */
  under: z.string().regex(/^[^/]+(\/[^/]+)+\/?$/, 'bucket/folder, such as lake/tmp'),
  /** Whose files they are: nothing is deleted while a run of that DAG goes. `*` stands for the first folder below `under`. */
  owner: z.strictObject({ airflow: z.string().min(1), dag: z.string().min(1) }).optional(),
  /** File names that say that a run is going for as long as they are there. */
  markers: z.array(z.string().regex(/^[^/]+$/)).default([]),
  /** An object that is younger may still be written to by a run that is not known here. */
  quietMinutes: z.number().int().min(1).default(60),
  /** S3 bears 3,500 writes and deletes per second and prefix: "Best practices design patterns", Amazon S3 user guide. */
  perSecond: z.number().int().min(1).max(3_000).default(500),
  maxObjects: z.number().int().min(1).max(MOST).default(10_000),
})
export type Deletable = z.output<typeof Deletable>

/** The entry for a folder and the first folder below it, which is the job's; null if it may not be deleted. */
export function deletableAt(
  entries: readonly Deletable[],
  bucket: string,
  prefix: string,
): { entry: Deletable; job: string } | null {
  const path = `${bucket}/${prefix}`
  const rootOf = (entry: Deletable) => `${entry.under.replace(/\/$/, '')}/`
  const [entry] = entries
    .filter((one) => path.startsWith(rootOf(one)) && path.length > rootOf(one).length)
    .sort((a, b) => rootOf(b).length - rootOf(a).length)
  return entry ? { entry, job: path.slice(rootOf(entry).length).split('/')[0]! } : null
}

/** A run of the DAG that owns a folder as one sentence, or null if none is going. Refuses a DAG that Airflow does not know. */
export async function goingRun(
  { owner }: Deletable,
  job: string,
  ctx: ReadContext,
): Promise<{ dag: string; going: string | null } | null> {
  if (!owner) return null
  const dag = owner.dag.replaceAll('*', job)
  const { client } = await ctx.connect(airflow, owner.airflow)
  if (!(await client.dag(dag, ctx.signal)))
    throw new Refused(`Airflow knows no DAG "${dag}", which the connection names as the owner of these files.`)
  const [run] = await client.runs(dag, { states: ['running', 'queued'], most: 1 }, ctx.signal)
  return { dag, going: run ? `The run ${run.run} of ${dag} is ${run.state}` : null }
}

/** Refuses files that may belong to a run that is still going: its DAG runs, its marker is there, or a file is young. */
export async function refuseWhileUsed(
  { entry, job }: { entry: Deletable; job: string },
  objects: readonly Listed[],
  ctx: ReadContext,
): Promise<void> {
  const owned = await goingRun(entry, job, ctx)
  if (owned?.going) throw new Refused(`${owned.going}: these files are its own. Wait until it has ended.`)
  const marker = objects.find((one) => entry.markers.includes(one.key.split('/').at(-1)!))
  if (marker)
    throw new Refused(
      `${marker.key} of ${timeOf(marker.modified)} says that a run is going. If that run is dead, its owner removes the marker first.`,
    )
  const since = ctx.now().getTime() - entry.quietMinutes * 60_000
  const young = objects.filter((one) => one.modified > since)
  if (young.length > 0) {
    const newest = young.reduce((a, b) => (b.modified > a.modified ? b : a))
    throw new Refused(
      `${young.length} of ${objects.length} objects are younger than ${entry.quietMinutes} minutes, the newest ${newest.key} of ${timeOf(newest.modified)}: a run may still be writing. Wait until nothing new comes.`,
    )
  }
}
