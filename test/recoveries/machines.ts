import { once } from 'node:events'
import { mkdir, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { TOKEN as AIRFLOW_TOKEN, startAirflow } from '../commands/airflow/server.ts'
import { startEmr } from '../commands/emr/server.ts'
import { type Fleet, startFleet } from '../commands/machines/fleet.ts'
import { startScaling } from '../commands/machines/scaling.ts'
import { BAD, startShop } from './deploy.ts'
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
      comeBackSeconds: 3,
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
    evidence: [
      /1 of 2 packages differ between airflow \(production, 2 machines\) and staging/,
      /"numpy".{0,200}"2\.1\.0".{0,200}"1\.26\.4"/,
      /2 of 6 units of airflow \(production\) are down/,
    ],
    async recover(desk, incident) {
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
    guards: [
      {
        async arrange(desk) {
          await arrange()
          return desk.fire({ labels, annotations: { wanted_packages: 'numpy=1.26.4, openssl=1.1.1' } })
        },
        says: /does not list the package openssl/,
      },
      {
        async arrange(desk) {
          await arrange()
          const id = await desk.fire({ labels, annotations: { wanted_packages: 'numpy=1.26.4' } })
          await approveAll(desk, id, 'succeeded')
          await desk.ask(id, 'restart-the-units', { units: 'sshd.service' })
          return id
        },
        says: /does not list the unit sshd\.service/,
      },
      {
        // On the first machine a unit stays down: the second one is not touched.
        async arrange(desk) {
          await arrange()
          await fleet.spoil(IDS[0]!, UNITS[1]!, 'broken')
          const id = await desk.fire({ labels, annotations: { wanted_packages: 'numpy=1.26.4' } })
          await approveAll(desk, id, 'succeeded')
          await desk.ask(id, 'restart-the-units')
          await desk.approve(id)
          must(
            UNITS.every((unit) => fleet.starts(IDS[1]!, unit) === 1),
            'the second machine was restarted as well',
          )
          return id
        },
        says: /airflow-webserver\.service/,
        done: [`restart:${IDS[0]}`],
      },
    ],
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
    evidence: [/The fullest disk of ingest \(production\) is that of/, /3 files, .{0,200}2 files, /, /units of ingest/],
    async recover(desk, incident) {
      await approveAll(desk, incident, 'succeeded')
      // A file that the service has open is deleted as well.
      await desk.ask(incident, 'or-restart-the-service-that-holds-deleted-files-open')
      await approveAll(desk, incident, 'succeeded')
    },
    async mended() {
      const left = await fleet.files(folder)
      must(left.join() === 'new.json', `left: ${left.join()}`)
      must(fleet.starts(IDS[0]!, 'ingest.service') === 3, 'the service was not restarted twice')
    },
    guards: [
      {
        async arrange(desk) {
          await arrange()
          return desk.fire(firing(fleet.root))
        },
        says: /is not below a folder/,
      },
    ],
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
    evidence: [/Down: scheduler\. Up: cluster\./, /Lost leadership, committing suicide/],
    async recover(desk, incident) {
      await approveAll(desk, incident, 'succeeded')
      const grant = (await desk.last(incident))!.grant!
      must(new Set(grant.approvals.map((one) => one.user)).size === 2, 'one person alone has cycled the master')
    },
    async mended() {
      must((await fetch(url('scheduler'))).status === 200, 'the scheduler is still down')
      must(!scaling.state.instances.some((one) => one.InstanceId === IDS[0]), 'the old master is still there')
    },
    guards: [
      {
        async arrange(desk) {
          arrange()
          scaling.state.suspended = ['Launch']
          return desk.fire(firing)
        },
        says: /a new machine would not come/,
      },
    ],
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
    nightly: { tag: { name: 'Role', value: 'nightly' }, autoScalingGroup: 'nightly', airflow: 'jobs' },
  }))
  const { scaling, fleet } = account
  for (const [i, id] of IDS.entries()) await fleet.add(id, `nightly-${i + 1}`, { Role: 'nightly' })
  const arrange = () => {
    jobs.reset()
    jobs.state.addDag('nightly', { extract: ['train'], train: [] })
    const tasks = { extract: 'success', train: 'failed' }
    jobs.state.addRun('nightly', 't-77', 'failed', tasks, { date: hour(10), start: hour(3), end: hour(1) })
    jobs.state.logs.set('nightly/t-77/train/2', 'OSError: No route to host')
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
    evidence: [
      /OSError: No route to host/,
      new RegExp(`checkout \\(production, us-east-1\\) runs ${BAD} on green`),
      /The cluster \\"parsers\\"/,
    ],
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
    guards: [
      {
        async arrange(desk) {
          arrange()
          scaling.state.refresh = 'InProgress'
          return desk.fire(firing)
        },
        says: /An instance refresh of "nightly" is going on/,
      },
    ],
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
    for (let night = 1; night < 30; night++) {
      jobs.state.addRun(
        'nightly',
        `t-${77 - night}`,
        'success',
        {},
        { date: hour(10 + 24 * night), start: hour(3 + 24 * night) },
      )
      jobs.state.addTask('nightly', `t-${77 - night}`, 'train', 'success', { duration: 240 })
    }
    jobs.state.addRun('nightly', 't-77', 'failed', {}, { date: hour(10), start: hour(3), end: hour(1) })
    jobs.state.addTask('nightly', 't-77', 'train', 'failed', { duration: 4_200 })
    jobs.state.logs.set('nightly/t-77/train/2', 'AirflowTaskTimeout: Timeout')
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
  }
  /** Clears it, starts it with a longer limit, and asks for as many machines when neither has helped. */
  const climb = async (desk: Desk, incident: string, wanted: number) => {
    await approveAll(desk, incident, 'succeeded')
    Object.assign(jobs.state.runs.at(-1)!, { state: 'failed' })
    await desk.ask(incident, 'run-it-with-a-longer-time-limit', { conf: '{"timeout_minutes":180}' })
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
    evidence: [
      /nightly\.train took 70 min in the latest run; half of the 29 before took less than 4 min, the longest 4 min/,
      /█ 4 min\\n.{16} █{24} 70 min/,
      /AirflowTaskTimeout/,
      /pid 41.*read_table \(warehouse\.py:88\)/,
    ],
    async recover(desk, incident) {
      const thread = await desk.thread(incident)
      must(!thread.includes('pid 42'), 'the thread shows the process of another task')
      await climb(desk, incident, 4)
      await approveAll(desk, incident, 'succeeded')
    },
    async mended() {
      must(scaling.state.desired === 4, `the group wants ${scaling.state.desired} machines`)
      const again = jobs.state.runs.find((run) => run.run.startsWith('keyturn'))
      must(JSON.stringify(again?.conf) === '{"timeout_minutes":180}', `started with ${JSON.stringify(again?.conf)}`)
      must(jobs.wrong.length === 0, jobs.wrong.join('\n'))
    },
    guards: [
      {
        async arrange(desk) {
          arrange()
          const id = await desk.fire(firing)
          await climb(desk, id, 5)
          return id
        },
        says: /5 machines are above the ceiling of 4/,
      },
      {
        async arrange(desk) {
          arrange()
          const id = await desk.fire(firing)
          await approveAll(desk, id, 'succeeded')
          await desk.ask(id, 'run-it-with-a-longer-time-limit', { conf: '{"timeout_minutes":300}' })
          return id
        },
        says: /timeout_minutes 300 is above the ceiling of 240/,
      },
    ],
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
