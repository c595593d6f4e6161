import { randomUUID } from 'node:crypto'
import { askedInSession } from '../../harness/aws-watch.ts'
import { QueryFault, startQuery } from './query-server.ts'

const GRANTED_SECONDS = 3_600
const ROLE = /^arn:aws[\w-]*:iam::\d{12}:role\/[\w+=,.@/-]+$/

/** A role that anybody may take on, in the account of the other servers. */
const ROLE_ARN = 'arn:aws:iam::123456789012:role/keyturn'

type Statement = Readonly<{ Effect: 'Allow'; Action: string[]; Resource: string[] }>
const statementsOf = (policy: string | null): Statement[] => (policy === null ? [] : JSON.parse(policy).Statement)

/**
 * STS with roles and the external ids that their trust policies ask for (null: none). `close` throws what a session was used for
 * that its policy does not name. Facts: facts.ts beside it.
 */
export async function startSts(roles: Readonly<Record<string, string | null>> = { [ROLE_ARN]: null }) {
  const sessions = new Map<string, { role: string; policy: string | null; over: boolean }>()
  let busy = 0
  const server = await startQuery('sts', '2011-06-15', {
    AssumeRole(form) {
      if (busy > 0) {
        busy -= 1
        throw new QueryFault('Throttling', 'Rate exceeded')
      }
      const role = form.get('RoleArn') ?? ''
      const name = form.get('RoleSessionName') ?? ''
      const policy = form.get('Policy')
      const seconds = Number(form.get('DurationSeconds') ?? GRANTED_SECONDS)
      const wrong = (message: string) => new QueryFault('ValidationError', message)
      if (!ROLE.test(role)) throw wrong(`${role} is invalid`)
      if (!/^[\w+=,.@-]{2,64}$/.test(name)) throw wrong("Value at 'roleSessionName' failed to satisfy constraint")
      if (!(seconds >= 900 && seconds <= 43_200)) throw wrong("Value at 'durationSeconds' failed to satisfy constraint")
      if (policy !== null) {
        if (!/^[\t\n\r\u0020-\u00FF]*$/.test(policy))
          throw wrong("Value at 'policy' failed to satisfy constraint: pattern")
        if (policy.length > 2_048) throw wrong("Value at 'policy' failed to satisfy constraint: length <= 2048")
        refuseMalformed(policy)
      }
      const wanted = Object.hasOwn(roles, role) ? roles[role] : undefined
      if (wanted === undefined || (wanted !== null && wanted !== form.get('ExternalId')))
        throw new QueryFault(
          'AccessDenied',
          `User: arn:aws:iam::111122223333:user/keyturn is not authorized to perform: sts:AssumeRole on resource: ${role}`,
        )
      const token = `session-${randomUUID()}`
      sessions.set(token, { role, policy, over: false })
      return {
        Credentials: {
          AccessKeyId: `ASIA${sessions.size}`,
          SecretAccessKey: 'temporary',
          SessionToken: token,
          Expiration: new Date(Date.now() + seconds * 1_000).toISOString(),
        },
        AssumedRoleUser: { AssumedRoleId: `AROA:${name}`, Arn: `${role.replace(':role/', ':assumed-role/')}/${name}` },
      }
    },
  })
  return {
    ...server,
    sessions,
    /** What leads a connection to that role. */
    settings: { roleArn: ROLE_ARN, stsEndpoint: server.endpoint },
    /** The statements of the policies that sessions were asked with, each policy once. */
    policies: (): Statement[][] =>
      [...new Set([...sessions.values()].map((session) => session.policy))]
        .filter((policy) => policy !== null)
        .map(statementsOf),
    /** What was asked in sessions with a policy, by the name of the action. */
    asked: (): string[] =>
      [
        ...new Set(
          [...sessions].flatMap(([token, { policy }]) => (policy ? [...(askedInSession.get(token) ?? [])] : [])),
        ),
      ].sort(),
    async close() {
      await server.close()
      for (const [token, { policy }] of sessions) {
        const named = statementsOf(policy).flatMap((one) => one.Action)
        const others = [...(askedInSession.get(token) ?? [])].filter((action) => !named.includes(action))
        if (policy !== null && others.length > 0)
          throw new Error(`asked in a session whose policy does not name it: ${others.join(', ')}`)
      }
    },
    /** All sessions so far are over, whatever was said of their end. */
    end() {
      for (const session of sessions.values()) session.over = true
    },
    /** The next requests are throttled. */
    throttle(times: number) {
      busy = times
    },
  }
}

function refuseMalformed(policy: string): void {
  try {
    const { Version, Statement } = JSON.parse(policy) as { Version?: unknown; Statement?: unknown }
    if (Version === '2012-10-17' && Array.isArray(Statement)) return
  } catch {}
  throw new QueryFault('MalformedPolicyDocument', 'The policy is not in the valid JSON format.')
}
