import { TOKEN as AIRFLOW_TOKEN, startAirflow } from '../commands/airflow/server.ts'
import { startKubernetes, TOKEN } from '../commands/kubernetes/server.ts'
import type { Row } from './row.ts'

const PEER = 'a server for Kubernetes’ paths, with controllers and watch'

const cluster = (server: string, deployments: object) => ({
  kind: 'kubernetes',
  environment: 'production',
  server,
  tokenFrom: 'KUBE_TOKEN',
  namespaces: { streaming: { deployments } },
  readyMinutes: 0.2,
  steadySeconds: 0.05,
})
const must = (holds: boolean, what: string) => {
  if (!holds) throw new Error(what)
}

export const KUBERNETES_ROWS: readonly Row[] = [
  {
    id: 'A3',
    failure: 'The Dask scheduler cannot talk to its workers; parsing fails',
    playbook: 'kubernetes/dask-workers-lost',
    peer: `${PEER}; a server that speaks Airflow’s REST API`,
    async begin() {
      const [server, airflow] = await Promise.all([startKubernetes(), startAirflow(2)])
      const { state } = server
      await state.deploy('streaming', 'dask-scheduler', 'dask:1', 1)
      await state.deploy('streaming', 'dask-workers', 'dask:1', 3)
      server.logs.set('dask-scheduler', 'Removing worker tls://10.0.0.7:40331 caused the cluster to lose 3 tasks')
      server.logs.set('dask-workers', 'Connection to scheduler broken. Reconnecting...')
      const pods = () => ['dask-scheduler', 'dask-workers'].flatMap((name) => state.podsOf(name))
      const old = pods().map((pod) => pod.metadata.uid)
      const firing = {
        labels: {
          alertname: 'DaskWorkersLost',
          connection: 'cluster',
          namespace: 'streaming',
          scheduler: 'dask-scheduler',
          workers: 'dask-workers',
          airflow: 'jobs',
          dag: 'parse',
          run: 'r1',
        },
      }
      return {
        connections: {
          cluster: cluster(server.url, { 'dask-scheduler': {}, 'dask-workers': {} }),
          jobs: {
            kind: 'airflow',
            environment: 'production',
            baseUrl: airflow.origin,
            api: 2,
            auth: { kind: 'bearer', tokenFrom: 'AIRFLOW_TOKEN' },
            dags: ['parse'],
          },
        },
        secrets: { KUBE_TOKEN: TOKEN, AIRFLOW_TOKEN },
        evidence: [
          /0 of 4 pods in streaming/,
          /Removing worker tls/,
          /Connection to scheduler broken/,
          /0 running runs of all DAGs; 0 of critical DAGs/,
        ],
        async alert() {
          airflow.state.addDag('parse')
          airflow.state.addRun('parse', 'r1', 'failed', { work: 'failed' })
          return firing
        },
        async recover(desk, id) {
          await desk.approve(id)
          must((await desk.last(id))?.status === 'succeeded', (await desk.last(id))?.run?.message ?? 'no restart')
          await desk.ask(id, 'run-the-failed-task-again')
          await desk.approve(id)
        },
        async mended() {
          const now = pods()
          must(now.length === 4 && !now.some((pod) => old.includes(pod.metadata.uid)), 'pods were not replaced')
          const task = airflow.state.tasks.find((one) => one.dag === 'parse')
          must(task?.state !== 'failed', `the task is ${task?.state}`)
        },
        guards: [
          {
            async arrange(desk) {
              state.held = true
              state.wish(state.find('streaming', 'dask-workers'), (spec) => {
                spec.template.spec.containers[0]!.image = 'dask:2'
              })
              return desk.fire(firing)
            },
            says: /rollout of streaming\/dask-workers is going on/,
          },
        ],
        async stop() {
          await server.stop()
          await airflow.stop()
        },
      }
    },
  },
  {
    id: 'E3',
    failure: 'Pods crash-loop after a bad message or a bad deploy',
    playbook: 'kubernetes/crash-loop',
    peer: PEER,
    async begin() {
      const server = await startKubernetes()
      const { state } = server
      server.logs.set('loader before', 'SyntaxError: Unexpected token in /etc/loader.json')
      const loader = await state.deploy('streaming', 'loader', 'loader:1', 2)
      state.demand.set('loader-so', 2)
      const keda = state.add('scaledobjects', 'streaming', 'loader-so', {
        spec: { scaleTargetRef: { name: 'loader' } },
      })
      const labels = {
        alertname: 'KubePodCrashLooping',
        connection: 'cluster',
        namespace: 'streaming',
        deployment: 'loader',
      }
      return {
        connections: { cluster: cluster(server.url, { loader: { replicas: { min: 0, max: 4 } } }) },
        secrets: { KUBE_TOKEN: TOKEN },
        evidence: [
          /pods in streaming \(production\) are not well/,
          /CrashLoopBackOff/,
          /1 warnings among 1 events of streaming\/loader/,
          /is at revision 2, whose pods were first made/,
          /SyntaxError: Unexpected token in \/etc\/loader\.json/,
        ],
        async alert() {
          state.wish(loader, (spec) => {
            spec.template = structuredClone(spec.template)
            spec.template.spec.containers[0]!.image = 'loader:bad'
          })
          await state.quiet()
          state.add('events', 'streaming', 'loader.1', {
            type: 'Warning',
            reason: 'BackOff',
            message: 'Back-off restarting failed container app',
            lastTimestamp: '2026-03-14T02:01:00Z',
            involvedObject: { kind: 'Deployment', name: 'loader' },
          })
          const [pod] = state.podsOf('loader').filter((one) => !one.status.containerStatuses[0]!.ready)
          return { labels: { ...labels, pod: pod!.metadata.name } }
        },
        async recover(desk, id) {
          await desk.approve(id)
          const restart = (await desk.last(id))!
          must(restart.status === 'failed', 'a restart does not mend a bad deploy')
          must(/does not come up/.test(restart.run!.message), restart.run!.message)
          await desk.ask(id, 'go-back-to-the-revision-before')
          await desk.approve(id)
          await desk.ask(id, 'stop-it')
          await desk.approve(id)
          must(state.podsOf('loader').length === 0, 'it was not stopped')
          must(keda.metadata.annotations['autoscaling.keda.sh/paused-replicas'] === '0', 'KEDA was not paused')
          await desk.ask(id, 'start-it-again', { replicas: '2' })
          await desk.approve(id)
          await desk.ask(id, 'hand-it-back-to-keda')
          await desk.approve(id)
          must(Object.keys(keda.metadata.annotations).length === 0, 'KEDA is still paused')
        },
        async mended() {
          const images = state.podsOf('loader').map((pod) => pod.spec.containers[0]!.image)
          must(images.join() === 'loader:1,loader:1', `runs ${images}`)
        },
        guards: [
          {
            arrange: (desk) => desk.fire({ labels: { ...labels, namespace: 'payments', pod: 'x' } }),
            says: /does not list the namespace "payments"/,
          },
          {
            arrange: (desk) => desk.fire({ labels: { ...labels, deployment: 'billing', pod: 'x' } }),
            says: /billing/,
          },
        ],
        stop: () => server.stop(),
      }
    },
  },
]
