import { gzipSync } from 'node:zlib'
import { members, xml } from '../../commands/aws/query-server.ts'
import { awsAt, type Call, type Fields, last, namesIn, type Peer, type Question, type Reply } from './peer.ts'

const AT = '2026-01-01T00:00:00Z'
const MACHINES = ['i-0a000001', 'i-0a000002']
const [GOOD, BAD] = ['a'.repeat(40), 'b'.repeat(40)]

/** What the last script on a machine says. */
function output(call: Call): string {
  const { Parameters: given, Comment: comment } = last(call, 'SendCommand') ?? {}
  const script = (given as { commands?: string[] } | undefined)?.commands?.join('\n') ?? ''
  const isChanged = call.before.some(
    ({ action, input }) => action === 'SendCommand' && /^keyturn [^l]/.test(`${input.Comment}`),
  )
  if (script.includes('systemctl show'))
    return ['LoadState=loaded', 'ActiveState=active', 'SubState=running', 'InvocationID=i1', 'NRestarts=0'].join('\n')
  if (script.includes('base64')) {
    const pins = namesIn(call.params.packages).map((pin) => pin.split(/=(.*)/s))
    if (pins.length === 0) pins.push(['curl', '0'])
    const lines = pins.map(([name, version]) => `${name}\t${isChanged ? version : '0'}`)
    return gzipSync(lines.join('\n')).toString('base64')
  }
  const [, application] = /application -status '(\w+)'/.exec(script) ?? []
  if (application) return `\tApplication-Id : ${application}\n\tState : ${isChanged ? 'KILLED' : 'RUNNING'}\n`
  return script.includes('sha256sum') && comment === 'keyturn looks' ? `${'0'.repeat(64)}\n2 20 ${AT}\na\nb` : ''
}

/** The parameters of the stack `checkout`, with every update so far. */
function stack({ before }: Call): Record<string, string> {
  const set = { BlueVersion: GOOD, BlueCopies: '0', GreenVersion: BAD, GreenCopies: '3', Live: 'green' }
  for (const { action, input } of before)
    if (action === 'UpdateStack')
      for (const { ParameterKey: key = '', ParameterValue: value } of members(formOf(input), 'Parameters'))
        if (value !== undefined) Object.assign(set, { [key]: value })
  return set
}
const formOf = (input: Fields) => new URLSearchParams(input as Record<string, string>)

const cluster = { ClusterIdentifier: 'wh', ClusterStatus: 'available', NodeType: 'ra3.xlplus', NumberOfNodes: 2 }
const snapshot = ({ params: { source } }: Call) => ({
  ...{ DBInstanceIdentifier: 'db1', DBClusterIdentifier: 'c1', Status: 'available' },
  ...{ DBSnapshotArn: source, DBClusterSnapshotArn: source, DBClusterArn: source },
})
const running = { Status: { State: 'RUNNING' } }
const stepOf = (Id: unknown, State: string) => ({ Id, Name: 'step', Status: { State } })

/** What each action gives, in JSON or as the elements of XML. Whatever is not here takes anything and gives nothing. */
const ACTIONS: Readonly<Record<string, (input: Fields, call: Call) => object>> = {
  DescribeTable(_, call) {
    const { BillingMode, OnDemandThroughput, ...changed } = last(call, 'UpdateTable') ?? {}
    const ProvisionedThroughput = changed.ProvisionedThroughput ?? { ReadCapacityUnits: 1, WriteCapacityUnits: 1 }
    const BillingModeSummary = BillingMode ? { BillingMode } : undefined
    return {
      Table: { TableId: 't1', TableStatus: 'ACTIVE', ProvisionedThroughput, BillingModeSummary, OnDemandThroughput },
    }
  },
  // One minute of each metric, within the half hour before the peers' time.
  GetMetricData: ({ MetricDataQueries }) => ({
    MetricDataResults: (MetricDataQueries as { Id: string }[]).map(({ Id }) => ({
      ...{ Id, StatusCode: 'Complete', Timestamps: [Date.parse('2026-03-14T02:00:00Z') / 1000], Values: [30] },
    })),
  }),

  DescribeDBSnapshots: (_, call) => ({ DBSnapshots: { DBSnapshot: snapshot(call) } }),
  DescribeDBClusterSnapshots: (_, call) => ({ DBClusterSnapshots: { DBClusterSnapshot: snapshot(call) } }),
  DescribeDBClusters: (_, call) => ({ DBClusters: { DBCluster: snapshot(call) } }),
  DescribeExportTasks({ ExportTaskIdentifier }, call) {
    const Status = last(call, 'CancelExportTask') ? 'CANCELED' : 'IN_PROGRESS'
    if (!ExportTaskIdentifier) return { ExportTasks: {} }
    return { ExportTasks: { ExportTask: { ExportTaskIdentifier, Status, S3Bucket: 'exports', SourceArn: 'arn:a' } } }
  },
  StartExportTask: () => ({ Status: 'STARTING' }),
  DescribeDBInstances({ DBInstanceIdentifier }, call) {
    const DBInstanceClass = last(call, 'ModifyDBInstance')?.DBInstanceClass ?? 'db.t3.micro'
    const state = { DBInstanceStatus: 'available', DbiResourceId: 'r1', Engine: 'postgres', EngineVersion: '17.2' }
    return { DBInstances: { DBInstance: { DBInstanceIdentifier, DBInstanceClass, ...state } } }
  },
  DescribeOrderableDBInstanceOptions: ({ DBInstanceClass }) => ({
    OrderableDBInstanceOptions: { OrderableDBInstanceOption: { DBInstanceClass } },
  }),

  DescribeCluster: ({ ClusterId }) => ({ Cluster: { Id: ClusterId, Name: 'parsers', ...running } }),
  ListSteps(_, call) {
    const state = last(call, 'CancelSteps') ? 'CANCELLED' : 'PENDING'
    return { Steps: namesIn(call.params.steps).map((id) => stepOf(id, state)) }
  },
  ListInstances: () => ({ Instances: [{ Ec2InstanceId: MACHINES[0] }] }),
  ListInstanceGroups: (_, { params }) => ({
    InstanceGroups: [{ Id: params.group, InstanceGroupType: 'TASK', RequestedInstanceCount: 1, ...running }],
  }),

  DescribeInstanceInformation: () => ({
    InstanceInformationList: MACHINES.map((InstanceId) => ({ InstanceId, PingStatus: 'Online' })),
  }),
  SendCommand: () => ({ Command: { CommandId: '0a000000-0000-4000-8000-000000000001' } }),
  GetCommandInvocation: (_, call) => ({
    ...{ Status: 'Success', StatusDetails: 'Success', ResponseCode: 0, StandardOutputContent: output(call) },
  }),
  DescribeAutoScalingGroups({ 'AutoScalingGroupNames.member.1': AutoScalingGroupName }, call) {
    const gone = call.before.map(({ action, input }) => action.startsWith('Terminate') && input.InstanceId)
    const Instances = [...MACHINES, 'i-0a000003', 'i-0a000004']
      .filter((id) => !gone.includes(id))
      .slice(0, MACHINES.length)
      .map((InstanceId) => ({ InstanceId, LifecycleState: 'InService', HealthStatus: 'Healthy' }))
    const size = { MinSize: 1, MaxSize: 9, DesiredCapacity: MACHINES.length }
    return { AutoScalingGroups: [{ AutoScalingGroupName, ...size, Instances }] }
  },

  DescribeStacks(_, call) {
    const Parameters = Object.entries(stack(call)).map(([ParameterKey, ParameterValue]) => ({
      ...{ ParameterKey, ParameterValue },
    }))
    const named = { StackName: 'checkout', StackId: 'arn:aws:cloudformation:us-east-1:1:stack/checkout/1' }
    return { Stacks: [{ ...named, StackStatus: 'UPDATE_COMPLETE', CreationTime: AT, Parameters }] }
  },

  ExecuteStatement: () => ({ Id: 'st-1' }),
  DescribeStatement: () => ({ Id: 'st-1', Status: 'FINISHED', RedshiftQueryId: 9 }),
  DescribeClusters: () => ({ Clusters: { Cluster: cluster } }),
  DescribeEvents: () => ({ Events: { Event: { Message: 'Cluster was rebooted.', Date: '2026-03-14T02:09:00Z' } } }),
}

/** One of AWS's APIs: JSON where the question was JSON, else XML. */
export function replyOfAws({ action, input }: Question, call: Call, isJson: boolean): Reply {
  const result = ACTIONS[action]?.(input, call) ?? {}
  if (isJson) return { headers: { 'content-type': 'application/x-amz-json-1.1' }, body: JSON.stringify(result) }
  const body = `<${action}Response><${action}Result>${xml(result as Parameters<typeof xml>[0])}</${action}Result></${action}Response>`
  return { headers: { 'content-type': 'text/xml' }, body }
}

export const dynamodb: Peer = {
  settings: ({ origin }) => ({
    ...awsAt(origin),
    cloudwatchEndpoint: origin,
    tables: { orders: { maxRead: 9, maxWrite: 9, onDemand: true } },
    pollSeconds: 0.001,
  }),
}
export const rds: Peer = {
  settings: ({ origin }) => ({
    ...awsAt(origin),
    ...{ bucket: 'exports', iamRoleArn: 'arn:aws:iam::1:role/r', kmsKeyId: 'k', pollSeconds: 0.001 },
    resize: { instances: ['db1'], classes: ['db.r6g.large'] },
  }),
}
export const emr: Peer = {
  settings: ({ origin }) => ({ ...awsAt(origin), clusters: ['parsers'], primaryNode: true, pollSeconds: 0.001 }),
}
export const machines: Peer = {
  settings: ({ origin }) => ({
    ...awsAt(origin),
    pollSeconds: 0.001,
    groups: {
      workers: {
        tag: { name: 'role', value: 'w' },
        ...{
          autoScalingGroup: 'asg',
          maxMachines: 9,
          pySpy: '/usr/bin/py-spy',
          urls: { page: `${origin}/page` },
          units: ['app.service'],
          packages: ['curl'],
        },
        folders: { '/var/tmp/app': { keepHours: 1 } },
      },
    },
  }),
}
export const cloudformation: Peer = {
  settings({ origin }) {
    const colour = (name: string) => ({
      ...{ stack: 'checkout', version: `${name}Version`, capacity: `${name}Copies` },
      url: `${origin}/${name}/version`,
    })
    const colours = { blue: colour('Blue'), green: colour('Green') }
    const values = { blue: 'blue', green: 'green' }
    const traffic = { stack: 'checkout', parameter: 'Live', values, waitSeconds: 0 }
    const checkout = { repository: 'shop/checkout', colours, healthyAnswers: 2, traffic }
    return { ...awsAt(origin), checks: 'github', services: { checkout }, pollSeconds: 0.001 }
  },
  reply: ({ segments }, call) => ({ json: { commit: stack(call)[`${segments[1]}Version`] } }),
}
