import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { watchAws } from '../../harness/aws-watch.ts'
import type { Ended } from './copy.ts'

class Fault extends Error {
  readonly code: string
  readonly status: number
  constructor(code: string, message: string, status = 400) {
    super(message)
    this.code = code
    this.status = status
  }
}

type Json = Record<string, unknown>
export type Statement = {
  Id: string
  StatementName: string
  QueryString: string
  Status: string
  RedshiftQueryId?: number
  Error?: string
  token: string
  /** When it was sent, in milliseconds, and by whom (the access key). */
  at: number
  owner: string
  place: string
}

const HOUR = 3_600_000
/** "Considerations when calling the Data API" and the SDK's model; see facts.ts. */
const LIMITS = { tokenHours: 8, knownHours: 24, sqlBytes: 100_000, page: 100, token: 64, name: 500 }

const escapeXml = (text: string) => text.replace(/[&<>]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[c]!)
const element = (name: string, value: string | number) => `<${name}>${escapeXml(String(value))}</${name}>`
const NAMESPACE = 'http://redshift.amazonaws.com/doc/2012-12-01/'

/**
 * One address that speaks both protocols of AWS for Redshift: the Data API (JSON) with its names, tokens and states, and the
 * API of clusters (form in, XML out). `run` is what a statement does in the database; `reboot` ends what is in it. It has the
 * cluster wh-1 and the workgroup wg-1.
 */
export async function startRedshift(deps: { run(sql: string): Promise<Ended>; reboot(): Promise<void> }) {
  const state = {
    status: 'available',
    multiAz: 'Disabled',
    events: [] as { at: string; message: string }[],
    statements: [] as Statement[],
    /** Added to the clock. */
    laterMs: 0,
    /** Statements that run at a time: 500, unless a test has less. */
    most: 500,
    /** Of ListStatements; at most 100. */
    pageSize: LIMITS.page,
    /** Database users that GetClusterCredentials is allowed for; all of them without a list. */
    users: null as readonly string[] | null,
    /** What the next statements are told as their query id instead. */
    queryId: null as number | string | null,
  }
  const calls: string[] = []
  const inputs: Json[] = []
  let lost: string | null = null
  let broken: string | null = null
  let failing: { action: string; times: number; status: number; body: string } | null = null
  /** A statement that is held goes no further than STARTED until it is let go. */
  let hold: Promise<void> | null = null
  let release = () => {}
  const under = new Set<Promise<void>>()
  const now = () => Date.now() + state.laterMs

  async function work(statement: Statement): Promise<void> {
    await Promise.resolve()
    statement.Status = 'PICKED'
    await new Promise((done) => setImmediate(done))
    if (statement.Status === 'ABORTED') return
    statement.Status = 'STARTED'
    await hold
    if (isOver(statement)) return
    const { query, error } = await deps.run(statement.QueryString)
    statement.RedshiftQueryId = query
    statement.Status = error ? 'FAILED' : 'FINISHED'
    if (error) statement.Error = error
  }
  const isOver = (statement: Statement) => ['ABORTED', 'FAILED', 'FINISHED'].includes(statement.Status)
  const need = (input: Json, name: string): string => {
    const value = input[name]
    if (typeof value !== 'string' || value === '') throw new Fault('ValidationException', `${name} is missing`)
    return value
  }
  /** Either a cluster or a workgroup, and one that is there. */
  const placeOf = (input: Json): string => {
    const { ClusterIdentifier: cluster, WorkgroupName: workgroup } = input
    if (Boolean(cluster) === Boolean(workgroup))
      throw new Fault('ValidationException', 'Provide either ClusterIdentifier or WorkgroupName, and not both.')
    if (cluster && cluster !== 'wh-1') throw new Fault('ValidationException', 'Redshift endpoint does not exist.')
    if (workgroup && workgroup !== 'wg-1')
      throw new Fault('ValidationException', 'Redshift Serverless endpoint does not exist.')
    return String(cluster ?? workgroup)
  }
  /** Those that the caller may see: of its own role, and of the last day. */
  const visible = (caller: string) =>
    state.statements.filter((one) => one.owner === caller && now() - one.at < LIMITS.knownHours * HOUR)
  const known = (input: Json, caller: string): Statement => {
    const statement = visible(caller).find((one) => one.Id === input.Id)
    if (!statement) throw new Fault('ResourceNotFoundException', 'Query does not exist.')
    return statement
  }
  const data: Record<string, (input: Json, caller: string) => Json> = {
    ExecuteStatement(input, owner) {
      const place = placeOf(input)
      need(input, 'Database')
      if (input.WorkgroupName && input.DbUser)
        throw new Fault('ValidationException', 'DbUser is not for Redshift Serverless.')
      if (input.SecretArn && input.DbUser)
        throw new Fault('ValidationException', 'Provide either SecretArn or DbUser, and not both.')
      if (input.DbUser && state.users && !state.users.includes(String(input.DbUser)))
        throw new Fault(
          'AccessDeniedException',
          `User: arn:aws:iam::123456789012:role/keyturn is not authorized to perform: redshift:GetClusterCredentials on resource: arn:aws:redshift:us-east-1:123456789012:dbuser:${place}/${input.DbUser}`,
        )
      const token = need(input, 'ClientToken')
      if (token.length > LIMITS.token) throw new Fault('ValidationException', 'ClientToken is too long')
      const name = need(input, 'StatementName')
      if (name.length > LIMITS.name) throw new Fault('ValidationException', 'StatementName is too long')
      const sql = need(input, 'Sql')
      if (Buffer.byteLength(sql) > LIMITS.sqlBytes) throw new Fault('ValidationException', 'The statement is too long')
      const before = state.statements.find(
        (one) => one.token === token && one.owner === owner && now() - one.at < LIMITS.tokenHours * HOUR,
      )
      if (before) return { Id: before.Id }
      if (state.statements.filter((one) => !isOver(one)).length >= state.most)
        throw new Fault('ActiveStatementsExceededException', 'The number of active statements exceeds the limit.')
      const statement: Statement = {
        Id: `00000000-0000-4000-8000-${String(state.statements.length + 1).padStart(12, '0')}`,
        StatementName: name,
        QueryString: sql,
        Status: 'SUBMITTED',
        token,
        at: now(),
        owner,
        place,
      }
      state.statements.push(statement)
      const working = work(statement).finally(() => under.delete(working))
      under.add(working)
      return { Id: statement.Id, CreatedAt: statement.at / 1000, Database: input.Database }
    },
    DescribeStatement(input, caller) {
      const { token: _, StatementName: __, owner: ___, place, at, ...rest } = known(input, caller)
      return {
        ...rest,
        ...(state.queryId !== null && rest.RedshiftQueryId !== undefined && { RedshiftQueryId: state.queryId }),
        ...(place.startsWith('wg') ? { WorkgroupName: place } : { ClusterIdentifier: place }),
        CreatedAt: at / 1000,
        HasResultSet: false,
      }
    },
    ListStatements(input, caller) {
      const place = input.ClusterIdentifier || input.WorkgroupName ? placeOf(input) : null
      const prefix = String(input.StatementName ?? '')
      const wanted = input.Status ?? 'FINISHED'
      const size = Math.min(Number(input.MaxResults ?? state.pageSize), state.pageSize)
      const all = visible(caller)
        .toReversed()
        .filter((one) => one.StatementName.startsWith(prefix) && (wanted === 'ALL' || one.Status === wanted))
        .filter((one) => place === null || one.place === place)
      const from = Number(input.NextToken ?? 0)
      return {
        Statements: all
          .slice(from, from + size)
          .map(({ Id, StatementName, QueryString, Status }) => ({ Id, StatementName, QueryString, Status })),
        ...(from + size < all.length && { NextToken: String(from + size) }),
      }
    },
    CancelStatement(input, caller) {
      const statement = known(input, caller)
      if (isOver(statement)) throw new Fault('ValidationException', 'Could not cancel a query that is over.')
      statement.Status = 'ABORTED'
      return { Status: true }
    },
  }

  const describe = () =>
    `<Cluster>${element('ClusterIdentifier', 'wh-1')}${element('ClusterStatus', state.status)}${element('NodeType', 'ra3.xlplus')}${element('NumberOfNodes', 4)}${element('ClusterVersion', '1.0')}${element('ClusterNamespaceArn', 'arn:aws:redshift:us-east-1:123456789012:namespace:n-1')}${element('ClusterCreateTime', '2025-01-02T03:04:05Z')}${element('PreferredMaintenanceWindow', 'sun:06:00-sun:06:30')}${element('MultiAZ', state.multiAz)}<PendingModifiedValues/></Cluster>`
  const manage: Record<string, (form: URLSearchParams) => Promise<string> | string> = {
    DescribeClusters(form) {
      if (form.get('ClusterIdentifier') !== 'wh-1') throw new Fault('ClusterNotFound', 'Cluster not found.', 404)
      // A reboot is over by the second look.
      const shown = describe()
      if (state.status === 'rebooting') {
        state.status = 'available'
        state.events.push({ at: new Date().toISOString(), message: "Amazon Redshift cluster 'wh-1' was rebooted." })
      }
      return `<Clusters>${shown}</Clusters>`
    },
    async RebootCluster(form) {
      if (form.get('ClusterIdentifier') !== 'wh-1') throw new Fault('ClusterNotFound', 'Cluster not found.', 404)
      if (state.status !== 'available')
        throw new Fault('InvalidClusterState', 'The specified cluster is not in the available state.')
      state.status = 'rebooting'
      await deps.reboot()
      return describe()
    },
    DescribeEvents(form) {
      const from = form.get('StartTime') ?? ''
      const shown = state.events.filter((event) => event.at >= from)
      return `<Events>${shown.map((e) => `<Event>${element('SourceIdentifier', 'wh-1')}${element('SourceType', 'cluster')}${element('Message', e.message)}${element('Date', e.at)}</Event>`).join('')}</Events>`
    },
  }

  async function answer(
    request: IncomingMessage,
    body: string,
  ): Promise<{ status: number; type: string; text: string }> {
    const [target, operation] = String(request.headers['x-amz-target'] ?? '').split('.')
    const form = new URLSearchParams(operation ? '' : body)
    const action = operation ?? form.get('Action') ?? ''
    calls.push(action)
    const signed = request.headers.authorization ?? ''
    const caller = /Credential=([^/]+)\//.exec(signed)?.[1] ?? ''
    if (failing?.action === action && failing.times > 0) {
      failing.times -= 1
      return { status: failing.status, type: 'application/x-amz-json-1.1', text: failing.body }
    }
    try {
      if (operation) {
        if (!signed.includes('/us-east-1/redshift-data/aws4_request'))
          throw new Fault('MissingAuthenticationTokenException', 'not signed for redshift-data')
        const handle = target === 'RedshiftData' ? data[operation] : undefined
        if (!handle) throw new Fault('UnknownOperationException', `${target}.${operation}`)
        const input = JSON.parse(body) as Json
        inputs.push({ action, ...input })
        return { status: 200, type: 'application/x-amz-json-1.1', text: JSON.stringify(handle(input, caller)) }
      }
      if (!signed.includes('/us-east-1/redshift/aws4_request'))
        throw new Fault('MissingAuthenticationToken', 'not signed for redshift', 403)
      const handle = form.get('Version') === '2012-12-01' ? manage[action] : undefined
      if (!handle) throw new Fault('InvalidAction', `The action ${action} is not valid.`)
      const result = await handle(form)
      return {
        status: 200,
        type: 'text/xml',
        text: `<${action}Response xmlns="${NAMESPACE}"><${action}Result>${result}</${action}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></${action}Response>`,
      }
    } catch (error) {
      const fault = error instanceof Fault ? error : new Fault('InternalFailure', String(error), 500)
      return operation
        ? {
            status: fault.status,
            type: 'application/x-amz-json-1.1',
            text: JSON.stringify({ __type: fault.code, message: fault.message, Message: fault.message }),
          }
        : {
            status: fault.status,
            type: 'text/xml',
            text: `<ErrorResponse xmlns="${NAMESPACE}"><Error><Type>Sender</Type><Code>${fault.code}</Code><Message>${escapeXml(fault.message)}</Message></Error><RequestId>1</RequestId></ErrorResponse>`,
          }
    }
  }

  const server = createServer(async (request, reply) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const { status, type, text } = await answer(request, body)
    if (calls.at(-1) === broken) {
      request.socket.destroy()
      return
    }
    if (lost !== null && calls.at(-1) === lost) {
      lost = null
      request.socket.destroy()
      return
    }
    reply.writeHead(status, { 'content-type': type }).end(text)
  })
  const watch = watchAws(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    state,
    sent: (action: string) => calls.filter((one) => one === action).length,
    /** What the Data API was asked last, by this action. */
    asked: (action: string) => inputs.findLast((one) => one.action === action),
    /** The next so many requests of this action get this answer instead. */
    fail(action: string, times: number, status: number, body: string) {
      failing = { action, times, status, body }
    },
    /** The next request of this action is done, and its reply never comes. */
    lose(action: string) {
      lost = action
    },
    /** No request of this action gets a reply, until it is called with null. */
    break(action: string | null) {
      broken = action
    },
    /** Statements stay STARTED until the function that comes back is called. */
    hold(): () => void {
      hold = new Promise((resolve) => {
        release = resolve
      })
      return () => {
        hold = null
        release()
      }
    },
    async close() {
      release()
      await Promise.allSettled(under)
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
      watch.assertHeld()
    },
  }
}
