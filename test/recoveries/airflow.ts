import { TOKEN as METADATA, metadataSettings, startMetadata } from '../commands/http/metadata.ts'
import {
  all,
  approve,
  at,
  backfill,
  CHUNK,
  chunk,
  clusterOf,
  dagRepository,
  gone,
  lakeOf,
  late,
  lately,
  machineWith,
  many,
  nightly,
  onRun,
  over,
  parse,
  RESUME,
  recent,
  row,
  slotsOf,
  spike,
  taskOf,
  timedOut,
  trigger,
} from './airflow-world.ts'
import type { Row } from './row.ts'
import { startLake } from './s3.ts'

export const AIRFLOW_ROWS: readonly Row[] = [
  row({
    id: 'A5',
    failure: 'A volume spike makes the parser lose its workers',
    playbook: 'airflow/volume-spike',
    settings: { trigger },
    also: 's3rver; a server for Kubernetes’ paths',
    beside: all(lakeOf({ clicks: 5120 }), clusterOf('dask-workers')),
    arrange: parse,
    firing: spike(400),
    evidence: [
      /CommClosedError: in <TLS Scheduler>: Stream is closed/,
      /clicks: 5 KiB today by \d\d:\d\d UTC, 5 times the usual of the 7 days before by that time/,
      /parse\.work took 10 min in the latest run/,
      /0 of 2 pods in airflow/,
    ],
    async recover(desk, id, state) {
      await approve(desk, id)
      Object.assign(state.runs.at(-1)!, { state: 'failed', end: at(0) })
      await desk.ask(id, 'run-it-with-still-more-partitions', { conf: '{"partitions":600}' })
      await approve(desk, id)
    },
    mended(state) {
      const again = state.runs.filter((r) => r.run !== 'heavy')
      const heavy = state.runs.find((r) => r.run === 'heavy')!
      const day = (date: string | undefined) => date?.slice(0, 10)
      if (again.some((r) => day(r.date) !== day(heavy.date) || r.interval === undefined))
        throw new Error('another date than the failed run')
      const confs = again.map((r) => JSON.stringify(r.conf))
      return confs.join() === '{"partitions":400,"event":"clicks"},{"partitions":600,"event":"clicks"}'
    },
    guards: [
      { firing: spike(4000), says: /partitions 4000 is above the ceiling of 600/ },
      {
        arrange: (state) => state.addRun('parse', 'other', 'running', { work: 'running' }, { start: at(5) }),
        says: /A run of parse is running already/,
      },
    ],
  }),
  row({
    id: 'A7',
    failure: 'A spike in the heaviest event makes all parsers time out',
    playbook: 'airflow/heaviest-event',
    settings: { pools: { parsers: { max: 64, usual: 8 } } },
    also: 's3rver',
    beside: lakeOf({ clicks: 2048, views: 8192 }),
    arrange: timedOut,
    firing: {
      labels: {
        alertname: 'ParsersTimeOut',
        connection: 'jobs',
        heaviest: 'report',
        pool: 'parsers',
        dags: 'extract,clean,report',
        s3: 'lake',
      },
    },
    evidence: [
      /The longest is report with (240|239\.9) min/,
      /2 events, the heaviest first\. views: 8 KiB today/,
      /Pool parsers: 0 of 8 slots run/,
    ],
    async recover(desk, id, state) {
      const had = slotsOf(state)
      // The first wave with the larger pool fails: the rest is not touched, and the pool goes back all the same.
      state.failsAgain.add('extract')
      await approve(desk, id, 'failed')
      if (state.ended.join() !== 'report success,extract failed' || had.join() !== '64,8')
        throw new Error(`ran ${state.ended}, pool ${had}`)
      state.failsAgain.clear()
      for (const run of state.runs) if (run.dag !== 'report') Object.assign(run, { start: at(90), end: at(60) })
      await desk.ask(id, 'the-heaviest-alone-then-the-rest-with-a-larger-pool')
      await approve(desk, id)
    },
    mended: (state) =>
      state.ended.join() === 'report success,extract failed,extract success,clean success' &&
      state.pools.get('parsers')?.slots === 8,
    guards: [
      { arrange: (state) => void state.runs.splice(0), says: /Nothing to recover/ },
      {
        arrange: (state) => void [...state.dags.values()].map((dag) => Object.assign(dag, { paused: true })),
        says: /None of the 3 failed runs can be run again\. .*The DAG clean is paused/,
      },
    ],
  }),
  row({
    id: 'A9',
    failure: 'Airflow starts more tasks than the cluster bears',
    playbook: 'airflow/pool-overload',
    settings: { pools: { parsers: { max: 64 } }, critical: { dags: ['billing'] } },
    arrange(state) {
      state.pools.set('parsers', { slots: 32, running: 12, queued: 3, scheduled: 40 })
      for (const dag of ['billing', 'report']) state.addDag(dag)
      state.addRun('billing', 'c1', 'running', {}, { ...recent, end: undefined })
      state.addTask('billing', 'c1', 'work', 'running', { pool: 'parsers', slots: 10, start: at(20) })
      state.addRun('report', 'late', 'failed', { work: 'failed' }, recent)
      Object.assign(taskOf(state, 'report', 'work')!, { pool: 'parsers' })
      // Failed meanwhile, but elsewhere: it stays as it is.
      state.addDag('other')
      state.addRun('other', 'late', 'failed', { work: 'failed' }, recent)
    },
    firing: { labels: lately, annotations: { wanted_slots: '16' } },
    evidence: [/Pool parsers: 12 of 32 slots run, 3 queued, 40 waiting/, /billing\.work/],
    async recover(desk, id) {
      await approve(desk, id)
      await desk.ask(id, 'clear-what-failed-meanwhile')
      await approve(desk, id)
    },
    mended: (state) => state.pools.get('parsers')?.slots === 16 && state.ended.join() === 'report success',
    guards: [
      {
        firing: { labels: lately, annotations: { wanted_slots: '9' } },
        says: /9 slots are fewer than the 10 that critical tasks hold now: billing\.work/,
      },
      { firing: { labels: lately, annotations: { wanted_slots: '65' } }, says: /above the ceiling of 64/ },
    ],
  }),
  row({
    id: 'A11',
    failure: 'A backfill starves critical workflows',
    playbook: 'airflow/backfill-starves',
    settings: {
      backfills: { dags: ['backfill*'] },
      critical: { dags: ['billing'] },
      trigger: { backfill: { numbers: { days: 7 }, texts: ['from'] } },
      dateFromConf: { backfill: 'from' },
    },
    arrange: backfill,
    firing: { labels: { alertname: 'BackfillStarvesCritical', connection: 'jobs', dag: 'backfill' } },
    evidence: [
      /1 of critical DAGs/,
      /2 running tasks on 1 machines\. A backfill runs beside critical tasks on worker-1/,
    ],
    async recover(desk, id, state) {
      await approve(desk, id)
      if (!state.dags.get('backfill')!.paused) throw new Error('the backfill goes on')
      over(state)
      await desk.ask(id, RESUME)
      await approve(desk, id)
      for (const from of ['2026-03-01', '2026-03-04']) {
        await desk.ask(id, CHUNK, chunk(from, 3))
        await approve(desk, id)
        over(state)
      }
    },
    mended(state) {
      const chunks = state.runs.filter((r) => r.dag === 'backfill' && r.run !== 'b1').map((r) => JSON.stringify(r.conf))
      const wanted = ['2026-03-01', '2026-03-04'].map((from) => chunk(from, 3).conf)
      return !state.dags.get('backfill')!.paused && chunks.join() === wanted.join()
    },
    guards: [
      {
        climb: async (desk, id) => {
          await approve(desk, id)
          await desk.ask(id, RESUME)
        },
        says: /backfill is a backfill, and the critical DAG billing is running/,
      },
      {
        async climb(desk, id, state) {
          await approve(desk, id)
          over(state)
          await desk.ask(id, RESUME)
          await approve(desk, id)
          state.dags.get('billing')!.next = new Date(Date.now() + 20 * 60_000).toISOString()
          await desk.ask(id, CHUNK, chunk('2026-03-01', 3))
        },
        says: /the critical DAG billing is due at/,
      },
      {
        async climb(desk, id, state) {
          await approve(desk, id)
          over(state)
          await desk.ask(id, RESUME)
          await approve(desk, id)
          await desk.ask(id, CHUNK, chunk('2026-03-01', 8))
        },
        says: /days 8 is above the ceiling of 7/,
      },
    ],
  }),
  row({
    id: 'A12',
    failure: 'A DAG stops importing after a Python upgrade',
    playbook: 'airflow/import-error',
    arrange(state) {
      state.addDag('parse')
      state.importErrors.push({
        import_error_id: 1,
        timestamp: at(5),
        filename: '/dags/parse.py',
        stack_trace:
          'Traceback (most recent call last):\n  File "/dags/parse.py", line 7, in <module>\n    import imp\nModuleNotFoundError: No module named \'imp\'',
      })
    },
    also: 'a server for GitHub’s paths',
    beside: dagRepository,
    firing: {
      labels: {
        ...{ alertname: 'AirflowImportError', connection: 'jobs', dag: 'parse', file: 'parse.py' },
        ...{ github: 'ci', repository: 'data/dags' },
      },
    },
    evidence: [
      /Move parse\.py to the new importer/,
      /\/dags\/parse\.py.*"7".*No module named/,
      /Handed over to @data-platform/,
    ],
    mended: (state) => state.dags.get('parse')?.paused === true,
    guards: [
      {
        firing: { labels: { alertname: 'AirflowImportError', connection: 'jobs', dag: 'ghost', file: 'parse.py' } },
        says: /no DAG/i,
      },
    ],
  }),
  row({
    id: 'A13',
    failure: 'All task logs vanished from the Airflow UI',
    playbook: 'airflow/remote-logs-gone',
    settings: {
      connections: {
        remote_logs: {
          type: 'aws',
          host: 'logs.example.com',
          login: 'AKIAEXAMPLE',
          passwordFrom: 'GOOD_PASSWORD',
          extraFrom: 'GOOD_EXTRA',
        },
      },
    },
    also: 'servers for Systems Manager and for Kubernetes’ paths',
    beside: all(machineWith('airflow-webserver.service'), clusterOf('airflow-webserver')),
    arrange: gone,
    firing: {
      labels: {
        ...{ alertname: 'AirflowRemoteLogsGone', connection: 'jobs', logs_connection: 'remote_logs' },
        ...{ machines: 'fleet', group: 'airflow', kubernetes: 'cluster', namespace: 'airflow' },
      },
    },
    evidence: [
      /The connection remote_logs exists in Airflow\./,
      /It differs from its last good value in: .*Host/i,
      /The last good value works/,
    ],
    async recover(desk, id) {
      await approve(desk, id)
      const thread = await desk.thread(id)
      if (!thread.includes('gone.example.com')) throw new Error('the old value is not kept')
      if (/canary-|eu-west-1/.test(thread)) throw new Error('the thread shows a secret')
      await desk.ask(id, 'restart-what-shows-the-logs')
      await approve(desk, id)
      await desk.ask(id, 'or-restart-it-on-kubernetes', { deployments: 'airflow-webserver' })
      await approve(desk, id)
    },
    mended: (state) =>
      state.connections.get('remote_logs')?.host === 'logs.example.com' &&
      state.connections.get('remote_logs')?.password === 'canary-connection-password',
    guards: [
      {
        firing: { labels: { alertname: 'AirflowRemoteLogsGone', connection: 'jobs', logs_connection: 'warehouse' } },
        says: /warehouse/,
      },
    ],
  }),
  row({
    id: 'B3',
    failure: 'An upstream table was dropped: its tasks fail',
    playbook: 'airflow/tables-deprecated',
    settings: { critical: { tasks: ['nightly.publish'] } },
    also: 's3rver',
    async beside() {
      const lake = await startLake()
      for (const key of ['n2/shop/shop.orders/1', 'n1/shop/shop.orders/1', 'n1/shop/shop.coupons/1'])
        await lake.s3.put(`exports/${key}/part-0.parquet`, Buffer.from('PAR1'))
      return { connections: { lake: lake.connections.lake }, secrets: lake.secrets, stop: () => lake.stop() }
    },
    arrange: nightly,
    firing: {
      labels: {
        alertname: 'UpstreamTablesDeprecated',
        ...onRun,
        tasks: 'train',
        s3: 'lake',
        bucket: 'lake',
        export: 'exports/n2/shop/',
        export_before: 'exports/n1/shop/',
      },
    },
    evidence: [
      /1 of 2 expected folders are under s3:\/\/lake\/exports\/n2\/shop\/; missing or empty: shop\.coupons/,
      /the first is nightly\.train/,
      /Handed over to @data-platform/,
    ],
    mended: (state) =>
      taskOf(state, 'nightly', 'train')?.state === 'success' && !state.tasks.some((t) => t.state === 'upstream_failed'),
    guards: [
      {
        firing: { labels: { alertname: 'UpstreamTablesDeprecated', ...onRun, tasks: 'publish' } },
        says: /critical/,
      },
    ],
  }),
  row({
    id: 'C6',
    failure: 'A dataset or model that is not critical fails and blocks everything after it',
    playbook: 'airflow/non-critical-blocks',
    settings: { critical: { dags: ['billing'], tasks: ['nightly.publish'] } },
    also: 'an HTTP server',
    async beside() {
      const metadata = await startMetadata()
      metadata.addDataset('d-1', { name: 'features' })
      metadata.addDataset('d-2', { name: 'ranking_model', state: 'failed', job: 'train', kind: 'model' })
      return {
        connections: { metadata: { kind: 'http', environment: 'production', ...metadataSettings(metadata.origin) } },
        secrets: { METADATA_TOKEN: METADATA },
        stop: () => metadata.stop(),
      }
    },
    arrange: nightly,
    firing: {
      labels: {
        alertname: 'NonCriticalTaskBlocks',
        ...onRun,
        task: 'train',
        metadata: 'metadata',
        transaction: 't-77',
      },
    },
    evidence: [
      /ValueError: model of the day before is missing/,
      /"train".{0,400}"no"/,
      /1 in uncommitted\./,
      /"ranking_model".{0,200}"model".{0,200}"train"/,
    ],
    mended: (state) =>
      taskOf(state, 'nightly', 'train')?.state === 'success' &&
      taskOf(state, 'nightly', 'load')?.try === 2 &&
      !state.tasks.some((t) => t.state === 'upstream_failed'),
    guards: [
      { firing: { labels: { alertname: 'NonCriticalTaskBlocks', ...onRun, task: 'publish' } }, says: /critical/ },
    ],
  }),
  row({
    id: 'C7',
    failure: 'Machines scale down after a failure and take the logs with them',
    playbook: 'airflow/logs-lost-by-downscale',
    arrange: nightly,
    firing: { labels: { alertname: 'DownscaleAfterFailure', ...onRun, downscale_task: 'report' } },
    evidence: [/nightly, run r1: report is upstream_failed/, /the first is nightly\.train/],
    async recover(desk, id, state) {
      await approve(desk, id)
      if (taskOf(state, 'nightly', 'report')?.state !== 'success') throw new Error('the machines go away')
      // The alert is over, and the machines still cost: the incident stays, and the thread reminds.
      await desk.resolve(id)
      const owed = 'Still to be undone: '
      if ((await desk.thread(id)).includes(owed) || (await desk.isQuiet(id))) throw new Error('nothing is owed')
      await desk.wait(5)
      if (!(await desk.thread(id)).includes(owed)) throw new Error('nobody is reminded')
      await desk.ask(id, 'clear-the-downscale-task-when-the-logs-are-copied')
      await approve(desk, id)
      if (!(await desk.isQuiet(id))) throw new Error('the incident does not end')
    },
    mended: (state) => taskOf(state, 'nightly', 'report')?.state !== 'success',
    guards: [
      {
        firing: { labels: { alertname: 'DownscaleAfterFailure', ...onRun, downscale_task: 'load' } },
        says: /success already/,
      },
    ],
  }),
  row({
    id: 'D2',
    failure: 'Twenty pipelines failed at once because data was late',
    playbook: 'airflow/many-pipelines-failed',
    settings: { dependsOn: { report: ['clean'] } },
    arrange(state) {
      many(state)
      for (let i = 1; i <= 17; i++) {
        state.addDag(`mart_${i}`)
        late(state, `mart_${i}`, 70)
      }
      state.datasets.push({
        uri: 's3://lake/report',
        producers: ['report'],
        consumers: Array.from({ length: 17 }, (_, i) => `mart_${i + 1}`),
      })
    },
    firing: { labels: { alertname: 'ManyPipelinesFailed', connection: 'jobs' } },
    evidence: [
      /20 failed tasks in all DAGs within 24 h/,
      /20 failed runs of all DAGs/,
      /mart_17/,
      /mart_1 late {2}\(.{0,400}After: report/,
      /Wave 1 of 4: clear extract.*Wave 2 of 4: clear clean.*Wave 3 of 4: clear report.*Wave 4 of 4: clear mart_9/,
    ],
    async recover(desk, incident, state) {
      const whole = (await desk.last(incident))!
      const names = whole.subject!.plan.leaveOut!.names
      if (names.length !== 20) throw new Error(`not twenty runs: ${names}`)
      // A report is left out by its check box: another plan, which needs its own approval.
      await desk.leaveOut(incident, ['mart_17/late'])
      state.failsAgain.add('report')
      await approve(desk, incident, 'failed')
      const done = ['extract success', 'clean success', 'report failed']
      if (state.ended.join() !== done.join()) throw new Error(`went on behind a wave that failed: ${state.ended}`)
      state.failsAgain.clear()
      Object.assign(state.runs.find((r) => r.dag === 'report')!, { start: at(20), end: at(10) })
      await desk.ask(incident, 'clear-them-all-wave-by-wave')
      const left = (await desk.last(incident))!.subject!.plan.leaveOut!.names
      if (left.length !== 18 || left[0] !== 'report/late') throw new Error(`what is done is planned again: ${left}`)
      await approve(desk, incident)
    },
    mended: (state) =>
      state.ended.length === 21 &&
      state.ended[3] === 'report success' &&
      state.runs.every((r) => r.state === 'success'),
    guards: [
      { arrange: (state) => void state.runs.splice(0), says: /Nothing to recover/ },
      {
        arrange: (state) =>
          void state.datasets.push({ uri: 's3://lake/x', producers: ['report'], consumers: ['extract'] }),
        says: /each other|circle/i,
      },
    ],
  }),
]
