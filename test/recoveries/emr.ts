import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startEmr } from '../commands/emr/server.ts'
import { startFleet } from '../commands/machines/fleet.ts'
import type { Row } from './row.ts'
import { startLake } from './s3.ts'

const labels = {
  alertname: 'EMRStepsPending',
  connection: 'emr',
  cluster: 'j-1',
  s3: 'lake',
  bucket: 'lake',
  temporary: 'tmp/parse/run-7/',
  job: 'parse',
  airflow: 'jobs',
  dag: 'parse',
  run: 'p1',
}
const CANCEL = 'cancel-the-stuck-step'
const OWN = 'or-run-it-on-a-cluster-of-its-own'
const NODE = 'i-0a000009'
const STUCK = 'application_1700000000000_0007'
const KILL = 'kill-what-it-left-on-yarn'
const DELETE = 'delete-its-temporary-files'

/** A step that is stuck holds the next one; the run that waited for it has failed and left its files. */
export const EMR_ROWS: readonly Row[] = [
  {
    id: 'D1',
    failure: 'EMR steps are pending for long, nothing happens, and the workflow times out',
    playbook: 'emr/steps-pending',
    peer: 'servers that speak the protocols of EMR and Airflow, and s3rver',
    async begin() {
      const [emr, fleet] = [await startEmr(), await startFleet()]
      const lake = await startLake({ trigger: { parse: { texts: ['cluster'] } } })
      await fleet.add(NODE, 'primary', {})
      emr.state.primaries.push(NODE)
      const yarn = join(fleet.machines.get(NODE)!.home, 'yarn')
      await mkdir(yarn)
      const arrange = async () => {
        emr.state.cluster = 'RUNNING'
        emr.state.groups = [
          {
            Id: 'ig-1',
            InstanceGroupType: 'TASK',
            InstanceType: 'm6g.xlarge',
            RequestedInstanceCount: 6,
            RunningInstanceCount: 4,
            state: 'RUNNING',
          },
        ]
        emr.state.steps.splice(
          0,
          Number.POSITIVE_INFINITY,
          { Id: 's-1', Name: 'parse', state: 'RUNNING', created: 1_770_000_000 },
          { Id: 's-2', Name: 'load', state: 'PENDING', created: 1_770_000_100 },
        )
        await writeFile(join(yarn, STUCK), 'RUNNING parse hadoop 1770000000000\n')
        lake.airflow.reset()
        lake.airflow.state.addDag('parse')
        lake.airflow.state.addRun('parse', 'p1', 'failed', { submit: 'success', wait: 'failed' })
        lake.airflow.state.addDag('load')
        lake.airflow.state.addRun('load', 'l1', 'running', { submit: 'running' })
        await lake.leave('tmp/load/run-3/part-0', 'tmp/parse/run-6/part-0', 'tmp/parse/run-7/part-0')
      }
      return {
        connections: {
          ...lake.connections,
          emr: {
            kind: 'emr',
            environment: 'production',
            region: 'us-east-1',
            endpoint: emr.endpoint,
            accessKeyIdFrom: 'LAKE_KEY',
            secretAccessKeyFrom: 'LAKE_KEY',
            clusters: ['parsers'],
            primaryNode: true,
            ssmEndpoint: fleet.endpoint,
            pollSeconds: 0.01,
          },
        },
        secrets: lake.secrets,
        async alert() {
          await arrange()
          return { labels }
        },
        evidence: [
          /The cluster \\"parsers\\" \(production, us-east-1\) is RUNNING; 2 machines that it asked for are missing/,
          /1 running runs of all DAGs.{0,2000}"load".{0,100}"l1"/,
          /1 of 2 open steps of \\"parsers\\" wait/,
          /"parse".{0,300}"RUNNING".*"load".{0,300}"PENDING"/,
          /YARN of \\"parsers\\" has 1 open applications/,
        ],
        async recover(desk, id) {
          await desk.ask(id, CANCEL, { steps: 's-1', running: 'yes' })
          await desk.approve(id)
          await desk.ask(id, KILL, { application: STUCK })
          await desk.approve(id)
          for (const step of [DELETE, 'run-the-workflow-s-task-again']) {
            await desk.ask(id, step)
            await desk.approve(id)
          }
          const { runs, tasks } = lake.airflow.state
          if (tasks.some((task) => task.state === 'failed')) throw new Error('the task still waits for its reset')
          // The cluster is full still, and the run waits in vain once more.
          Object.assign(runs[0]!, { state: 'failed' })
          await desk.ask(id, OWN, { conf: '{"cluster":"own"}' })
          await desk.approve(id)
        },
        async mended() {
          const steps = emr.state.steps.map((step) => `${step.Id} ${step.state}`).join()
          const [application] = (await readFile(join(yarn, STUCK), 'utf8')).split(' ')
          if (application !== 'KILLED') throw new Error(`what the step left on YARN is ${application}`)
          if (steps !== 's-1 CANCELLED,s-2 PENDING') throw new Error(`not mended: ${steps}`)
          await lake.holds('tmp/load/run-3/part-0', 'tmp/parse/run-6/part-0')
          const own = lake.airflow.state.runs.filter((run) => run.dag === 'parse')
          const confs = own.map((run) => JSON.stringify(run.conf ?? {})).join()
          if (confs !== '{},{"cluster":"own"}') throw new Error(`runs with ${confs}`)
        },
        guards: [
          {
            async arrange(desk) {
              await arrange()
              const id = await desk.fire({ labels: { ...labels, temporary: 'tmp/load/run-3/' } })
              await desk.ask(id, CANCEL, { steps: 's-1', running: 'yes' })
              await desk.approve(id)
              await desk.skip(id, KILL)
              await desk.ask(id, DELETE)
              return id
            },
            says: /is not a folder of "parse": below lake\/tmp it belongs to "load"/,
          },
          {
            async arrange(desk) {
              await arrange()
              const id = await desk.fire({ labels })
              await desk.ask(id, CANCEL, { steps: 's-2', running: 'no' })
              await desk.approve(id)
              await desk.skip(id, KILL)
              for (const step of [DELETE, 'run-the-workflow-s-task-again']) {
                await desk.ask(id, step)
                await desk.approve(id)
              }
              await desk.ask(id, OWN, { conf: '{"cluster":"own"}' })
              return id
            },
            says: /A run of parse is (queued|running) already: p1/,
          },
        ],
        async stop() {
          await Promise.all([emr.close(), fleet.close()])
          await lake.stop()
        },
      }
    },
  },
]
