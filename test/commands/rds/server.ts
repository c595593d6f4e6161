import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { MISCHIEF, watchAws } from '../../harness/aws-watch.ts'
import { type Instance, instanceActions } from './instances.ts'
import { element, escapeXml, Fault } from './wire.ts'

export type Task = {
  ExportTaskIdentifier: string
  SourceArn: string
  S3Bucket: string
  S3Prefix?: string
  IamRoleArn: string
  KmsKeyId: string
  ExportOnly: string[]
  Status: string
  PercentProgress: number
  TaskStartTime?: string
  TaskEndTime?: string
  /** Looks until a cancel is done. */
  looks?: number
}
/** `owner` is the cluster or instance that a snapshot was taken of. */
export type Stored = {
  arn: string
  owner: string
  status: string
  created: string
  /** Another account's, shared with this one. */
  shared?: boolean
}

const NAMESPACE = 'http://rds.amazonaws.com/doc/2014-10-31/'
const members = (form: URLSearchParams, name: string) =>
  [...form].filter(([key]) => key.startsWith(`${name}.member.`)).map(([, value]) => value)

/**
 * A small RDS over its real wire protocol (AWS Query: form in, XML out) that refuses what RDS refuses: unsigned
 * requests, missing parameters, a second task of one name, a second one over one source, and a sixth one.
 */
export async function startRds(role: string) {
  const tasks: Task[] = []
  const sources: Stored[] = []
  const instances: Instance[] = []
  const calls: URLSearchParams[] = []
  let before: ((form: URLSearchParams) => void) | undefined
  let lose: string | null = null
  let odd = false
  const refused: { action: string; fault: Fault; left: number }[] = []

  const need = (form: URLSearchParams, name: string): string => {
    const value = form.get(name)
    if (!value) throw new Fault('MissingParameter', `The request must contain the parameter ${name}.`)
    return value
  }
  const isRunning = (task: Task) => ['STARTING', 'IN_PROGRESS', 'CANCELING'].includes(task.Status)
  const taskXml = (task: Task) =>
    [
      ...Object.entries(task).map(([name, value]) =>
        Array.isArray(value) || name === 'looks' ? '' : element(name, value),
      ),
      `<ExportOnly>${task.ExportOnly.map((one) => element('member', one)).join('')}</ExportOnly>`,
    ].join('')

  const actions: Record<string, (form: URLSearchParams) => string> = {
    ...instanceActions(instances),
    CancelExportTask(form) {
      const name = need(form, 'ExportTaskIdentifier')
      const task = tasks.find((one) => one.ExportTaskIdentifier === name)
      if (!task) throw new Fault('ExportTaskNotFound', `Export task ${name} not found.`, 404)
      if (!isRunning(task)) throw new Fault('InvalidExportTaskStateFault', `${name} is ${task.Status}.`)
      task.Status = 'CANCELING'
      return taskXml(task)
    },
    StartExportTask(form) {
      const name = need(form, 'ExportTaskIdentifier')
      const SourceArn = need(form, 'SourceArn')
      const task: Task = {
        ExportTaskIdentifier: name,
        SourceArn,
        S3Bucket: need(form, 'S3BucketName'),
        ...(form.get('S3Prefix') && { S3Prefix: form.get('S3Prefix')! }),
        IamRoleArn: need(form, 'IamRoleArn'),
        KmsKeyId: need(form, 'KmsKeyId'),
        ExportOnly: members(form, 'ExportOnly'),
        Status: 'STARTING',
        PercentProgress: 0,
      }
      if (!/^[a-zA-Z](-?[a-zA-Z0-9])*$/.test(name) || name.length > 60)
        throw new Fault('InvalidParameterValue', `Invalid export task identifier: ${name}`)
      if (!sources.some((s) => s.arn === SourceArn))
        throw new Fault('DBSnapshotNotFound', `${SourceArn} not found.`, 404)
      if (task.IamRoleArn !== role) throw new Fault('IamRoleNotFound', 'The IAM role is missing.', 404)
      if (tasks.some((t) => t.ExportTaskIdentifier === name))
        throw new Fault('ExportTaskAlreadyExists', `The export task with the ID ${name} already exists.`)
      if (tasks.some((t) => isRunning(t) && t.SourceArn === SourceArn))
        throw new Fault('ExportTaskAlreadyExists', `An export of ${SourceArn} is already running.`)
      if (tasks.filter(isRunning).length >= 5)
        throw new Fault('ExportTaskLimitReachedFault', 'You have reached the limit of 5 concurrent export tasks.')
      tasks.push(task)
      return taskXml(task)
    },
    DescribeExportTasks(form) {
      const size = Number(form.get('MaxRecords') ?? 100)
      if (!(size >= 20 && size <= 100)) throw new Fault('InvalidParameterValue', `MaxRecords: ${size}`)
      const name = form.get('ExportTaskIdentifier')
      const source = form.get('SourceArn')
      const found = tasks.filter(
        (t) => (!name || t.ExportTaskIdentifier === name) && (!source || t.SourceArn === source),
      )
      if (name && found.length === 0) throw new Fault('ExportTaskNotFound', `Export task ${name} not found.`, 404)
      const from = Number(form.get('Marker') ?? 0)
      const page = found.slice(from, from + size).map((t) => `<ExportTask>${taskXml(t)}</ExportTask>`)
      // A cancel takes some looks, and is not seen by the first one.
      for (const t of found)
        if (name && t.Status === 'CANCELING') {
          t.looks = (t.looks ?? 2) - 1
          if (t.looks <= 0) t.Status = 'CANCELED'
        }
      const more = found.length > from + size ? element('Marker', from + size) : ''
      return `<ExportTasks>${page.join('')}</ExportTasks>${more}`
    },
    DescribeDBClusterSnapshots(form) {
      return snapshot(form, 'DBClusterSnapshotIdentifier', 'DBClusterSnapshot', 'DBClusterIdentifier')
    },
    DescribeDBSnapshots(form) {
      return snapshot(form, 'DBSnapshotIdentifier', 'DBSnapshot', 'DBInstanceIdentifier')
    },
    DescribeDBClusters(form) {
      // An identifier or an ARN.
      const wanted = form.get('DBClusterIdentifier') ?? ''
      const found = sources.find((s) => s.arn === wanted || s.arn.endsWith(`:cluster:${wanted}`))
      if (!found) throw new Fault('DBClusterNotFoundFault', 'not found', 404)
      const { arn, owner, status, created } = found
      return `<DBClusters><DBCluster>${element('DBClusterIdentifier', owner)}${element('DBClusterArn', arn)}${element('Status', status)}${element('ClusterCreateTime', created)}</DBCluster></DBClusters>`
    },
  }
  /** By identifier, and by type for all but manual ones; an ARN is no identifier but of a shared one. */
  function snapshot(form: URLSearchParams, key: string, tag: string, ownerTag: string): string {
    const kind = tag === 'DBSnapshot' ? 'snapshot' : 'cluster-snapshot'
    const id = form.get(key)
    const type = form.get('SnapshotType')
    const types = ['automated', 'manual', 'shared', 'public', ...(kind === 'snapshot' ? ['awsbackup'] : [])]
    if (type !== null && !types.includes(type)) throw new Fault('InvalidParameterValue', `SnapshotType: ${type}`)
    const size = Number(form.get('MaxRecords') ?? 100)
    if (!(size >= 20 && size <= 100)) throw new Fault('InvalidParameterValue', `MaxRecords: ${size}`)
    const nameOf = (s: Stored) => (s.shared ? s.arn : s.arn.split(':').slice(6).join(':'))
    const typeOf = (s: Stored) => {
      if (s.shared) return 'shared'
      if (nameOf(s).startsWith('rds:')) return 'automated'
      return nameOf(s).startsWith('awsbackup:') && kind === 'snapshot' ? 'awsbackup' : 'manual'
    }
    const found = sources.filter((s) => {
      if (s.arn.split(':')[5] !== kind || (id && nameOf(s) !== id)) return false
      if (type) return typeOf(s) === type
      if (s.shared) return form.get('IncludeShared') === 'true'
      return id === null || !id.startsWith('rds:')
    })
    if (id && found.length === 0)
      throw new Fault(kind === 'snapshot' ? 'DBSnapshotNotFound' : 'DBClusterSnapshotNotFoundFault', 'not found', 404)
    const from = Number(form.get('Marker') ?? 0)
    const rows = found
      .slice(from, from + size)
      .map(
        (s) =>
          `<${tag}>${element(`${tag}Identifier`, nameOf(s))}${element(`${tag}Arn`, s.arn)}${element(ownerTag, s.owner)}${element('Status', s.status)}${element('SnapshotCreateTime', s.created)}${element('SnapshotType', typeOf(s))}</${tag}>`,
      )
    const more = found.length > from + size ? element('Marker', from + size) : ''
    return `<${tag}s>${rows.join('')}</${tag}s>${more}`
  }

  const server = createServer(async (request, reply) => {
    if (odd) reply.setHeader(MISCHIEF, 'yes')
    let body = ''
    for await (const chunk of request) body += chunk
    const form = new URLSearchParams(body)
    const action = form.get('Action') ?? ''
    calls.push(form)
    const send = (status: number, xml: string) =>
      reply.writeHead(status, { 'content-type': 'text/xml' }).end(`<?xml version="1.0"?>\n${xml}`)
    try {
      if (!/^AWS4-HMAC-SHA256 .*\/us-east-1\/rds\/aws4_request/.test(request.headers.authorization ?? ''))
        throw new Fault('MissingAuthenticationToken', 'not signed for rds', 403)
      const handle = form.get('Version') === '2014-10-31' ? actions[action] : undefined
      if (!handle) throw new Fault('InvalidAction', `The action ${action} is not valid.`)
      before?.(form)
      const refusal = refused.find((one) => one.left > 0 && one.action === action)
      if (refusal) {
        refusal.left--
        throw refusal.fault
      }
      const result = handle(form)
      if (lose === action) {
        lose = null
        request.socket.destroy()
        return
      }
      send(
        200,
        `<${action}Response xmlns="${NAMESPACE}"><${action}Result>${result}</${action}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></${action}Response>`,
      )
    } catch (error) {
      const fault = error instanceof Fault ? error : new Fault('InternalFailure', String(error), 500)
      const type = fault.status < 500 ? 'Sender' : 'Receiver'
      send(
        fault.status,
        `<ErrorResponse xmlns="${NAMESPACE}"><Error><Type>${type}</Type><Code>${fault.code}</Code><Message>${escapeXml(fault.message)}</Message></Error><RequestId>1</RequestId></ErrorResponse>`,
      )
    }
  })
  const watch = watchAws(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tasks,
    sources,
    /** Every request so far with this action. */
    sent: (action: string) => calls.filter((form) => form.get('Action') === action),
    /** Called before each request is handled: what others do at that moment. */
    on(what: typeof before) {
      before = what
    },
    instances,
    /** The next request of this action is done, and its reply never comes. */
    loseNextReply(action = 'StartExportTask') {
      lose = action
    },
    /** From now on, until the reset, answers hold what the model does not have, such as a state that is new. */
    surprise() {
      odd = true
    },
    /** The next requests of this action are answered with this error; too many requests if none is named. */
    refuse(action: string, times: number, fault = new Fault('Throttling', 'Rate exceeded')) {
      refused.push({ action, fault, left: times })
    },
    reset() {
      refused.length = 0
      odd = false
      tasks.length = 0
      sources.length = 0
      instances.length = 0
      calls.length = 0
      before = undefined
      lose = null
    },
    async close() {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
      watch.assertHeld()
    },
  }
}
