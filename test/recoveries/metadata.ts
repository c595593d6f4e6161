import { TOKEN as AIRFLOW_TOKEN, startAirflow } from '../commands/airflow/server.ts'
import { codeSettings, type Metadata, metadataSettings, startMetadata, TOKEN } from '../commands/http/metadata.ts'
import type { Desk } from './desk.ts'
import type { Row } from './row.ts'

type Firing = { labels: Record<string, string>; annotations?: Record<string, string> }
const on = { connection: 'metadata', transaction: 't-77' }
const [DEPLOYED, FIX] = ['a'.repeat(40), 'b'.repeat(40)]

const must = (holds: boolean, metadata: Metadata) => {
  if (!holds)
    throw new Error(`not mended: ${JSON.stringify([...metadata.datasets.values(), ...metadata.jobs.values()])}`)
}
const connections = (metadata: Metadata) => ({
  metadata: { kind: 'http', environment: 'production', ...metadataSettings(metadata.origin) },
  code: { kind: 'http', environment: 'production', ...codeSettings(metadata.origin) },
})
const states = (metadata: Metadata, state: string) => [...metadata.datasets.values()].filter((d) => d.state === state)

function row({
  arrange,
  firing,
  recover,
  evidence,
  mended,
  guards,
  ...rest
}: Pick<Row, 'id' | 'failure' | 'playbook'> & {
  arrange(metadata: Metadata): void
  firing: Firing
  recover?(desk: Desk, id: string, metadata: Metadata): Promise<void>
  evidence: readonly RegExp[]
  mended(metadata: Metadata): boolean
  guards: readonly {
    arrange?(metadata: Metadata): void
    ask?(desk: Desk, id: string): Promise<void>
    says: RegExp
    done?: readonly string[]
  }[]
}): Row {
  return {
    ...rest,
    peer: 'an HTTP server',
    async begin() {
      const metadata = await startMetadata()
      return {
        connections: connections(metadata),
        secrets: { METADATA_TOKEN: TOKEN },
        async alert() {
          arrange(metadata)
          return firing
        },
        ...(recover && { recover: (desk, id) => recover(desk, id, metadata) }),
        mended: async () => must(mended(metadata), metadata),
        evidence,
        guards: guards.map((guard) => ({
          async arrange(desk) {
            metadata.reset()
            arrange(metadata)
            guard.arrange?.(metadata)
            const id = await desk.fire(firing)
            await guard.ask?.(desk, id)
            return id
          },
          says: guard.says,
          ...(guard.done && { done: guard.done }),
        })),
        stop: () => metadata.stop(),
      }
    },
  }
}

const eighty = (metadata: Metadata) => {
  for (let i = 0; i < 80; i++) metadata.addDataset(`d-${i}`)
}

export const METADATA_ROWS: readonly Row[] = [
  {
    id: 'C4',
    failure: 'A fix must reach a DAG that is already running',
    playbook: 'metadata/fix-for-running-dag',
    peer: 'HTTP servers for jobs, datasets and code, and one that speaks Airflow’s REST API',
    async begin() {
      const metadata = await startMetadata()
      const airflow = await startAirflow(2)
      const arrange = () => {
        for (const id of ['j-1', 'j-2']) metadata.jobs.set(id, { id, dag: 'nightly', state: 'running' })
        for (const id of ['d-1', 'd-2', 'd-3']) metadata.addDataset(id)
        metadata.compared.files.push({ filename: 'dags/nightly.py', status: 'modified', changes: 2 })
        airflow.reset()
        airflow.state.addDag('nightly', { load: [] })
        airflow.state.addRun('nightly', 'r1', 'failed', { load: 'failed' })
      }
      const firing = {
        labels: { alertname: 'FixForRunningDag', ...on, airflow: 'jobs', dag: 'nightly', run: 'r1' },
        annotations: { deployed: DEPLOYED, fix: FIX, files: 'dags/nightly.py' },
      }
      const jobs = {
        kind: 'airflow',
        environment: 'production',
        baseUrl: airflow.origin,
        api: 2,
        auth: { kind: 'bearer', tokenFrom: 'AIRFLOW_TOKEN' },
        dags: ['*'],
        pollSeconds: 0.005,
      }
      return {
        connections: { ...connections(metadata), jobs },
        secrets: { METADATA_TOKEN: TOKEN, AIRFLOW_TOKEN },
        async alert() {
          arrange()
          return firing
        },
        evidence: [/2 in jobs\./, /3 in committed\./, /1 in changed-files\..{0,900}dags\/nightly\.py/],
        async recover(desk, id) {
          await desk.approve(id)
          await desk.ask(id, 'retract-what-they-committed', { count: '3' })
          await desk.approve(id)
          await desk.ask(id, 'clear-the-tasks')
          await desk.approve(id)
        },
        async mended() {
          const [load] = airflow.state.tasks
          const changes = metadata.seen.filter((s) => s.method === 'POST').map((s) => s.url.split('/').at(-1))
          must(changes.join() === 'kill,kill,retract,retract,retract' && load?.state !== 'failed', metadata)
        },
        guards: [
          {
            async arrange(desk) {
              metadata.reset()
              arrange()
              metadata.compared.files.push({ filename: 'dags/billing.py', status: 'modified', changes: 40 })
              return desk.fire(firing)
            },
            says: /changes more than the fix \(changed-files: dags\/billing\.py\)/,
          },
          {
            async arrange(desk) {
              metadata.reset()
              arrange()
              const id = await desk.fire(firing)
              await desk.approve(id)
              metadata.jobs.set('j-3', { id: 'j-3', dag: 'nightly', state: 'running' })
              await desk.ask(id, 'retract-what-they-committed', { count: '3' })
              return id
            },
            says: /still run and would commit again \(jobs: j-3\)/,
          },
        ],
        async stop() {
          await metadata.stop()
          await airflow.stop()
        },
      }
    },
  },
  row({
    id: 'C9',
    failure: 'A dataset without downstream users fails',
    playbook: 'metadata/failed-without-users',
    arrange: (metadata) => metadata.addDataset('d-9', { name: 'extras', state: 'failed' }),
    firing: { labels: { alertname: 'DatasetFailedWithoutUsers', ...on, dataset: 'extras' } },
    mended: (metadata) =>
      metadata.datasets.get('d-9')?.state === 'committed' && metadata.datasets.get('d-9')?.rows === 0,
    evidence: [/1 in failed\..{0,900}d-9/, /0 in users\./],
    guards: [
      {
        arrange: (metadata) => void metadata.datasets.get('d-9')!.users.push('report'),
        says: /made from it .*report/,
      },
    ],
  }),
  row({
    id: 'C10',
    failure: 'Bad data was committed: duplicate attributes in a schema',
    playbook: 'metadata/bad-data-committed',
    arrange(metadata) {
      metadata.addDataset('d-1', { name: 'users', schema: ['id', 'country', 'country'] })
      metadata.addDataset('d-2', { name: 'orders' })
    },
    firing: { labels: { alertname: 'DatasetSchemaDuplicates', ...on, dataset: 'users' } },
    mended: (metadata) =>
      states(metadata, 'retracted')
        .map((d) => d.id)
        .join() === 'd-1',
    // The plan names the id, and no other.
    evidence: [
      /1 of them more than once.{0,2000}country.{0,200}2 times/,
      /Retract what was committed of a dataset: d-1"/,
    ],
    guards: [
      {
        arrange: (metadata) => void Object.assign(metadata.datasets.get('d-1')!, { state: 'retracted' }),
        says: /Nothing to do: committed-one holds no dataset/,
      },
    ],
  }),
  row({
    id: 'C11',
    failure: 'A whole transaction must be retracted',
    playbook: 'metadata/retract-transaction',
    arrange: eighty,
    firing: { labels: { alertname: 'TransactionMustBeRetracted', ...on } },
    // Three fail at first, within the budget: they are named, and tried again by a decision of their own only.
    async recover(desk, id, metadata) {
      for (const one of ['d-7', 'd-33', 'd-79']) metadata.failing.add(one)
      await desk.ask(id, 'retract-all-of-it', { count: '80' })
      await desk.approve(id)
      const first = await desk.last(id)
      if (first?.status !== 'failed' || !/77 of 80 done; 3 failed .*: d-33, d-7, d-79/.test(first.run?.message ?? ''))
        throw new Error(`not told which failed: ${JSON.stringify([first?.status, first?.run])}`)
      metadata.failing.clear()
      await desk.ask(id, 'retract-all-of-it', { count: '3' })
      await desk.approve(id)
    },
    mended: (metadata) => states(metadata, 'committed').length === 0 && metadata.load.most <= 10,
    evidence: [/80 in committed\./],
    guards: [
      {
        ask: (desk, id) => desk.ask(id, 'retract-all-of-it', { count: '79' }),
        says: /You typed 79, but committed holds 80/,
      },
      {
        // One in eight fails: it stops, and most of them are not tried.
        arrange(metadata) {
          for (let i = 0; i < 80; i += 8) metadata.failing.add(`d-${i}`)
        },
        async ask(desk, id) {
          await desk.ask(id, 'retract-all-of-it', { count: '80' })
          await desk.approve(id)
        },
        says: /failed.*not tried/,
        done: ['change'],
      },
    ],
  }),
]
