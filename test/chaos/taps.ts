import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net'

/** What a system was asked: the shape of it, in which a value is `*`, and the place that it was sent to. */
export type Asked = Readonly<{ shape: string; host: string; url: string }>

/** The shape of JSON: names, and how they lie in one another. A value is a value, whatever it holds. */
function shapeOf(value: unknown): string {
  if (Array.isArray(value)) return `[${[...new Set(value.map(shapeOf))].sort().join()}]`
  if (typeof value !== 'object' || value === null) return '*'
  return `{${Object.entries(value)
    .map(([name, inner]) => `${JSON.stringify(name)}:${shapeOf(inner)}`)
    .sort()
    .join()}}`
}

function bodyShape(body: string, type: string): string {
  if (body === '') return ''
  try {
    if (type.includes('json')) return shapeOf(JSON.parse(body))
  } catch {
    return 'broken JSON'
  }
  if (type.includes('x-www-form-urlencoded'))
    return [...new URLSearchParams(body).keys()]
      .map((k) => k.replace(/\d+/g, '#'))
      .sort()
      .join('&')
  return 'text'
}

/** `known` names path segments that are no values. */
function requestShape(request: IncomingMessage, body: string, known: ReadonlySet<string>): string {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2)
  const segments = path.split('/').map((s) => (known.has(s) ? s : '*'))
  const names = [...new Set([...new URLSearchParams(query).keys()])].sort()
  const headers = request.rawHeaders.filter((_, i) => i % 2 === 0).map((h) => h.toLowerCase())
  const target = String(request.headers['x-amz-target'] ?? '')
  const shape = bodyShape(body, request.headers['content-type'] ?? '')
  const fixed = headers.filter((h) => !/^(amz-|x-amz-|content-length|connection|accept|user-agent)/.test(h))
  return `${request.method} ${segments.join('/')}?${names} ${target} ${shape} (${fixed.sort()})`
}

/** A web server that writes down the shape of each request; `answer` says what it answers. */
export async function startWebTap(known: ReadonlySet<string>, answer: (response: ServerResponse) => void) {
  const asked: Asked[] = []
  const server = createHttpServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const shape = requestShape(request, Buffer.concat(parts).toString('utf8'), known)
      asked.push({ shape, host: request.headers.host ?? '', url: request.url ?? '' })
      answer(response)
    })
  })
  const port = await listen(server)
  return {
    asked,
    port,
    origin: `http://127.0.0.1:${port}`,
    stop: () => stop(server, () => server.closeAllConnections()),
  }
}

/** A database that takes every statement, gives no row, and writes the text of each down; the values are bound beside it. */
export async function startSqlTap() {
  const asked: Asked[] = []
  const sockets = new Set<Socket>()
  const message = (type: string, body = Buffer.alloc(0)) => {
    const head = Buffer.alloc(5)
    head.write(type)
    head.writeInt32BE(body.length + 4, 1)
    return Buffer.concat([head, body])
  }
  const done = message('C', Buffer.from('SELECT 0\0'))
  const ready = message('Z', Buffer.from('I'))
  const statement = (text: string) => void asked.push({ shape: text, host: '', url: '' })
  const answers = new Map<string, (body: Buffer) => Buffer>([
    [
      'Q',
      (body) => {
        statement(body.subarray(0, -1).toString('utf8'))
        return Buffer.concat([done, ready])
      },
    ],
    [
      'P',
      (body) => {
        const at = body.indexOf(0) + 1
        statement(body.subarray(at, body.indexOf(0, at)).toString('utf8'))
        return message('1')
      },
    ],
    ['B', () => message('2')],
    ['D', () => message('n')],
    ['E', () => done],
    ['S', () => ready],
  ])
  const server = createTcpServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    let waiting = Buffer.alloc(0)
    let started = false
    socket.on('data', (part) => {
      waiting = Buffer.concat([waiting, part])
      for (;;) {
        const at = started ? 1 : 0
        if (waiting.length < at + 4 || waiting.length < at + waiting.readInt32BE(at)) return
        const length = at + waiting.readInt32BE(at)
        const body = waiting.subarray(at + 4, length)
        const reply = started
          ? answers.get(String.fromCharCode(waiting[0]!))?.(body)
          : Buffer.concat([message('R', Buffer.alloc(4)), ready])
        waiting = waiting.subarray(length)
        started = true
        if (reply) socket.write(reply)
      }
    })
  })
  const port = await listen(server)
  return {
    asked,
    port,
    stop: () =>
      stop(server, () => {
        for (const s of sockets) s.destroy()
      }),
  }
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function stop(server: Server, hangUp: () => void): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  hangUp()
  await closed
}
