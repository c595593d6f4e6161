import { gunzipSync, gzipSync } from 'node:zlib'
import { END, headerOf, paddingOf } from '../../commands/s3/tar-header.ts'
import { startS3 } from '../../src/sandbox/targets/s3.ts'
import { startAirflow, TOKEN } from '../commands/airflow/server.ts'
import type { State } from '../commands/airflow/state.ts'
import type { Row } from './row.ts'

const PEER = 's3rver, and a server that speaks Airflow’s REST API'
const HOUR = 3_600_000
const at = (hours: number) => new Date(Date.now() - hours * HOUR).toISOString()

/** A bucket `lake` and the Airflow whose runs write to it; each job keeps its files in a folder of its own below `tmp/`. */
export async function startLake(more: object = {}) {
  const [s3, airflow] = [await startS3('lake'), await startAirflow(2)]
  return {
    s3,
    airflow,
    connections: {
      lake: {
        kind: 's3',
        environment: 'production',
        region: 'us-east-1',
        endpoint: s3.endpoint,
        forcePathStyle: true,
        accessKeyIdFrom: 'LAKE_KEY',
        secretAccessKeyFrom: 'LAKE_KEY',
        buckets: ['lake'],
        deletable: [{ under: 'lake/tmp', owner: { airflow: 'jobs', dag: '*' }, perSecond: 1000 }],
      },
      jobs: {
        kind: 'airflow',
        environment: 'production',
        baseUrl: airflow.origin,
        api: 2,
        auth: { kind: 'bearer', tokenFrom: 'AIRFLOW_TOKEN' },
        dags: ['*'],
        pollSeconds: 0.005,
        ...more,
      },
    },
    secrets: { LAKE_KEY: 'S3RVER', AIRFLOW_TOKEN: TOKEN },
    /** Files of a run that died four hours ago. */
    async leave(...keys: string[]) {
      for (const key of keys) {
        await s3.put(key, Buffer.from('left over'))
        await s3.date(key, new Date(Date.now() - 4 * HOUR))
      }
    },
    /** Throws unless exactly these objects are there, and Airflow was asked only what it knows. */
    async holds(...keys: string[]) {
      const found = (await s3.keys()).join()
      if (found !== keys.join()) throw new Error(`not mended: ${found}`)
      if (airflow.wrong.length > 0) throw new Error(airflow.wrong.join('\n'))
    },
    async stop() {
      await s3.close()
      await airflow.stop()
    },
  }
}
type Lake = Awaited<ReturnType<typeof startLake>>

const failed = (state: State, dag: string, run: string, conf = {}) => {
  state.addDag(dag)
  state.addRun(dag, run, 'failed', { work: 'failed' }, { date: at(6), start: at(5), end: at(4), conf })
}
const must = (holds: boolean | undefined, what: string) => {
  if (!holds) throw new Error(what)
}

/** Throws unless Airflow works on that run again. */
function goesOn({ airflow: { state } }: Lake, run: string): void {
  const found = state.runs.find((r) => r.run === run)?.state
  must(found === 'queued' || found === 'running', `the run ${run} is ${found}`)
}

const PLACE = { connection: 'lake', bucket: 'lake', airflow: 'jobs' }

/** What the row's folder holds, and a neighbour whose name begins the same. */
const leftovers = (lake: Lake, job: string) =>
  lake.leave(`tmp/${job}/run-1/part-0`, `tmp/${job}/run-1/part-1`, `tmp/${job}-2/run-1/part-0`)

const gap = (text: string) => [Buffer.from(text), paddingOf(text.length)]
const entry = { mode: 0o644, uid: 0, gid: 0, modified: 1_760_000_000, link: '' } as const
/** A database as its vendor packs it: twice. */
const VENDOR = gzipSync(
  gzipSync(
    Buffer.concat([
      headerOf({ ...entry, name: 'geo_20261120/', type: 'folder', size: 0 }),
      headerOf({ ...entry, name: 'geo_20261120/city.mmdb', type: 'file', size: 11 }),
      ...gap('city, place'),
      END,
    ]),
  ),
)

const CLICKS = 'events/clicks/1.json.gz'

export const S3_ROWS: readonly Row[] = [
  {
    id: 'A6',
    failure: 'Malformed JSON in one of the .json.gz files of an event',
    playbook: 's3/malformed-json',
    peer: PEER,
    async begin() {
      const lake = await startLake()
      const labels = { alertname: 'ParserMalformedJson', ...PLACE, prefix: 'events/clicks/', key: CLICKS }
      const events = Array.from({ length: 40 }, (_, id) => JSON.stringify({ id }))
      return {
        ...lake,
        async alert() {
          await lake.s3.putLines(CLICKS, events.with(23, '{"id":23,"pa'))
          failed(lake.airflow.state, 'parse', 'p1')
          return { labels: { ...labels, dag: 'parse', run: 'p1' } }
        },
        evidence: [
          /1 fault in 1 of 1 file/,
          /"events\/clicks\/".{0,200}"1\.json\.gz".{0,200}"24"/,
          /line 24, column \d+: .{0,200}23,.{0,20}pa/,
        ],
        async recover(desk, id) {
          await desk.approve(id)
          await desk.ask(id, 'start-the-parser-again')
          await desk.approve(id)
        },
        async mended() {
          const now = gunzipSync(await lake.s3.bytes(CLICKS))
            .toString()
            .trim()
            .split('\n')
          must(now.join() === events.toSpliced(23, 1).join(), `the file has ${now.length} lines`)
          must(
            (await lake.s3.keys()).some((k) => k?.endsWith('.original.gz')),
            'the original is not kept',
          )
          goesOn(lake, 'p1')
        },
        guards: [
          {
            async arrange(desk) {
              await lake.s3.putLines(CLICKS, [...events, '{"id":', '{"id":', '{"id":'])
              return desk.fire({ labels })
            },
            says: /3 of 43 lines of .* are malformed: 6\.98 %, above the limit of 5 %/,
          },
          {
            arrange: (desk) => desk.fire({ labels: { ...labels, bucket: 'secrets' } }),
            says: /may not change .*secrets/,
          },
        ],
      }
    },
  },
  {
    id: 'A8',
    failure: 'A compaction fails on S3 deletes (SlowDown), small files pile up, and parsers fail',
    playbook: 's3/compaction-slowdown',
    peer: PEER,
    async begin() {
      const lake = await startLake({
        trigger: { compact: { numbers: { delete_rate: 1000 } } },
        dependsOn: { parse: ['compact'] },
      })
      const firing = (prefix: string, job: string) => ({
        labels: {
          alertname: 'CompactionSlowDown',
          ...PLACE,
          prefix,
          job,
          dag: 'compact',
          run: 'c1',
          parsers: 'parse',
        },
      })
      return {
        ...lake,
        async alert() {
          await leftovers(lake, 'compact')
          failed(lake.airflow.state, 'compact', 'c1', { delete_rate: 1000 })
          lake.airflow.state.logs.set('compact/c1/work/2', 'ClientError: (SlowDown) Please reduce your request rate.')
          failed(lake.airflow.state, 'parse', 'p1')
          return firing('tmp/compact/', 'compact')
        },
        evidence: [
          /2 objects under s3:\/\/lake\/tmp\/compact\/: 18 bytes \(9 bytes each\)/,
          /\(SlowDown\) Please reduce your request rate/,
          // The plan has the count and a sample.
          /Delete 2 objects \(18 bytes\) under.*tmp\/compact\/run-1\/part-1 9 bytes/,
        ],
        async recover(desk, id) {
          await desk.approve(id)
          await desk.ask(id, 'run-the-compaction-again-with-a-lower-delete-rate', { conf: '{"delete_rate":200}' })
          await desk.approve(id)
          await desk.ask(id, 'run-the-parsers-again')
          await desk.approve(id)
        },
        async mended() {
          await lake.holds('tmp/compact-2/run-1/part-0')
          const { state } = lake.airflow
          must(state.ended.join() === 'compact success,parse success', `ran: ${state.ended.join()}`)
          must(
            state.runs.some((r) => (r.conf as { delete_rate?: number }).delete_rate === 200),
            'no run with the lower rate',
          )
        },
        guards: [
          {
            arrange: async (desk) => desk.fire(firing('events/clicks/', 'compact')),
            says: /may not delete s3:\/\/lake\/events\/clicks\/: only single folders below lake\/tmp/,
          },
        ],
      }
    },
  },
  {
    id: 'D3',
    failure: 'Leftover temporary files of a failed run break the next one',
    playbook: 's3/leftover-files',
    peer: PEER,
    async begin() {
      const lake = await startLake()
      const labels = { alertname: 'LeftoverTemporaryFiles', ...PLACE, prefix: 'tmp/parse/', job: 'parse', dag: 'parse' }
      return {
        ...lake,
        async alert() {
          await leftovers(lake, 'parse')
          failed(lake.airflow.state, 'parse', 'p1')
          return { labels: { ...labels, run: 'p1' } }
        },
        evidence: [
          /2 objects under s3:\/\/lake\/tmp\/parse\/: .{0,100} from .{10,40} to .{10,40}No run of parse is going\./,
          /"parse".{0,100}"p1".{0,100}"failed"/,
        ],
        async recover(desk, id) {
          await desk.approve(id)
          await desk.ask(id, 'run-what-failed-again')
          await desk.approve(id)
        },
        async mended() {
          await lake.holds('tmp/parse-2/run-1/part-0')
          goesOn(lake, 'p1')
        },
        guards: [
          {
            async arrange(desk) {
              await leftovers(lake, 'parse')
              lake.airflow.state.addRun('parse', 'p2', 'running', { work: 'running' }, { start: at(4) })
              return desk.fire({ labels: { ...labels, run: 'p2' } })
            },
            says: /The run p2 of parse is running: these files are its own/,
          },
        ],
      }
    },
  },
  {
    id: 'D8',
    failure: 'A downloaded archive is corrupt for its reader',
    playbook: 's3/archive-corrupt',
    peer: PEER,
    async begin() {
      const lake = await startLake()
      const key = 'geo/city.tar.gz'
      const labels = { alertname: 'ArchiveCorrupt', ...PLACE, key }
      return {
        ...lake,
        async alert() {
          await lake.s3.put(key, VENDOR)
          failed(lake.airflow.state, 'locate', 'l1')
          return { labels: { ...labels, dag: 'locate', run: 'l1' } }
        },
        evidence: [
          /reads to its end \(2 entries, 11 bytes\), but .*strict readers stop there/,
          /city\.mmdb/,
          /sha256/i,
        ],
        async recover(desk, id) {
          await desk.approve(id)
          await desk.ask(id, 'run-the-reader-again')
          await desk.approve(id)
        },
        async mended() {
          must(gunzipSync(await lake.s3.bytes(key)).equals(gunzipSync(gunzipSync(VENDOR))), 'not the same files')
          const kept = (await lake.s3.keys()).find((k) => k?.startsWith(`quarantine/${key}`))
          must(kept !== undefined && (await lake.s3.bytes(kept)).equals(VENDOR), 'the original is not kept')
          goesOn(lake, 'l1')
        },
        guards: [
          {
            async arrange(desk) {
              await lake.s3.put(key, gzipSync(gunzipSync(gunzipSync(VENDOR)).subarray(0, 1100)))
              return desk.fire({ labels })
            },
            says: /its content is not all there: download it again/i,
          },
        ],
      }
    },
  },
]
