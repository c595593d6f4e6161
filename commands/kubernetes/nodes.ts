import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { kubernetes, Name } from './connection.ts'
import { type Cluster, living, readable } from './deployment.ts'
import { ofNode, readyOf, taintsOf } from './node-stand.ts'
import { isWell } from './pods.ts'
import type { Node } from './resources.ts'
import { type Part, partOf, type Row, stateCell, summaryOf, worstFirst } from './stands.ts'

const SHOWN = 40
/** Each is asked for by its name, which needs no right to list all nodes of the cluster. */
const MOST = 60
const AT_ONCE = 6

/** Shows the nodes on which pods of a namespace are: ready, under pressure, cordoned, and how many of the pods are there. */
export const nodes = defineRead({
  id: 'kubernetes.nodes',
  summary: 'Show the nodes that run pods of a namespace: ready, under pressure, cordoned, tainted, and how many pods',
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
    const { items, whole } = await client.pods(namespace, '', signal)
    const pods = living(items)
    const nowhere = pods.filter(({ spec }) => !spec.nodeName).length
    const on = (name: string) => pods.filter(({ spec }) => spec.nodeName === name)
    const illOn = (name: string) => on(name).filter((pod) => !isWell(pod)).length
    const names = [...new Set(pods.flatMap(({ spec }) => spec.nodeName || []))].sort(
      (a, b) => illOn(b) - illOn(a) || on(b).length - on(a).length || (a < b ? -1 : 1),
    )
    const asked = names.slice(0, MOST)
    const parts: { name: string; part: Part<Node | null> }[] = []
    for (let i = 0; i < asked.length; i += AT_ONCE)
      parts.push(
        ...(await Promise.all(
          asked
            .slice(i, i + AT_ONCE)
            .map(async (name) => ({ name, part: await partOf(signal, () => client.node(name, signal)) })),
        )),
      )
    const rows: Row[] = parts.map(({ name, part }) => ({
      name,
      cells: [
        `${on(name).length}, ${illOn(name)} not well`,
        part.got ? readyOf(part.got) : 'unknown',
        part.got ? taintsOf(part.got) : '',
        part.got?.status.nodeInfo?.kubeletVersion ?? 'unknown',
      ],
      stand: ofNode(part),
    }))
    const versions = [...new Set(parts.flatMap(({ part }) => part.got?.status.nodeInfo?.kubeletVersion || []))].sort()
    const untold = [
      ...(whole ? [] : ['There are more pods than are read, so there may be more nodes.']),
      ...(names.length > MOST ? [`${names.length - MOST} more nodes with pods of it were not looked at.`] : []),
      ...[...new Set(parts.flatMap(({ part }) => part.why ?? []))].map(
        (why) => `${parts.filter(({ part }) => part.why === why).length} nodes cannot be told: ${why}.`,
      ),
    ]
    const where = `use by ${namespace} (${environment})`
    return {
      summary: [
        rows.length === 0
          ? [...untold, `There is no node in ${where}.`].join(' ')
          : summaryOf('nodes', where, rows, untold),
        ...(nowhere > 0 ? [`${nowhere} pods have no node yet.`] : []),
        ...(versions.length > 1 ? [`Their kubelets are of different versions: ${versions.join(', ')}.`] : []),
      ].join(' '),
      blocks:
        rows.length === 0
          ? []
          : [
              {
                type: 'table',
                columns: ['Node', 'Pods here', 'Ready', 'Taints', 'Kubelet', 'State'],
                rows: worstFirst(rows)
                  .slice(0, SHOWN)
                  .map(({ name, cells, stand }) => [name, ...cells, stateCell(stand)]),
                omitted: names.length - Math.min(rows.length, SHOWN),
              },
            ],
    }
  },
})
