import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { askedOf, givenOf, ofClaim } from './claim-stand.ts'
import { kubernetes, Name } from './connection.ts'
import { type Cluster, isOver, readable } from './deployment.ts'
import type { Pod } from './nouns.ts'
import type { StorageClass } from './resources.ts'
import { type Part, partOf, type Row, stateCell, summaryOf, worstFirst } from './stands.ts'

const SHOWN = 40
const USERS = 3

/** Shows the volume claims of a namespace: their size, whether they may grow, and which pods use them. */
export const volumes = defineRead({
  id: 'kubernetes.volumes',
  summary: 'Show the volume claims of a namespace: phase, size asked and given, whether they may grow, who uses them',
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
    const claims = await client.claims(namespace, signal)
    const pods = await partOf(signal, () => client.pods(namespace, '', signal))
    const names = [...new Set(claims.items.flatMap(({ spec }) => spec.storageClassName || []))].sort()
    const classes = new Map<string, Part<StorageClass | null>>()
    for (const name of names) classes.set(name, await partOf(signal, () => client.storageClass(name, signal)))
    const isAll = pods.got?.whole === true
    const rows: Row[] = claims.items.map((claim) => {
      const users = (pods.got?.items ?? [])
        .filter((pod) => uses(pod, claim.metadata.name))
        .map((pod) => pod.metadata.name)
      const kind = classes.get(claim.spec.storageClassName ?? '') ?? null
      const known = isAll || users.length > 0 ? users.length : null
      return {
        name: claim.metadata.name,
        cells: [
          `${askedOf(claim)} / ${givenOf(claim)}`,
          claim.spec.storageClassName || 'none',
          growthOf(kind),
          known === null ? 'cannot be told' : `${shortOf(users)}${isAll ? '' : ' and perhaps others'}`,
        ],
        stand: ofClaim(claim, kind, known),
      }
    })
    const untold = [
      ...(claims.whole ? [] : ['There are more claims than are read.']),
      ...(pods.why === null ? [] : [`Which pods use them cannot be told: ${pods.why}.`]),
      ...(pods.got && !pods.got.whole ? ['There are more pods than are read, so others may use them.'] : []),
      ...[...classes].flatMap(([name, { why }]) =>
        why === null ? [] : [`Whether claims of StorageClass ${name} may grow cannot be told: ${why}.`],
      ),
    ]
    const where = `${namespace} (${environment})`
    if (rows.length === 0) return { summary: `There are no volume claims in ${where}.`, blocks: [] }
    return {
      summary: `${summaryOf('volume claims', where, rows, untold)} How full they are the cluster does not tell.`,
      blocks: [
        {
          type: 'table',
          columns: ['Claim', 'Asked / given', 'StorageClass', 'May grow', 'Used by', 'State'],
          rows: worstFirst(rows)
            .slice(0, SHOWN)
            .map(({ name, cells, stand }) => [name, ...cells, stateCell(stand)]),
          omitted: Math.max(0, rows.length - SHOWN),
        },
      ],
    }
  },
})

/** A volume that is made for one pod alone is claimed by its name and the pod's: …/storage/ephemeral-volumes. */
const uses = (pod: Pod, claim: string): boolean =>
  !isOver(pod) &&
  (pod.spec.volumes ?? []).some(
    ({ name, persistentVolumeClaim: of, ephemeral }) =>
      of?.claimName === claim || (ephemeral && `${pod.metadata.name}-${name}` === claim),
  )

const shortOf = (users: readonly string[]): string =>
  users.length === 0
    ? 'no pod'
    : `${users.slice(0, USERS).join(', ')}${users.length > USERS ? ` and ${users.length - USERS} more` : ''}`

function growthOf(kind: Part<StorageClass | null> | null): string {
  if (!kind || kind.why !== null) return 'cannot be told'
  return kind.got === null ? 'the class is gone' : kind.got.allowVolumeExpansion ? 'yes' : 'no'
}
