import { startEmr } from '../commands/emr/server.ts'
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
const DELETE = 'delete-its-temporary-files'

/** A step that is stuck holds the next one; the run that waited for it has failed and left its files. */
export const EMR_ROWS: readonly Row[] = [
  {
    id: 'D1',
    failure: 'EMR steps are pending for long, nothing happens, and the workflow times out',
    playbook: 'emr/steps-pending',
    peer: 'servers that speak the protocols of EMR and Airflow, and s3rver',
    async begin() {
      const [emr, lake] = [await startEmr(), await startLake()]
      const arrange = async () => {
        emr.state.cluster = 'RUNNING'
        emr.state.steps.splice(
          0,
          Number.POSITIVE_INFINITY,
          { Id: 's-1', Name: 'parse', state: 'RUNNING', created: 1_770_000_000 },
          { Id: 's-2', Name: 'load', state: 'PENDING', created: 1_770_000_100 },
        )
        lake.airflow.reset()
        lake.airflow.state.addDag('parse')
        lake.airflow.state.addRun('parse', 'p1', 'failed', { submit: 'success', wait: 'failed' })
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
          },
        },
        secrets: lake.secrets,
        async alert() {
          await arrange()
          return { labels }
        },
        async recover(desk, id) {
          await desk.ask(id, CANCEL, { steps: 's-1', running: 'yes' })
          await desk.approve(id)
          for (const step of [DELETE, 'run-the-workflow-s-task-again']) {
            await desk.ask(id, step)
            await desk.approve(id)
          }
        },
        async mended() {
          const steps = emr.state.steps.map((step) => `${step.Id} ${step.state}`).join()
          if (steps !== 's-1 CANCELLED,s-2 PENDING') throw new Error(`not mended: ${steps}`)
          await lake.holds('tmp/load/run-3/part-0', 'tmp/parse/run-6/part-0')
          const { tasks } = lake.airflow.state
          if (tasks.some((task) => task.state === 'failed')) throw new Error('the task still waits for its reset')
        },
        guard: {
          async arrange(desk) {
            await arrange()
            const id = await desk.fire({ labels: { ...labels, temporary: 'tmp/load/run-3/' } })
            await desk.ask(id, CANCEL, { steps: 's-1', running: 'yes' })
            await desk.approve(id)
            await desk.ask(id, DELETE)
            return id
          },
          says: /is not a folder of "parse": below lake\/tmp it belongs to "load"/,
        },
        async stop() {
          await emr.close()
          await lake.stop()
        },
      }
    },
  },
]
