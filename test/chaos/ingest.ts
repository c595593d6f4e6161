import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { Measured } from './ingest-server.ts'
import { mutateBody } from './mutate.ts'
import { type Random, randomOf } from './scheduler.ts'
import { Violation } from './violation.ts'

const FIXTURES = new URL('../fixtures/alertmanager/', import.meta.url)
const recorded = readdirSync(FIXTURES)
  .filter((name) => /^\d.*(?<!headers)\.json$/.test(name))
  .map((name) => readFileSync(new URL(name, FIXTURES)))
const generic = Buffer.from(
  JSON.stringify({
    items: [
      {
        id: 7,
        state: 'open',
        check: { name: 'disk' },
        host: 'db1',
        output: 'full',
        at: 1_763_700_000,
        url: 'http://h/',
      },
      { id: 8, state: 'closed', check: { name: 'cpu' }, host: 'db2', output: '', at: '2026-11-21T03:00:00Z', url: '' },
    ],
  }),
)
const BEARER = 'Bearer s3cret-of-the-sender'
const BASIC = `Basic ${Buffer.from('ci:s3cret-of-the-sender').toString('base64')}`

/** After so many requests the compiler and the caches have what they want, and the heap is what it stays. */
const WARM = 500
/** Bytes by which the heap may differ then. */
const FLAT = 6 * 1024 * 1024
/** Milliseconds that the thread may compute without looking at its events. */
const BUSY = 50
const HALF_OPEN = 500
/** Milliseconds within which a healthy request is answered, on a machine that has other work too. */
const PATIENCE = 2000

type Door = Awaited<ReturnType<typeof openDoor>>

/** The way in, on a thread of its own. */
async function openDoor() {
  const thread = new Worker(new URL('./ingest-server.ts', import.meta.url), { execArgv: [] })
  let crash: Error | null = null
  thread.on('error', (error) => (crash = error as Error))
  const [url] = (await once(thread, 'message')) as [string]
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })

  return {
    port: Number(new URL(url).port),
    crashed: () => crash,
    async measure(): Promise<Measured> {
      thread.postMessage('measure')
      const [measured] = (await once(thread, 'message')) as [Measured]
      return measured
    },
    /** One request; the status, or null when the connection was closed on it. */
    send: (path: string, headers: Record<string, string>, body: Buffer) =>
      new Promise<number | null>((resolve) => {
        const sent = request(new URL(path, url), { method: 'POST', agent, headers })
        sent.on('response', (response) => {
          response.resume()
          response.on('end', () => resolve(response.statusCode ?? null))
          response.on('error', () => resolve(null))
        })
        sent.on('error', () => resolve(null))
        sent.end(body)
      }),
    async close(): Promise<void> {
      agent.destroy()
      const gone = once(thread, 'exit')
      thread.postMessage('stop')
      await gone
    },
  }
}

/** A request as a sender, a stranger or a broken proxy would make it, and the answers that it may get. */
function draw(random: Random) {
  const source = random.pick(['am', 'am', 'am', 'ci'])
  const example = source === 'ci' ? generic : random.pick(recorded)
  const body = mutateBody(random, example)
  const good = { 'content-type': 'application/json', authorization: source === 'ci' ? BASIC : BEARER }
  const path = `/webhooks/${source}`
  const tooLarge = body.length > 1_048_576 ? [413] : []
  if (random.chance(0.08)) {
    const authorization = random.pick([
      '',
      'Bearer',
      'Bearer x',
      BASIC.slice(0, -2),
      'Basic !!!',
      `Bearer ${'x'.repeat(8000)}`,
    ])
    const wrong = { ...good, authorization: authorization === good.authorization ? '' : authorization }
    return { path, headers: wrong, body, may: [401] }
  }
  if (random.chance(0.04)) {
    const signed = {
      'content-type': 'application/x-www-form-urlencoded',
      'x-slack-request-timestamp': random.pick([String(Math.floor(Date.now() / 1000)), '0', '-1', '1e9', '']),
      'x-slack-signature': random.pick(['', 'v0=', `v0=${'0'.repeat(64)}`, `v1=${'a'.repeat(64)}`, 'x'.repeat(4000)]),
    }
    return { path: '/slack/events', headers: signed, body, may: [401, ...tooLarge] }
  }
  if (random.chance(0.03))
    return {
      path: `/webhooks/${random.pick(['none', '__proto__', '%00', '..%2f'])}`,
      headers: good,
      body,
      may: [400, 404],
    }
  if (random.chance(0.03))
    return {
      path,
      headers: {
        ...good,
        ...random.pick([{ 'content-type': 'image/png' }, { 'content-encoding': 'gzip' }, { 'content-type': '\t;' }]),
      },
      body,
      may: [415],
    }
  return { path, headers: good, body, may: [200, 400, ...tooLarge] }
}

/** What the thread's figures say against it. */
function judge(measured: Measured, heap: number | null): void {
  if (!measured.sound) throw new Violation('a body has changed what every object has')
  if (measured.busy > BUSY) throw new Violation(`events waited while ${Math.round(measured.busy)} ms were computed`)
  if (heap !== null && measured.heap - heap > FLAT)
    throw new Violation(`the heap has grown by ${Math.round((measured.heap - heap) / 1024)} KiB`)
}

/** Mutated bodies: every one is answered, none with a 5xx; nothing computes for long, and nothing is kept of them. */
export function createIngestPart() {
  let door: Promise<Door> | null = null
  let [sent, warm, worst, waited] = [0, null as number | null, 0, 0]

  return {
    async run(seed: number): Promise<void> {
      door ??= openDoor()
      const open = await door
      const { path, headers, body, may } = draw(randomOf(seed))
      const status = await open.send(path, headers, body)
      const crash = open.crashed()
      if (crash) throw new Violation(`${body.length} bytes ended the process: ${crash.stack}`)
      // A body that is too large is refused while it is still being sent.
      const hungUp = status === null && body.length > 100_000 && !may.includes(200)
      if (!hungUp && !may.includes(status ?? 0) && !(status === null && body.length > 1_048_576))
        throw new Violation(`${path}: ${status} to ${body.length} bytes: ${body.subarray(0, 300)}`)
      sent += 1
      if (sent % WARM !== 0) return
      const measured = await open.measure()
      // The first ones count for nothing: the code was being compiled.
      judge(sent === WARM ? { ...measured, busy: 0 } : measured, warm)
      warm ??= measured.heap
      if (sent > WARM) [worst, waited] = [Math.max(worst, measured.busy), Math.max(waited, measured.waited)]
    },
    async close(): Promise<string> {
      if (!door) return ''
      const open = await door
      const last = await open.measure()
      await open.close()
      judge(sent < WARM ? { ...last, busy: 0 } : last, warm)
      const grown = warm === null ? 0 : Math.round((last.heap - warm) / 1024)
      return `${last.stored} alerts stored; the thread computed at most ${Math.round(Math.max(worst, last.busy))} ms at a time (an event waited ${Math.round(Math.max(waited, last.waited))} ms, others on this machine included); heap ${grown} KiB from the first ${WARM}`
    },
  }
}

/** The beginning of a request that is never ended. */
const BEGINNINGS = [
  '',
  'POST',
  'POST /webhooks/am HTTP/1.1\r\n',
  'POST /webhooks/am HTTP/1.1\r\nhost: h\r\nx: ',
  `POST /webhooks/am HTTP/1.1\r\nhost: h\r\nauthorization: Bearer wrong\r\ncontent-length: 900000\r\n\r\n{"al`,
  `POST /webhooks/am HTTP/1.1\r\nhost: h\r\nauthorization: ${BEARER}\r\ncontent-type: application/json\r\ncontent-length: 900000\r\n\r\n{"al`,
  `POST /webhooks/am HTTP/1.1\r\nhost: h\r\nauthorization: ${BEARER}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{"al\r\n`,
]

/** A connection that counts as slow after this long, in milliseconds; only then it gives way to others. */
const SLOW = 1000

/** Beside 500 connections that began a request and say no more, a healthy one is answered as if they were not there. */
export function createHalfOpenPart() {
  let door: Promise<Door> | null = null
  let sockets: Socket[] = []
  let [begun, slowest, closed] = [0, 0, 0]

  async function begin(open: Door): Promise<Socket> {
    const socket = connect(open.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.on('close', () => (closed += 1))
    socket.resume()
    await once(socket, 'connect')
    socket.write(BEGINNINGS[begun++ % BEGINNINGS.length]!)
    return socket
  }

  return {
    async run(seed: number): Promise<void> {
      const fresh = door === null
      door ??= openDoor()
      const open = await door
      sockets = sockets.filter((socket) => !socket.destroyed)
      while (sockets.length < HALF_OPEN) sockets.push(await begin(open))
      if (fresh) await pause(SLOW)
      const good = { 'content-type': 'application/json', authorization: BEARER }
      const start = performance.now()
      const status = await open.send('/webhooks/am', good, randomOf(seed).pick(recorded))
      const took = performance.now() - start
      slowest = Math.max(slowest, took)
      if (status !== 200) throw new Violation(`a healthy request got ${status} beside ${HALF_OPEN} half-open ones`)
      if (took > PATIENCE) throw new Violation(`a healthy request took ${Math.round(took)} ms`)
    },
    async close(): Promise<string> {
      const ended = closed
      for (const socket of sockets) socket.destroy()
      await (await door)?.close()
      return `slowest ${Math.round(slowest)} ms, ${ended} of ${begun} half-open connections ended by the server meanwhile`
    },
  }
}
