import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { kubernetes, Name } from './connection.ts'
import { type Cluster, look, readable, writerOf } from './deployment.ts'
import { type ReplicaSet, revisionOf } from './nouns.ts'
import { differences, plain } from './template.ts'

const SHOWN = 10
const PATHS = 6
/** What deploy tools write why they deployed: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/. */
const CAUSE = 'kubernetes.io/change-cause'

/** Shows which revisions of a deployment the cluster keeps, when each was made, and what it changed. */
export const revisions = defineRead({
  id: 'kubernetes.revisions',
  summary: 'Show the revisions of a deployment: when each was made, its image, and what else it changed',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Kubernetes connection'),
    namespace: Name.describe('Namespace'),
    deployment: Name.describe('Deployment'),
  }),
  async read({ connection, namespace, deployment: name }, ctx) {
    const cluster: Cluster = await ctx.connect(kubernetes, connection)
    readable(cluster, namespace)
    const { deployment, sets } = await look(cluster.client, { namespace, name }, ctx.signal)
    const newest = sets.filter((set) => revisionOf(set) > 0).sort((a, b) => revisionOf(b) - revisionOf(a))
    const now = revisionOf(deployment)
    const at = newest.find((set) => revisionOf(set) === now)?.metadata.creationTimestamp
    const writer = writerOf(deployment)
    return {
      summary: `${namespace}/${name} is at revision ${now}${at ? `, whose pods were first made at ${at}` : ''}; ${newest.length} are kept.${writer ? ` It was last written by ${writer}.` : ''}`,
      blocks:
        newest.length === 0
          ? []
          : [
              {
                type: 'table',
                columns: ['Revision', 'Made', 'Image', 'Changed', 'Why'],
                rows: newest
                  .slice(0, SHOWN)
                  .map((set, i) => [
                    `${revisionOf(set)}${revisionOf(set) === now ? ' (now)' : ''}`,
                    set.metadata.creationTimestamp,
                    set.spec.template.spec.containers.map((container) => container.image ?? 'none').join(', '),
                    changedIn(set, newest[i + 1]),
                    (set.metadata.annotations?.[CAUSE] ?? '').slice(0, 200),
                  ]),
                omitted: Math.max(0, newest.length - SHOWN),
              },
            ],
    }
  },
})

/** The paths at which a template differs from the one before. Values are not shown: an environment may hold secrets. */
function changedIn(set: ReplicaSet, before: ReplicaSet | undefined): string {
  if (!before) return ''
  const paths = differences(plain(before.spec.template), plain(set.spec.template))
  return `${paths.slice(0, PATHS).join(', ')}${paths.length > PATHS ? ` and ${paths.length - PATHS} more` : ''}`
}
