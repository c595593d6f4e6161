import { z } from 'zod'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { createMask, maskSecrets } from '../mask.ts'
import { kubernetes, Name } from './connection.ts'
import { type Cluster, containersOf, living, look, readable, restartsOf } from './deployment.ts'
import type { Pod } from './nouns.ts'
import { isWell } from './pods.ts'

const MAX_BYTES = 262_144
/** More than fits into one message is not kept. */
const KEPT = 16_384

/** Shows the last lines of one pod's log; of a container that crashed, of its run before. */
export const logTail = defineRead({
  id: 'kubernetes.log-tail',
  summary: 'Show the last lines of the log of a pod, of its run before the crash if it crashed',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Kubernetes connection'),
    namespace: Name.describe('Namespace'),
    pod: z.string().default('').describe('Pod; empty for the worst one of the deployment'),
    deployment: z.string().default('').describe('Deployment, if no pod is named'),
    container: z.string().default('').describe('Container; empty for the one that crashed'),
    previous: z.enum(['auto', 'yes', 'no']).default('auto').describe('Whether the run before is wanted'),
    lines: z.coerce.number().int().min(1).max(500).default(60).describe('Lines to show'),
  }),
  async read({ connection, namespace, pod: podName, deployment, container: named, previous, lines }, ctx) {
    const cluster: Cluster = await ctx.connect(kubernetes, connection)
    readable(cluster, namespace)
    const { client } = cluster
    const pod = await choose()
    const names = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].map((container) => container.name)
    if (named && !names.includes(named))
      throw new Refused(`${pod.metadata.name} has no container "${named}". It has: ${names.join(', ')}.`)
    const worst = containersOf(pod)
      .filter((container) => names.includes(container.name))
      .toSorted((a, b) => Number(a.ready) - Number(b.ready) || b.restartCount - a.restartCount)[0]?.name
    const container = named || worst || names[0]!
    const status = containersOf(pod).find((one) => one.name === container)
    const crashed = status?.state?.running == null && (status?.restartCount ?? 0) > 0
    const read = (before: boolean) =>
      client.log(
        { namespace, name: pod.metadata.name },
        { container, previous: before, tailLines: lines, limitBytes: MAX_BYTES },
        ctx.signal,
      )
    const wantsBefore = previous === 'yes' || (previous === 'auto' && crashed)
    let log = await read(wantsBefore)
    const isBefore = wantsBefore && log !== null
    if (log === null && wantsBefore && previous === 'auto') log = await read(false)
    const where = `${namespace}/${pod.metadata.name}, container ${container}${isBefore ? ', the run before its last start' : ''}`
    const text = log === null ? '' : hide(log, pod, lines)
    if (text === '') return { summary: `There is no log of ${where}.`, blocks: [] }
    return { summary: `The end of the log of ${where}.`, blocks: [{ type: 'code', text }] }

    async function choose(): Promise<Pod> {
      if (podName) {
        const named = Name.safeParse(podName)
        const found = named.success ? await client.pod({ namespace, name: named.data }, ctx.signal) : null
        if (found) return found
        throw new Refused(`There is no pod "${podName}" in the namespace ${namespace}; it may have been replaced.`)
      }
      const name = Name.safeParse(deployment)
      if (!name.success) throw new Refused('Name a pod or a deployment.')
      const seen = await look(client, { namespace, name: name.data }, ctx.signal)
      // One that was evicted has no log any more, and was replaced.
      const pods = living(seen.pods).length > 0 ? living(seen.pods) : seen.pods
      const first = pods.toSorted(
        (a, b) => Number(isWell(a)) - Number(isWell(b)) || restartsOf([b]) - restartsOf([a]),
      )[0]
      if (first) return first
      throw new Refused(`The deployment "${name.data}" in ${namespace} has no pods.`)
    }
  },
})

const SECRET_NAME = /pass|secret|token|credential|private|api_?key|access_?key|dsn/i

/** What a program says beside a secret, and what its own environment names as one, without it. */
function hide(log: string, pod: Pod, lines: number): string {
  const values = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]
    .flatMap((container) => container.env ?? [])
    .flatMap(({ name, value }) => (value && value.length >= 6 && SECRET_NAME.test(name) ? [value] : []))
  const mask = createMask(values)
  const bytes = Buffer.concat([mask.push(Buffer.from(log)), mask.end()])
  return maskSecrets(bytes.toString('utf8'))
    .replace(/\b((?:Bearer|Basic) +)[\w+/=.~-]{8,}/gi, '$1[secret]')
    .replace(/(:\/\/[^\s:/@]{0,100}:)[^\s/@]{1,200}@/g, '$1[secret]@')
    .replace(
      /\b((?:password|passwd|secret|token|api[_-]?key)["']?[ ]{0,3}[=:][ ]{0,3}["']?)[^\s"',;&]{3,}/gi,
      '$1[secret]',
    )
    .trimEnd()
    .split('\n')
    .slice(-lines)
    .join('\n')
    .slice(-KEPT)
}
