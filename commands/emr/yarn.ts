import { ListInstancesCommand } from '@aws-sdk/client-emr'
import { z } from 'zod'
import { type ReadContext, Refused } from '../../src/domain/command.ts'
import { look, type Note, outputOf } from '../machines/send.ts'
import { quote } from '../machines/shell.ts'
import { maskSecrets } from '../mask.ts'
import { emr } from './connection.ts'
import { findCluster } from './look.ts'

/** An application of YARN, as in `application_1700000000000_0001`. */
export const ApplicationId = z
  .string()
  .regex(/^application_\d{10,16}_\d{4,10}$/, 'an application id such as application_1700000000000_0001')
  .describe('YARN application id')

export type Application = Readonly<{
  id: string
  name: string
  type: string
  user: string
  queue: string
  state: string
  progress: string
}>

/** EC2's id of a primary node of the cluster. Refused where the settings do not let scripts run there. */
export async function primaryOf(connection: string, id: string, ctx: ReadContext): Promise<string> {
  const { client, settings } = await ctx.connect(emr, connection)
  if (!settings.primaryNode)
    throw new Refused(`The connection "${connection}" does not let scripts run on the primary node ("primaryNode").`)
  const cluster = await findCluster(client.reads, id, ctx.signal)
  const input =
    cluster.InstanceCollectionType === 'INSTANCE_FLEET'
      ? { InstanceFleetType: 'MASTER' as const }
      : { InstanceGroupTypes: ['MASTER' as const] }
  const { Instances = [] } = await client.reads.send(
    new ListInstancesCommand({ ClusterId: id, InstanceStates: ['RUNNING'], ...input }),
    { abortSignal: ctx.signal },
  )
  const [first] = Instances.map((one) => one.Ec2InstanceId ?? '')
    .filter((one) => one !== '')
    .sort()
  if (!first) throw new Refused(`"${cluster.Name}" has no primary node that runs.`)
  return first
}

/** A script of yarn takes some seconds, a step of EMR minutes. */
export const quickly = <S extends { pollSeconds: number }>(settings: S): S => ({
  ...settings,
  pollSeconds: Math.min(settings.pollSeconds, 3),
})

/** YARN's own words for an application that is not over. */
const OPEN = 'NEW,NEW_SAVING,SUBMITTED,ACCEPTED,RUNNING'
/** Lines of its list that are kept: Systems Manager cuts an output at 24,000 characters. */
const MOST = 80

/** The applications that YARN has not ended, by id, and how many more there are than are kept. */
export async function applications(connection: string, node: string, ctx: ReadContext) {
  const out = await say(
    connection,
    node,
    [
      'set -e',
      `L=$(yarn application -list -appStates ${OPEN} 2>/dev/null)`,
      `printf '%s\\n' "$L" | grep -c '^ *application_' || true`,
      `printf '%s\\n' "$L" | grep '^ *application_' | cut -c 1-260 | head -n ${MOST} || true`,
    ],
    ctx,
  )
  const [count = '', ...lines] = out.trimEnd().split('\n')
  const found = lines.map(applicationIn).filter((one) => one !== null)
  if (!/^\d+$/.test(count) || found.length !== Math.min(MOST, Number(count)))
    throw new Error(`emr: the list of yarn on ${node} cannot be read`)
  return { found: found.sort((a, b) => a.id.localeCompare(b.id)), more: Number(count) - found.length }
}

/** A line of `yarn application -list`: columns between tabs, each padded. */
function applicationIn(line: string): Application | null {
  const [id = '', name = '', type = '', user = '', queue = '', state = '', , progress = ''] = line
    .split('\t')
    .map((one) => one.trim())
  if (!ApplicationId.safeParse(id).success) return null
  return { id, name: maskSecrets(name).slice(0, 120), type, user, queue, state, progress }
}

/** What YARN says of one application: name, user, start and state; null if it knows none of that id. */
export async function statusOf(
  connection: string,
  node: string,
  id: string,
  ctx: ReadContext,
  note?: Note,
): Promise<Readonly<Record<string, string>> | null> {
  const script = [`yarn application -status ${quote(id)} 2>&1 | head -c 6000`]
  const out = await say(connection, node, script, ctx, note)
  const fields = Object.fromEntries(
    [...out.matchAll(/^\t([A-Z][\w -]{1,40}?) : (.*)$/gm)].map(([, name = '', value = '']) => [
      name,
      maskSecrets(value.trim()).slice(0, 200),
    ]),
  )
  if (fields['Application-Id'] === id && fields.State) return fields
  if (/doesn't exist in RM|ApplicationNotFoundException/.test(out)) return null
  throw new Error(`emr: what yarn says of ${id} cannot be read`)
}

async function say(connection: string, node: string, script: readonly string[], ctx: ReadContext, note?: Note) {
  const { client, settings } = await ctx.connect(emr, connection)
  const results = await look(client.primary, quickly(settings), { instances: [node], script }, ctx.signal, note)
  return outputOf(node, results.get(node))
}
