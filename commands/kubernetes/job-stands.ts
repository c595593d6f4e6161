import type { CronJob, Job } from './resources.ts'
import { brief, conditionsOf, type Stand, standOf } from './stands.ts'

const stand = (level: Stand['level'], says: string): Stand => ({ level, says })
const LEAVING = stand('open', 'is being deleted')

const REASONS: Readonly<Record<string, string>> = {
  BackoffLimitExceeded: 'its pods failed more often than it may try again',
  DeadlineExceeded: 'it took longer than its activeDeadlineSeconds',
  PodFailurePolicy: 'a pod ended in a way that its podFailurePolicy takes for final',
  FailedIndexes: 'some of its indexes failed',
  MaxFailedIndexesExceeded: 'too many of its indexes failed',
}
const OF_JOB = new Set(['Complete', 'Failed', 'FailureTarget', 'Suspended', 'SuccessCriteriaMet'])

const conditionOf = ({ status }: Job, type: string) =>
  (status.conditions ?? []).find((one) => one.type === type && one.status === 'True')
const makerOf = ({ metadata }: Job) => (metadata.ownerReferences ?? []).find(({ controller }) => controller !== false)

/** A failure is of then, not of now, where a later run of the same CronJob succeeded. */
export function ofJob(job: Job, all: readonly Job[]): Stand {
  const { metadata, spec, status } = job
  const found = conditionsOf(status.conditions, (type) => (OF_JOB.has(type) ? null : undefined))
  if (metadata.deletionTimestamp) found.push(LEAVING)
  const failed = conditionOf(job, 'Failed') ?? conditionOf(job, 'FailureTarget')
  const maker = makerOf(job)?.uid
  if (failed) {
    const reason = failed.reason ?? ''
    const why = `${reason || 'without a reason'}${REASONS[reason] ? `: ${REASONS[reason]}` : reason ? ', an unknown reason' : ''}`
    const message = !REASONS[reason] && failed.message ? `: ${brief(failed.message)}` : ''
    const isPast = all.some(
      (one) =>
        maker !== undefined &&
        makerOf(one)?.uid === maker &&
        one.metadata.creationTimestamp > metadata.creationTimestamp &&
        conditionOf(one, 'Complete'),
    )
    const verb = failed.type === 'Failed' ? 'failed' : 'is failing'
    const says = `${verb}${failed.lastTransitionTime ? ` at ${failed.lastTransitionTime}` : ''} (${why}${message})`
    return standOf([...found, isPast ? stand('open', `${says}; a later run succeeded`) : stand('wrong', says)], '')
  }
  const after = status.failed > 0 ? `, ${status.failed} of its pods failed` : ''
  if (conditionOf(job, 'Complete'))
    return standOf(found, `done${status.completionTime ? ` at ${status.completionTime}` : ''}${after}`)
  const isSuspended = spec.suspend || conditionOf(job, 'Suspended')
  const limit = status.failed > 0 ? ` so far, and it gives up after ${(spec.backoffLimit ?? 6) + 1}` : ''
  if (isSuspended) found.push(stand('open', 'suspended: it makes no pods'))
  else if (conditionOf(job, 'SuccessCriteriaMet')) found.push(stand('open', 'succeeded, its last pods are ending'))
  else if (status.active > 0)
    found.push(
      stand(
        'open',
        `${status.ready === 0 ? `none of its ${status.active} pods is ready` : 'runs'}${status.startTime ? `, since ${status.startTime}` : ''}${after}${limit}`,
      ),
    )
  else if (!status.startTime) found.push(stand('open', 'has not begun'))
  else found.push(stand('unknown', `has no pod, and its end is not told${after}`))
  return standOf(found, '')
}

/** `jobs` are its runs among others; null where they could not be looked at. */
export function ofCronJob({ metadata, spec, status }: CronJob, jobs: readonly Job[] | null): Stand {
  const { lastScheduleTime: last, lastSuccessfulTime: good, active } = status
  const found: Stand[] = metadata.deletionTimestamp ? [LEAVING] : []
  if (spec.suspend)
    found.push(stand('open', `suspended: it begins nothing, last scheduled ${last ? `at ${last}` : 'never'}`))
  else if (!last) found.push(stand('open', 'never scheduled yet'))
  if (active.length > 0)
    found.push(stand('open', `${active.length} of its runs go on, since ${last ?? 'an unknown time'}`))
  else if (last && !(good && Date.parse(good) >= Date.parse(last))) {
    const runs = (jobs ?? []).filter((job) => makerOf(job)?.uid === metadata.uid)
    const newest = runs.toSorted((a, b) => (a.metadata.creationTimestamp < b.metadata.creationTimestamp ? 1 : -1))[0]
    if (newest && conditionOf(newest, 'Failed'))
      found.push(stand('open', `its last run failed: Job ${newest.metadata.name}`))
    else if (!newest || !conditionOf(newest, 'Complete'))
      found.push(stand('unknown', `no success is known of since its schedule at ${last}`))
  }
  return standOf(found, `last succeeded${good ? ` at ${good}` : ''}, scheduled at ${last}`)
}
