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
}

const escapeXml = (text: string) => text.replace(/[&<>]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[c]!)
const element = (name: string, value: string | number) => `<${name}>${escapeXml(String(value))}</${name}>`
const NAMESPACE = 'http://redshift.amazonaws.com/doc/2012-12-01/'

/**
 * One address that speaks both protocols of AWS for Redshift: the Data API (JSON) with its names, tokens and states, and the
 * API of clusters (form in, XML out). `run` is what a statement does in the database; `reboot` ends what is in it.
 */
export async function startRedshift(deps: { run(sql: string): Promise<Ended>; reboot(): Promise<void> }) {
  const state = { status: 'available', events: [] as { at: string; message: string }[], statements: [] as Statement[] }
  const calls: string[] = []
  let lost: string | null = null
  let broken: string | null = null
  /** A statement that is held goes no further than STARTED until it is let go. */
  let hold: Promise<void> | null = null
  let release = () => {}
  const under = new Set<Promise<void>>()

  async function work(statement: Statement): Promise<void> {
    await hold
    if (statement.Status === 'ABORTED') return
    const { query, error } = await deps.run(statement.QueryString)
    statement.RedshiftQueryId = query
    statement.Status = error ? 'FAILED' : 'FINISHED'
    if (error) statement.Error = error
  }
  const need = (input: Json, name: string): string => {
    const value = input[name]
    if (typeof value !== 'string' || value === '') throw new Fault('ValidationException', `${name} is missing`)
    return value
  }
  const cluster = (name: string) => {
    if (name !== 'wh-1') throw new Fault('ValidationException', 'Redshift endpoint does not exist.')
  }
  const data: Record<string, (input: Json) => Json> = {
    ExecuteStatement(input) {
      cluster(need(input, 'ClusterIdentifier'))
      need(input, 'Database')
      need(input, input.SecretArn ? 'SecretArn' : 'DbUser')
      const token = need(input, 'ClientToken')
      if (token.length > 64) throw new Fault('ValidationException', 'ClientToken is too long')
      const before = state.statements.find((one) => one.token === token)
      if (before) return { Id: before.Id }
      const statement: Statement = {
        Id: `00000000-0000-4000-8000-${String(state.statements.length + 1).padStart(12, '0')}`,
        StatementName: need(input, 'StatementName'),
        QueryString: need(input, 'Sql'),
        Status: 'STARTED',
        token,
      }
      state.statements.push(statement)
      const working = work(statement).finally(() => under.delete(working))
      under.add(working)
      return { Id: statement.Id }
    },
    DescribeStatement(input) {
      const statement = state.statements.find((one) => one.Id === input.Id)
      if (!statement) throw new Fault('ResourceNotFoundException', 'Query does not exist.')
      const { token: _, StatementName: __, ...rest } = statement
      return rest
    },
    ListStatements(input) {
      cluster(need(input, 'ClusterIdentifier'))
      const prefix = need(input, 'StatementName')
      const wanted = input.Status ?? 'FINISHED'
      return {
        Statements: state.statements
          .filter((one) => one.StatementName.startsWith(prefix) && (wanted === 'ALL' || one.Status === wanted))
          .map(({ Id, StatementName, QueryString, Status }) => ({ Id, StatementName, QueryString, Status })),
      }
    },
    CancelStatement(input) {
      const statement = state.statements.find((one) => one.Id === input.Id)
      if (statement?.Status !== 'STARTED')
        throw new Fault('ValidationException', 'Could not cancel a query that is over.')
      statement.Status = 'ABORTED'
      return { Status: true }
    },
  }

  const describe = () =>
    `<Cluster>${element('ClusterIdentifier', 'wh-1')}${element('ClusterStatus', state.status)}${element('NodeType', 'ra3.xlplus')}${element('NumberOfNodes', 4)}${element('ClusterVersion', '1.0')}${element('ClusterNamespaceArn', 'arn:aws:redshift:us-east-1:123456789012:namespace:n-1')}${element('ClusterCreateTime', '2025-01-02T03:04:05Z')}${element('PreferredMaintenanceWindow', 'sun:06:00-sun:06:30')}<PendingModifiedValues/></Cluster>`
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
    try {
      if (operation) {
        if (!signed.includes('/us-east-1/redshift-data/aws4_request'))
          throw new Fault('MissingAuthenticationTokenException', 'not signed for redshift-data')
        const handle = target === 'RedshiftData' ? data[operation] : undefined
        if (!handle) throw new Fault('UnknownOperationException', `${target}.${operation}`)
        return { status: 200, type: 'application/x-amz-json-1.1', text: JSON.stringify(handle(JSON.parse(body))) }
      }
      if (!signed.includes('/us-east-1/redshift/aws4_request'))
        throw new Fault('MissingAuthenticationToken', 'not signed for redshift', 403)
      const handle = form.get('Version') === '2012-12-01' ? manage[action] : undefined
      if (!handle) throw new Fault('InvalidAction', `The action ${action} is not valid.`)
      const result = await handle(form)
      return {
        status: 200,
        type: 'text/xml',
        text: `<${action}Response xmlns="${NAMESPACE}"><${action}Result>${result}</${action}Result></${action}Response>`,
      }
    } catch (error) {
      const fault = error instanceof Fault ? error : new Fault('InternalFailure', String(error), 500)
      return operation
        ? {
            status: fault.status,
            type: 'application/x-amz-json-1.1',
            text: JSON.stringify({ __type: fault.code, message: fault.message }),
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
