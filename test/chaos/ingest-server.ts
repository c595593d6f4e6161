import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parentPort, threadId } from 'node:worker_threads'
import { type Entry, genesis, Happening, seal } from '../../src/domain/event.ts'
import { evolve } from '../../src/domain/evolve.ts'
import type { Incident } from '../../src/domain/incident.ts'
import type { Journal } from '../../src/domain/ports.ts'
import { createLog } from '../../src/log.ts'
import { matchesWhole } from '../../src/markdown/regex.ts'
import { createIngest } from '../../src/pipeline/ingest.ts'
import { createHttpReceiver } from '../../src/slack/receiver.ts'
import { SourceSettings } from '../../src/sources/registry.ts'
import { createHttpServer, createSources } from '../../src/sources/server.ts'
import { playbook } from '../slack/cards.ts'

/** The way in of a bot on a thread of its own, down to the entries of the journal, which are made and thrown away. */

/** What the thread says of itself since it was asked last. */
export type Measured = Readonly<{
  /** Bytes in use after a collection. */
  heap: number
  /** The longest that this thread computed without looking at its events, in milliseconds of its own processor time. */
  busy: number
  /** The longest that an event waited, in milliseconds of the wall clock: others on the machine add to it. */
  waited: number
  /** Alerts that came through to the journal. */
  stored: number
  /** Whether objects still have what they had. */
  sound: boolean
}>

const sources = {
  am: { kind: 'alertmanager', auth: { bearerFrom: 'TOKEN' } },
  ci: {
    kind: 'generic',
    auth: { basic: { user: 'ci', passwordFrom: 'TOKEN' } },
    alerts: '/items',
    fingerprint: '/id',
    status: { pointer: '/state', firing: ['open', 1, true], resolved: ['closed', 0] },
    labels: { alertname: '/check/name', host: '/host', fixed: { value: 'x' } },
    annotations: { summary: '/output', all: '/check' },
    startsAt: '/at',
    links: { Log: '/url' },
  },
} as const
const books = [
  { ...playbook, match: { alertname: { kind: 'regex', pattern: 'Kafka.+|.*x.*' } } as const, groupBy: ['topic'] },
  { ...playbook, id: 'all', match: { alertname: { kind: 'present' } } as const, groupBy: ['constructor', '__proto__'] },
]

let stored = 0
const journal: Pick<Journal, 'active' | 'load' | 'current' | 'append'> = {
  active: async () => [],
  load: async () => null,
  current: async () => null,
  async append(incident, _version, op, events) {
    // As long as it takes to ask somebody else.
    await nextTurn()
    let state: Incident | null = null
    for (const [i, event] of events.entries()) {
      const entry: Entry = seal({
        incident,
        seq: i + 1,
        at: '2026-11-21T03:00:00.000Z',
        op,
        event: Happening.parse(JSON.parse(JSON.stringify(event))),
        prev: state?.head ?? genesis(incident),
      })
      if (event.type === 'alerts.changed') stored += event.alerts.length
      state = evolve(state, entry)
    }
    return { ok: true, incident: state! }
  },
}

const secret = () => 's3cret-of-the-sender'
const log = createLog({ level: 'info', strike: (text) => text, destination: { write: () => {} } })
const ingest = createIngest({
  journal: journal as Journal,
  bell: { ring: async () => {} },
  clock: () => Date.parse('2026-11-21T03:00:00.000Z'),
  ids: () => 'op',
  playbooks: books,
  regex: matchesWhole,
  onError: () => {},
  incidentId: (group, n) => `${group.length}-${n}`,
  ordinal: () => 1,
})
const server = createHttpServer({ log })
await server.register(
  createSources({
    sources: Object.fromEntries(Object.entries(sources).map(([name, s]) => [name, SourceSettings.parse(s)])),
    secret,
    onAlerts: ingest,
    log,
    clock: () => new Date('2026-11-21T03:00:00.000Z'),
  }),
)
const { plugin } = createHttpReceiver({
  signingSecret: secret(),
  postbox: { firstTime: async () => true },
  clock: Date.now,
  log,
})
await server.register(plugin)
const url = await server.listen({ host: '127.0.0.1', port: 0 })

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const delay = monitorEventLoopDelay({ resolution: 5 })
delay.enable()
const spent = () => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
let [busy, last] = [0, spent()]
setInterval(() => {
  const now = spent()
  busy = Math.max(busy, now - last)
  last = now
}, 5)

parentPort!.on('message', (question: 'measure' | 'stop') => {
  if (question === 'stop') {
    void server.close().then(() => process.exit(0))
    return
  }
  const measured = { busy, waited: delay.max / 1e6, stored }
  collect()
  const { heapUsed, external } = process.memoryUsage()
  const sound =
    Object.keys(Object.prototype).length === 0 && Object.keys(Array.prototype).length === 0 && threadId !== 0
  parentPort!.postMessage({ ...measured, heap: heapUsed + external, sound } satisfies Measured)
  // The collection is this question's own doing.
  delay.reset()
  last = spent()
  busy = 0
})
parentPort!.postMessage(url)
