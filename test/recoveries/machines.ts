import { once } from 'node:events'
import { mkdir, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { TOKEN as AIRFLOW_TOKEN, startAirflow } from '../commands/airflow/server.ts'
import { startEmr } from '../commands/emr/server.ts'
import { type Fleet, startFleet } from '../commands/machines/fleet.ts'
import { startScaling } from '../commands/machines/scaling.ts'
import { startShop } from './deploy.ts'
import type { Desk } from './desk.ts'
import type { Row } from './row.ts'

const PEER = 'servers that speak the wire protocols of Systems Manager and Auto Scaling; scripts run in a real shell'
const UNITS = ['airflow-scheduler.service', 'airflow-webserver.service', 'airflow-worker.service']
const IDS = ['i-0a000001', 'i-0a000002']

const must = (holds: boolean, what: string) => {
  if (!holds) throw new Error(what)
}

/** One account with machines of some groups; `groups` as the connection `fleet` lists them. */
async function startAccount(scalingGroup: string, groups: (fleet: Fleet) => object) {
  const fleet = await startFleet()
  const scaling = await startScaling(scalingGroup)
  return {
    fleet,
    scaling,
    secrets: { K: 'local-secret' },
    connection: {
      kind: 'machines',
      environment: 'production',
      region: 'us-east-1',
      endpoint: fleet.endpoint,
      autoScalingEndpoint: scaling.endpoint,
      accessKeyIdFrom: 'K',
      secretAccessKeyFrom: 'K',
      pollSeconds: 0.01,
      groups: groups(fleet),
    },
    close: () => Promise.all([fleet.close(), scaling.close()]),
  }
}

async function approveAll(desk: Desk, incident: string, then: string): Promise<void> {
  await desk.approve(incident)
  const { status, run, note } = (await desk.last(incident))!
  must(status === then, `ended as ${status} and not ${then}: ${run?.message ?? note}`)
}

async function conflictingPackages(): ReturnType<Row['begin']> {
  const airflow = { tag: { name: 'Role', value: 'airflow' }, units: UNITS, packages: ['numpy'] }
  const account = await startAccount('none', () => ({
    airflow,
    staging: { ...airflow, tag: { name: 'Role', value: 'staging' } },
  }))
  const { fleet } = account
  for (const [i, id] of IDS.entries()) await fleet.add(id, `af-${i + 1}`, { Role: 'airflow' })
  await fleet.add('i-0b000001', 'staging-1', { Role: 'staging' })
  const arrange = async () => {
    for (const id of [...IDS, 'i-0b000001']) {
      for (const unit of UNITS) await fleet.unit(id, unit)
      await fleet.packages(
        id,
        { numpy: id.startsWith('i-0b') ? '1.26.4' : '2.1.0', pandas: '2.0.3' },
        { numpy: '1.26.4' },
      )
    }
    for (const id of IDS) await fleet.unit(id, UNITS[0]!, 'failed')
  }
  const labels = {
    alertname: 'PackageConflict',
    connection: 'fleet',
    group: 'airflow',
    against_connection: 'fleet',
    against: 'staging',
  }
  return {
    connections: { fleet: account.connection },
    secrets: account.secrets,
    async alert() {
      await arrange()
      return { labels, annotations: { wanted_packages: 'numpy=1.26.4' } }
    },
    async recover(desk, incident) {
      must((await desk.thread(incident)).includes('1.26.4'), 'the thread does not show the version of staging')
      await approveAll(desk, incident, 'succeeded')
      await desk.ask(incident, 'restart-the-units')
      await approveAll(desk, incident, 'succeeded')
    },
    async mended() {
      for (const id of IDS) {
        must((await fleet.installed(id)).numpy === '1.26.4', `${id} has ${JSON.stringify(await fleet.installed(id))}`)
        for (const unit of UNITS) must(fleet.starts(id, unit) === 2, `${unit} of ${id} was not restarted once`)
      }
    },
    guard: {
      async arrange(desk) {
        await arrange()
        return desk.fire({ labels, annotations: { wanted_packages: 'numpy=1.26.4, openssl=1.1.1' } })
      },
      says: /does not list the package openssl/,
    },
    async stop() {
      await account.close()
    },
  }
}

async function diskFull(): ReturnType<Row['begin']> {
  const folderOf = (fleet: Fleet) => join(fleet.root, 'ingest', 'done')
  const account = await startAccount('none', (fleet) => ({
    ingest: {
      tag: { name: 'Role', value: 'ingest' },
      units: ['ingest.service'],
      folders: { [folderOf(fleet)]: { keepHours: 24 } },
    },
  }))
  const { fleet } = account
  const folder = folderOf(fleet)
  await fleet.add(IDS[0]!, 'ingest-1', { Role: 'ingest' })
  const old = [join(folder, 'a', 'old 1.json'), join(folder, 'old 2.json')]
  const fresh = join(folder, 'new.json')
  const arrange = async () => {
    await fleet.unit(IDS[0]!, 'ingest.service')
    await mkdir(join(folder, 'a'), { recursive: true })
    for (const file of [...old, fresh]) await writeFile(file, 'x'.repeat(4_096))
    for (const file of old) await utimes(file, 1_700_000_000, 1_700_000_000)
  }
  const firing = (where: string) => ({
    labels: {
      alertname: 'MachineDiskFull',
      connection: 'fleet',
      group: 'ingest',
      folder: where,
      unit: 'ingest.service',
    },
    annotations: { older_than_hours: '48' },
  })
  return {
    connections: { fleet: account.connection },
    secrets: account.secrets,
    async alert() {
      await arrange()
      return firing(folder)
    },
    async mended() {
      const left = await fleet.files(folder)
      must(left.join() === 'new.json', `left: ${left.join()}`)
      must(fleet.starts(IDS[0]!, 'ingest.service') === 2, 'the service was not restarted')
    },
    guard: {
      async arrange(desk) {
        await arrange()
        return desk.fire(firing(fleet.root))
      },
      says: /is not below a folder/,
    },
    async stop() {
      await account.close()
    },
  }
}

async function schedulerDown(): ReturnType<Row['begin']> {
  let sick = true
  const page = (status: () => number) =>
    createServer((_, reply) => void reply.writeHead(status()).end('<html>')).listen(0, '127.0.0.1')
  const pages = { scheduler: page(() => (sick ? 503 : 200)), cluster: page(() => 200) }
  await Promise.all(Object.values(pages).map((server) => once(server, 'listening')))
  const url = (name: keyof typeof pages) => `http://127.0.0.1:${(pages[name].address() as AddressInfo).port}`
  const account = await startAccount('nightly-master', () => ({
    master: {
      tag: { name: 'Role', value: 'master' },
      autoScalingGroup: 'nightly-master',
      units: ['scheduler.service'],
      urls: { scheduler: url('scheduler'), cluster: url('cluster') },
    },
  }))
  const { fleet, scaling } = account
  await fleet.add(IDS[0]!, 'master-1', { Role: 'master' })
  await fleet.journal(IDS[0]!, 'scheduler.service', ['Storage is not ready', 'Lost leadership, committing suicide'])
  const arrange = () => {
    sick = true
    scaling.hold(IDS[0]!)
    scaling.state.onReplaced = () => {
      sick = false
    }
  }
  const firing = {
    labels: { alertname: 'SchedulerUiDown', connection: 'fleet', group: 'master', unit: 'scheduler.service' },
  }
  return {
    connections: { fleet: account.connection },
    secrets: account.secrets,
    async alert() {
      arrange()
      return firing
    },
    async recover(desk, incident) {
      const thread = await desk.thread(incident)
      must(/Down: scheduler\. Up: cluster\./.test(thread), 'the thread does not say which page is down')
      must(thread.includes('Lost leadership'), 'the thread does not show the journal')
      await approveAll(desk, incident, 'succeeded')
      const grant = (await desk.last(incident))!.grant!
      must(new Set(grant.approvals.map((one) => one.user)).size === 2, 'one person alone has cycled the master')
    },
    async mended() {
      must((await fetch(url('scheduler'))).status === 200, 'the scheduler is still down')
      must(!scaling.state.instances.some((one) => one.InstanceId === IDS[0]), 'the old master is still there')
    },
    guard: {
      async arrange(desk) {
        arrange()
        scaling.state.suspended = ['Launch']
        return desk.fire(firing)
      },
      says: /a new machine would not come/,
    },
    async stop() {
      for (const server of Object.values(pages)) {
        server.closeAllConnections()
        server.close()
      }
      await account.close()
    },
  }
}

const hour = (ago: number) => new Date(Date.now() - ago * 3_600_000).toISOString()

/** The six rungs, as the playbook's headings name them. */
const RUNGS = [
  'cycle-the-machines',
  'run-it-again',
  'grow-the-cluster',
  'run-it-again-on-the-larger-cluster',
  'roll-back-the-service',
  'run-it-again-with-the-version-before',
]

async function nightlyFailed(): ReturnType<Row['begin']> {
  const jobs = await startAirflow(2)
  const emr = await startEmr()
  const shop = await startShop()
  const account = await startAccount('nightly', () => ({
    nightly: { tag: { name: 'Role', value: 'nightly' }, autoScalingGroup: 'nightly' },
  }))
  const { scaling } = account
  const arrange = () => {
    jobs.reset()
    jobs.state.addDag('nightly', { extract: ['train'], train: [] })
    const tasks = { extract: 'success', train: 'failed' }
    jobs.state.addRun('nightly', 't-77', 'failed', tasks, { date: hour(10), start: hour(3), end: hour(1) })
    emr.state.groups = [
      {
        Id: 'ig-1',
        InstanceGroupType: 'TASK',
        InstanceType: 'm6g.xlarge',
        RequestedInstanceCount: 4,
        RunningInstanceCount: 4,
        state: 'RUNNING',
      },
    ]
    shop.arrange()
    scaling.hold(...IDS)
  }
  const firing = {
    labels: {
      alertname: 'NightlyRunFailed',
      airflow: 'jobs',
      dag: 'nightly',
      run: 't-77',
      machines: 'fleet',
      group: 'nightly',
      emr: 'parsers',
      cluster: 'j-1',
      instance_group: 'ig-1',
      deploys: 'shop',
      service: 'checkout',
    },
    annotations: { wanted_instances: '6' },
  }
  return {
    connections: {
      ...shop.connections,
      fleet: account.connection,
      jobs: {
        kind: 'airflow',
        environment: 'production',
        baseUrl: jobs.origin,
        api: 2,
        auth: { kind: 'bearer', tokenFrom: 'AIRFLOW_TOKEN' },
        dags: ['nightly'],
        pollSeconds: 0.005,
      },
      parsers: {
        kind: 'emr',
        environment: 'production',
        region: 'us-east-1',
        endpoint: emr.endpoint,
        accessKeyIdFrom: 'K',
        secretAccessKeyFrom: 'K',
        clusters: ['parsers'],
        maxInstances: 8,
      },
    },
    secrets: { ...shop.secrets, AIRFLOW_TOKEN },
    async alert() {
      arrange()
      return firing
    },
    async recover(desk, incident) {
      for (const [rung, step] of RUNGS.entries()) {
        for (const later of RUNGS.slice(rung + 1)) {
          const answer = await desk.ask(incident, later).then(
            () => 'offered',
            (error: Error) => error.message,
          )
          must(answer.includes('not_offered_yet'), `${later} is offered before ${step} has run: ${answer}`)
        }
        const again = step.startsWith('run-it-again')
        const good = rung === RUNGS.length - 1
        if (again && !good) jobs.state.failsAgain.add('nightly')
        else jobs.state.failsAgain.delete('nightly')
        if (rung > 0) await desk.ask(incident, step)
        await approveAll(desk, incident, again && !good ? 'failed' : 'succeeded')
        // That server has a clock of its own.
        Object.assign(jobs.state.runs[0]!, { start: hour(1), end: hour(0.5) })
      }
    },
    async mended() {
      must(jobs.state.runs.length === 1, 'the run did not keep its id')
      must(jobs.state.runs[0]!.state === 'success', `the run is ${jobs.state.runs[0]!.state}`)
      must(jobs.state.ended.join() === 'nightly failed,nightly failed,nightly success', jobs.state.ended.join())
      must(emr.state.groups[0]!.RequestedInstanceCount === 6, 'the cluster was not grown')
      must(!scaling.state.instances.some((one) => IDS.includes(one.InstanceId)), 'the machines were not cycled')
      shop.mended()
      must(jobs.wrong.length === 0, jobs.wrong.join('\n'))
    },
    guard: {
      async arrange(desk) {
        arrange()
        scaling.state.refresh = 'InProgress'
        return desk.fire(firing)
      },
      says: /An instance refresh of "nightly" is going on/,
    },
    async stop() {
      await Promise.all([jobs.stop(), emr.close(), shop.close(), account.close()])
    },
  }
}

async function taskTooLong(): ReturnType<Row['begin']> {
  const jobs = await startAirflow(2)
  const account = await startAccount('airflow-prod', () => ({
    airflow: {
      tag: { name: 'Role', value: 'airflow' },
      autoScalingGroup: 'airflow-prod',
      maxMachines: 4,
      pySpy: new URL('../fixtures/machines/bin/py-spy', import.meta.url).pathname,
    },
  }))
  const { fleet, scaling } = account
  for (const [i, id] of IDS.entries()) await fleet.add(id, `af-${i + 1}`, { Role: 'airflow' })
  await fleet.processes(IDS[0]!, [
    '41 airflow task runner: nightly train t-77',
    '42 airflow task runner: nightly load t-77',
  ])
  const arrange = () => {
    jobs.reset()
    jobs.state.addDag('nightly', { train: [] })
    jobs.state.addRun(
      'nightly',
      't-77',
      'failed',
      { train: 'failed' },
      { date: hour(10), start: hour(3), end: hour(1) },
    )
    scaling.hold(...IDS)
  }
  const firing = {
    labels: {
      alertname: 'AirflowTaskSlow',
      connection: 'jobs',
      dag: 'nightly',
      run: 't-77',
      task: 'train',
      machines: 'fleet',
      group: 'airflow',
    },
    annotations: { wanted_conf: '{"timeout_minutes":180}' },
  }
  /** Clears it, starts it with a longer limit, and asks for as many machines when neither has helped. */
  const climb = async (desk: Desk, incident: string, wanted: number) => {
    await approveAll(desk, incident, 'succeeded')
    Object.assign(jobs.state.runs[0]!, { state: 'failed' })
    await desk.ask(incident, 'run-it-with-a-longer-time-limit')
    await approveAll(desk, incident, 'succeeded')
    await desk.ask(incident, 'grow-the-worker-group', { wanted })
  }
  return {
    connections: {
      fleet: account.connection,
      jobs: {
        kind: 'airflow',
        environment: 'production',
        baseUrl: jobs.origin,
        api: 2,
        auth: { kind: 'bearer', tokenFrom: 'AIRFLOW_TOKEN' },
        dags: ['nightly'],
        trigger: { nightly: { numbers: { timeout_minutes: 240 } } },
        pollSeconds: 0.005,
      },
    },
    secrets: { ...account.secrets, AIRFLOW_TOKEN },
    async alert() {
      arrange()
      return firing
    },
    async recover(desk, incident) {
      const thread = await desk.thread(incident)
      must(/pid 41.*read_table \(warehouse\.py:88\)/.test(thread), 'the thread does not show where the process stands')
      must(!thread.includes('pid 42'), 'the thread shows the process of another task')
      await climb(desk, incident, 4)
      await approveAll(desk, incident, 'succeeded')
    },
    async mended() {
      must(scaling.state.desired === 4, `the group wants ${scaling.state.desired} machines`)
      const again = jobs.state.runs.find((run) => run.run !== 't-77')
      must(JSON.stringify(again?.conf) === '{"timeout_minutes":180}', `started with ${JSON.stringify(again?.conf)}`)
      must(jobs.wrong.length === 0, jobs.wrong.join('\n'))
    },
    guard: {
      async arrange(desk) {
        arrange()
        const id = await desk.fire(firing)
        await climb(desk, id, 5)
        return id
      },
      says: /5 machines are above the ceiling of 4/,
    },
    async stop() {
      await Promise.all([jobs.stop(), account.close()])
    },
  }
}

export const MACHINES_ROWS: readonly Row[] = [
  {
    id: 'A10',
    failure: 'Conflicting package versions on the Airflow machines after a deploy',
    playbook: 'machines/conflicting-packages',
    peer: PEER,
    begin: conflictingPackages,
  },
  {
    id: 'C2',
    failure: 'The job scheduler’s web UI is down while the cluster’s is up',
    playbook: 'machines/scheduler-ui-down',
    peer: PEER,
    begin: schedulerDown,
  },
  {
    id: 'C5',
    failure: 'The nightly run failed and nothing obvious is wrong',
    playbook: 'nightly/run-failed',
    peer: 'servers that speak the wire protocols of Auto Scaling, EMR, CloudFormation, GitHub and Airflow',
    begin: nightlyFailed,
  },
  {
    id: 'D5',
    failure: 'A task that took minutes now takes over an hour and times out',
    playbook: 'airflow/task-takes-too-long',
    peer: 'servers that speak Airflow’s REST API and the wire protocols of Systems Manager and Auto Scaling',
    begin: taskTooLong,
  },
  {
    id: 'D6',
    failure: 'The disk or memory of an ingest machine fills up',
    playbook: 'machines/disk-full',
    peer: PEER,
    begin: diskFull,
  },
]
