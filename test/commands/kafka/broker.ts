import { once } from 'node:events'
import { createServer as createTcpServer, connect as dial, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { array, compactString, int16, int32, int64, string, uvarint } from '../../../commands/kafka/wire/bytes.ts'

/** One request, by https://kafka.apache.org/protocol: what stands behind its header is `body`. */
export type Asked = Readonly<{ api: number; version: number; correlation: number; body: Buffer }>
/** What is answered in the broker's stead; `drop` hangs up. Null or nothing: the real broker is asked. */
type Answer = (asked: Asked, socket: Socket) => Buffer | 'drop' | null | undefined

/** What a broker offers beside what librdkafka's mock cluster does, by its number. */
export type Offers = Readonly<Record<number, readonly [least: number, most: number]>>
export const API = {
  produce: 0,
  fetch: 1,
  listOffsets: 2,
  metadata: 3,
  offsetCommit: 8,
  offsetFetch: 9,
  findCoordinator: 10,
  joinGroup: 11,
  describeGroups: 15,
  saslHandshake: 17,
  apiVersions: 18,
  offsetForLeaderEpoch: 23,
  saslAuthenticate: 36,
  consumerGroupDescribe: 69,
} as const

/**
 * Stands between a client and librdkafka's mock cluster, which is asked whatever is not answered here: so that what the mock
 * cannot do, or never does, is met over the wire. Offers further requests, wants a login, or speaks TLS when told to.
 */
export async function startBroker(
  upstream: string,
  options: { offers?: Offers; answer?: Answer; tls?: TlsOptions } = {},
) {
  const realPort = Number(upstream.split(':')[1])
  const asked: Asked[] = []
  const sockets = new Set<Socket>()
  let answer: Answer = options.answer ?? (() => null)
  let port = 0

  const accept = (near: Socket) => {
    const far = dial(realPort, '127.0.0.1')
    sockets.add(near).add(far)
    const waiting = new Map<number, Asked>()
    near.on('error', () => {}).on('close', () => far.destroy())
    far.on('error', () => {}).on('close', () => near.destroy())
    near.on(
      'data',
      framed((frame) => {
        const one = parse(frame)
        asked.push(one)
        const body = answer(one, near)
        if (body === 'drop') return near.destroy()
        if (body) return near.write(answerOf(one, body))
        waiting.set(one.correlation, one)
        far.write(frame)
      }, near),
    )
    far.on(
      'data',
      framed((frame) => {
        const one = waiting.get(frame.readInt32BE(4))
        const out = one?.api === API.apiVersions ? offering(frame, options.offers ?? {}) : frame
        near.write(moved(out, realPort, port))
      }),
    )
  }
  const server = options.tls ? createTlsServer(options.tls, accept) : createTcpServer(accept)
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as { port: number }).port
  return {
    broker: `127.0.0.1:${port}`,
    asked,
    /** From now on. */
    play(next: Answer): void {
      answer = next
    },
    async stop(): Promise<void> {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
export type Broker = Awaited<ReturnType<typeof startBroker>>

/** An answer of ConsumerGroupDescribe: https://kafka.apache.org/protocol#The_Messages_ConsumerGroupDescribe */
export function consumerGroup(group: string, options: { code?: number; state?: string; members?: number }): Buffer {
  const { code = 0, state = '', members = 0 } = options
  const member = Buffer.concat([
    ...[
      compactString('member-1'),
      uvarint(0),
      uvarint(0),
      int32(1),
      compactString('client'),
      compactString('/127.0.0.1'),
    ],
    // No topics, no pattern; no partitions now, and none wanted.
    ...[uvarint(1), uvarint(0), uvarint(1), uvarint(0), uvarint(1), uvarint(0), uvarint(0)],
  ])
  const described = [
    ...[
      int16(code),
      uvarint(0),
      compactString(group),
      compactString(state),
      int32(3),
      int32(3),
      compactString('uniform'),
    ],
    ...[uvarint(members + 1), ...Array.from({ length: members }, () => member), int32(-2147483648), uvarint(0)],
  ]
  // The header of an answer of this version has tags as well.
  return Buffer.concat([uvarint(0), int32(0), uvarint(2), ...described, uvarint(0)])
}

/** An answer of DescribeGroups in versions 1 and 2. */
export const classicGroup = (group: string, state: string): Buffer =>
  Buffer.concat([
    int32(0),
    array([Buffer.concat([int16(0), string(group), string(state), string(''), string(''), array([])])]),
  ])

export const handshake = (mechanisms: readonly string[], code = 0): Buffer =>
  Buffer.concat([int16(code), array(mechanisms.map((one) => string(one)))])
/** In version 1; a code of 58 is a login that failed. */
export const authenticated = (code = 0): Buffer =>
  Buffer.concat([int16(code), string(code === 0 ? null : 'the token is not good'), int32(0), int64(0)])

function parse(frame: Buffer): Asked {
  const client = Math.max(0, frame.readInt16BE(12))
  return {
    api: frame.readInt16BE(4),
    version: frame.readInt16BE(6),
    correlation: frame.readInt32BE(8),
    body: frame.subarray(14 + client),
  }
}

const answerOf = ({ correlation }: Asked, body: Buffer) =>
  Buffer.concat([int32(4 + body.length), int32(correlation), body])

/** An answer of ApiVersions with more in it. */
function offering(frame: Buffer, offers: Offers): Buffer {
  const more = Object.entries(offers).map(([api, [least, most]]) =>
    Buffer.concat([int16(Number(api)), int16(least), int16(most)]),
  )
  const count = frame.readInt32BE(10)
  const end = 14 + count * 6
  const body = Buffer.concat([
    frame.subarray(4, 10),
    int32(count + more.length),
    frame.subarray(14, end),
    ...more,
    frame.subarray(end),
  ])
  return Buffer.concat([int32(body.length), body])
}

/** Brokers hang up on a larger request, such as the beginning of TLS: socket.request.max.bytes, by default. */
const MOST_BYTES = 104_857_600

/** Cuts what comes into frames: four bytes of length, and so many bytes. */
function framed(take: (frame: Buffer) => void, near?: Socket): (part: Buffer) => void {
  let waiting = Buffer.alloc(0)
  return (part) => {
    waiting = Buffer.concat([waiting, part])
    if (near && waiting.length >= 4 && waiting.readUInt32BE(0) > MOST_BYTES) return near.destroy()
    while (waiting.length >= 4 && waiting.length >= 4 + waiting.readInt32BE(0)) {
      const length = 4 + waiting.readInt32BE(0)
      take(waiting.subarray(0, length))
      waiting = waiting.subarray(length)
    }
  }
}

/** The frame with our address where the broker says its own. */
function moved(frame: Buffer, from: number, to: number): Buffer {
  const address = (port: number) => {
    const bytes = Buffer.from('127.0.0.1....')
    bytes.writeInt32BE(port, bytes.length - 4)
    return bytes.toString('latin1')
  }
  return Buffer.from(frame.toString('latin1').replaceAll(address(from), address(to)), 'latin1')
}
