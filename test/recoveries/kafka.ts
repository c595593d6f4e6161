import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Cluster, consume, HUMAN, startCluster } from '../commands/kafka/cluster.ts'
import { startKubernetes, TOKEN } from '../commands/kubernetes/server.ts'
import type { Row } from './row.ts'

const groupOf = (topic: string) => `${topic}-loader`
const firing = (topic: string) => ({
  labels: {
    alertname: 'KafkaPoisonMessage',
    connection: 'events',
    topic,
    group: groupOf(topic),
    partition: '1',
    kubernetes: 'cluster',
    namespace: 'streaming',
    deployment: 'loader',
    replicas: '2',
  },
})

/** A topic whose second record in partition 1 is not JSON, with a group that stands before it. */
async function poison(cluster: Cluster, topic: string): Promise<void> {
  const messages = [
    { partition: 1, key: 'a', value: '{"id":1}' },
    { partition: 1, key: 'b', value: '{"id":2,"name":' },
    { partition: 1, key: 'c', value: '{"id":3}' },
  ]
  await cluster.producer.send({ topic, messages })
  await cluster.admin.fetchTopicMetadata({ topics: [`${topic}-dead`] })
  await cluster.stand(groupOf(topic), topic, { 1: 1 })
}

export const KAFKA_ROWS: readonly Row[] = [
  {
    id: 'E1',
    failure: 'A consumer crashes on start again and again: Unexpected end of JSON input',
    playbook: 'kafka/poison-message',
    peer: 'librdkafka’s mock cluster over the real protocol; a server for Kubernetes’ paths, with controllers and watch',
    async begin() {
      const [cluster, kubernetes] = await Promise.all([startCluster(), startKubernetes()])
      const { state } = kubernetes
      await state.deploy('streaming', 'loader', 'loader:1', 2)
      state.demand.set('loader-so', 2)
      const keda = state.add('scaledobjects', 'streaming', 'loader-so', {
        spec: { scaleTargetRef: { name: 'loader' } },
      })
      const pausedAt = () => keda.metadata.annotations['autoscaling.keda.sh/paused-replicas']
      kubernetes.logs.set('loader', 'Unexpected end of JSON input: orders-1 at offset 1')
      for (const topic of ['orders', 'refunds']) await poison(cluster, topic)
      // To join takes seconds, which the recovery takes as well.
      const busy = consume(cluster, groupOf('refunds'), 'refunds')
      const topics = {
        orders: { groups: [groupOf('orders')], deadLetter: 'orders-dead' },
        refunds: { groups: [groupOf('refunds')], deadLetter: 'refunds-dead' },
      }
      return {
        connections: {
          events: { kind: 'kafka', environment: 'production', brokers: [cluster.broker], topics, idleSeconds: 5 },
          cluster: {
            kind: 'kubernetes',
            environment: 'production',
            server: kubernetes.url,
            tokenFrom: 'KUBE_TOKEN',
            namespaces: { streaming: { deployments: { loader: { replicas: { max: 4 } } } } },
            steadySeconds: 0,
          },
        },
        secrets: { KUBE_TOKEN: TOKEN },
        alert: async () => firing('orders'),
        evidence: [
          /2 records of orders wait for orders-loader, in 1 of 4 partitions/,
          /the first is partition 1, offset 1\./,
          /1\/1: \{\\\\?"id/,
          /Unexpected end of JSON input: orders-1 at offset 1/,
        ],
        async recover(desk, id) {
          await desk.approve(id)
          if (state.podsOf('loader').length > 0) throw new Error('the consumer was not stopped')
          if (pausedAt() !== '0') throw new Error('KEDA was not paused')
          await desk.ask(id, 'copy-the-record-aside-and-pass-it')
          await desk.approve(id)
          await desk.ask(id, 'start-the-consumer-again')
          await desk.approve(id)
          await desk.ask(id, 'let-keda-set-the-number-again')
          await desk.approve(id)
          if (pausedAt() !== undefined) throw new Error('KEDA is still paused')
        },
        async mended() {
          const [zero, at, ...others] = await cluster.committed(groupOf('orders'), 'orders')
          if ([zero, ...others].some((offset) => offset !== -1)) throw new Error('another partition was moved')
          const dead = (await cluster.admin.fetchTopicOffsets('orders-dead')).reduce((n, p) => n + Number(p.high), 0)
          const pods = state.podsOf('loader').length
          if (at !== 2 || dead !== 1 || pods !== 2)
            throw new Error(`not mended: at ${at}, ${dead} set aside, ${pods} consumers`)
        },
        guards: [
          {
            async arrange(desk) {
              await busy
              const id = await desk.fire(firing('refunds'))
              // The deployment stops; another consumer of the group, which nobody knew of, does not.
              await desk.approve(id)
              await desk.ask(id, 'copy-the-record-aside-and-pass-it')
              // This cluster does not say who is in a group: joining it does.
              await desk.approve(id)
              return id
            },
            says: /consumer|member|active/i,
          },
        ],
        async stop() {
          await (await busy).stop()
          await cluster.stop()
          await kubernetes.stop()
        },
      }
    },
  },
  {
    id: 'E2',
    failure: 'A month of events was never ingested; a dump of the topic exists',
    playbook: 'kafka/replay-dump',
    peer: 'librdkafka’s mock cluster over the real protocol; a dump that kcat has written',
    async begin() {
      const cluster = await startCluster()
      const folder = await mkdtemp(join(tmpdir(), 'keyturn-dumps-'))
      const firing = (more: Record<string, string> = {}) => ({
        labels: {
          alertname: 'KafkaEventsMissing',
          connection: 'events',
          topic: 'clicks',
          dump: 'month',
          format: 'kcat',
          ...more,
        },
        annotations: { per_second: '1000' },
      })
      return {
        connections: {
          events: {
            kind: 'kafka',
            environment: 'production',
            brokers: [cluster.broker],
            topics: { clicks: { maxPerSecond: 1000 }, old: {} },
            dumps: folder,
          },
        },
        secrets: {},
        async alert() {
          const messages = Array.from({ length: 300 }, (_, n) => ({ key: `k${n}`, value: `{"id":"c${n}"}` }))
          await cluster.producer.send({ topic: 'old', messages: [...messages, { key: 'bad', value: '{"id":' }] })
          await cluster.admin.fetchTopicMetadata({ topics: ['clicks'] })
          await writeFile(join(folder, 'month'), await cluster.dump('old', HUMAN))
          return firing()
        },
        async mended() {
          const found = (await cluster.records('clicks')).map(({ key, payload }) => `${key} ${payload}`)
          const wanted = Array.from({ length: 300 }, (_, n) => `k${n} {"id":"c${n}"}`)
          if (found.sort().join() !== wanted.sort().join()) throw new Error(`${found.length} records were replayed`)
          const aside = await readFile(join(folder, 'month.invalid'), 'utf8')
          if (!aside.includes('key bad: {"id":')) throw new Error(`aside: ${aside}`)
        },
        evidence: [/301 lines, 300 valid, 1 invalid; 0 of the valid ones repeat an/],
        guards: [
          {
            arrange: (desk) => desk.fire(firing({ topic: 'old' })),
            says: /sets no maxPerSecond for old: nothing is replayed to it/,
          },
          {
            async arrange(desk) {
              await writeFile(join(folder, 'cut'), '{"id":"c1"}\n{"id":')
              const id = await desk.fire(firing({ dump: 'cut', format: 'jsonl' }))
              await desk.approve(id)
              return id
            },
            says: /invalid/,
          },
        ],
        async stop() {
          await cluster.stop()
          await rm(folder, { recursive: true })
        },
      }
    },
  },
]
