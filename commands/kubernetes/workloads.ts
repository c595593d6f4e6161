import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { kubernetes, Name } from './connection.ts'
import { type Cluster, readable } from './deployment.ts'
import { ofCronJob, ofJob } from './job-stands.ts'
import { ofDaemonSet, ofDeployment, ofStatefulSet } from './rollout-stands.ts'
import { partOf, type Row, stateCell, summaryOf, worstFirst } from './stands.ts'

const SHOWN = 40

/** Shows all that makes pods in a namespace: how many are wanted and ready, and what is wrong first. */
export const workloads = defineRead({
  id: 'kubernetes.workloads',
  summary: 'Show Deployments, StatefulSets, DaemonSets, Jobs and CronJobs: wanted, ready, and what is wrong first',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Kubernetes connection'),
    namespace: Name.describe('Namespace'),
  }),
  async read({ connection, namespace }, ctx) {
    const cluster: Cluster = await ctx.connect(kubernetes, connection)
    readable(cluster, namespace)
    const { client, environment } = cluster
    const { signal } = ctx
    const [deployments, sets, daemons, jobs, crons] = await Promise.all([
      partOf(signal, () => client.deployments(namespace, signal)),
      partOf(signal, () => client.statefulSets(namespace, signal)),
      partOf(signal, () => client.daemonSets(namespace, signal)),
      partOf(signal, () => client.jobs(namespace, signal)),
      partOf(signal, () => client.cronJobs(namespace, signal)),
    ])
    const parts = { Deployments: deployments, StatefulSets: sets, DaemonSets: daemons, Jobs: jobs, CronJobs: crons }
    if (Object.values(parts).every(({ got }) => got === null)) throw (deployments as { error: unknown }).error
    const untold = Object.entries(parts).flatMap(([kind, { got, why }]) => [
      ...(why === null ? [] : [`${kind} cannot be told: ${why}.`]),
      ...(got && !got.whole ? [`There are more ${kind} than are read.`] : []),
    ])
    const runs = (jobs.got?.items ?? []).toSorted((a, b) =>
      a.metadata.creationTimestamp < b.metadata.creationTimestamp ? 1 : -1,
    )
    const rows: Row[] = [
      ...(deployments.got?.items ?? []).map((one) => ({
        name: `Deployment ${one.metadata.name}`,
        cells: [`${one.status.availableReplicas}/${one.spec.replicas}`],
        stand: ofDeployment(one),
      })),
      ...(sets.got?.items ?? []).map((one) => ({
        name: `StatefulSet ${one.metadata.name}`,
        cells: [`${one.status.readyReplicas}/${one.spec.replicas ?? 1}`],
        stand: ofStatefulSet(one),
      })),
      ...(daemons.got?.items ?? []).map((one) => ({
        name: `DaemonSet ${one.metadata.name}`,
        cells: [`${one.status.numberAvailable}/${one.status.desiredNumberScheduled ?? '?'}`],
        stand: ofDaemonSet(one),
      })),
      ...runs.map((one) => ({
        name: `Job ${one.metadata.name}`,
        cells: [`${one.status.succeeded}/${one.spec.completions ?? 1} done`],
        stand: ofJob(one, runs),
      })),
      ...(crons.got?.items ?? []).map((one) => ({
        name: `CronJob ${one.metadata.name}`,
        cells: [`${one.spec.schedule}${one.spec.timeZone ? ` ${one.spec.timeZone}` : ''}`],
        stand: ofCronJob(one, jobs.got?.whole ? runs : null),
      })),
    ]
    const where = `${namespace} (${environment})`
    const isNone = rows.length === 0 && untold.length === 0
    return {
      summary: isNone ? `Nothing in ${where} makes pods.` : summaryOf('workloads', where, rows, untold),
      blocks:
        rows.length === 0
          ? []
          : [
              {
                type: 'table',
                columns: ['What', 'Ready', 'State'],
                rows: worstFirst(rows)
                  .slice(0, SHOWN)
                  .map(({ name, cells, stand }) => [name, ...cells, stateCell(stand)]),
                omitted: Math.max(0, rows.length - SHOWN),
              },
            ],
    }
  },
})
