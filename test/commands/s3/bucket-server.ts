import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Stored = { body: string; modified: string }

const xml = (text: string) => text.replace(/[&<>]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[c]!)
const unxml = (text: string) =>
  text.replace(/&(amp|lt|gt|quot|apos);/g, (_, n: string) => ({ amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" })[n]!)
const etagOf = (body: string) => `"${createHash('md5').update(body).digest('hex')}"`

/**
 * One bucket `lake` over S3's wire protocol, for what the server from npm has not: pages of a thousand keys, deletes that
 * hold for an ETag only, SlowDown. Refuses what S3 refuses: unsigned requests, more than 1,000 keys, no checksum.
 */
export async function startBucket() {
  const objects = new Map<string, Stored>()
  const deletes: { at: number; keys: string[] }[] = []
  let slow = { whole: 0, key: (_key: string) => false }
  let before: (() => void) | undefined
  let lose = 0

  const server = createServer(async (request, reply) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const url = new URL(request.url ?? '', 'http://s3')
    const send = (status: number, text: string) =>
      reply.writeHead(status, { 'content-type': 'application/xml' }).end(`<?xml version="1.0"?>${text}`)
    const fault = (status: number, code: string) =>
      send(status, `<Error><Code>${code}</Code><Message>${code}</Message></Error>`)
    if (!/\/us-east-1\/s3\/aws4_request/.test(request.headers.authorization ?? '')) return fault(403, 'AccessDenied')
    const [, bucket, ...path] = url.pathname.split('/')
    const key = decodeURIComponent(path.join('/'))
    if (bucket !== 'lake') return fault(404, 'NoSuchBucket')
    if (request.method === 'HEAD') {
      const found = objects.get(key)
      if (!found) return reply.writeHead(404).end()
      return reply
        .writeHead(200, { etag: etagOf(found.body), 'content-length': found.body.length, 'x-amz-version-id': 'v1' })
        .end()
    }
    if (request.method === 'GET' && url.searchParams.get('list-type') === '2') {
      const prefix = url.searchParams.get('prefix') ?? ''
      const after = url.searchParams.get('start-after') ?? ''
      const all = [...objects.keys()].filter((k) => k.startsWith(prefix) && k > after).sort()
      const page = all.slice(0, 1000).map((k) => {
        const { body: text, modified } = objects.get(k)!
        return `<Contents><Key>${xml(k)}</Key><LastModified>${modified}</LastModified><ETag>${etagOf(text)}</ETag><Size>${text.length}</Size></Contents>`
      })
      return send(
        200,
        `<ListBucketResult><IsTruncated>${all.length > 1000}</IsTruncated>${page.join('')}</ListBucketResult>`,
      )
    }
    if (request.method !== 'POST' || !url.searchParams.has('delete')) return fault(405, 'MethodNotAllowed')
    if (!Object.keys(request.headers).some((h) => h === 'content-md5' || h.startsWith('x-amz-checksum-')))
      return fault(400, 'InvalidRequest')
    const asked = [...body.matchAll(/<Object>(.*?)<\/Object>/gs)].map(([, one = '']) => ({
      key: unxml(/<Key>(.*?)<\/Key>/s.exec(one)?.[1] ?? ''),
      etag: unxml(/<ETag>(.*?)<\/ETag>/.exec(one)?.[1] ?? ''),
    }))
    if (asked.length === 0 || asked.length > 1000) return fault(400, 'MalformedXML')
    before?.()
    deletes.push({ at: performance.now(), keys: asked.map((one) => one.key) })
    if (slow.whole > 0) {
      slow.whole -= 1
      return fault(503, 'SlowDown')
    }
    const errors = asked.flatMap(({ key: k, etag }) => {
      const found = objects.get(k)
      const code = slow.key(k)
        ? 'SlowDown'
        : etag && (!found || etagOf(found.body) !== etag)
          ? 'PreconditionFailed'
          : null
      if (!code) objects.delete(k)
      return code ? [`<Error><Key>${xml(k)}</Key><Code>${code}</Code><Message>${code}</Message></Error>`] : []
    })
    if (lose > 0) {
      lose -= 1
      request.socket.destroy()
      return
    }
    send(200, `<DeleteResult>${errors.join('')}</DeleteResult>`)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    /** Every DeleteObjects so far. */
    deletes,
    put: (key: string, body = 'x', modified = '2026-03-13T22:00:00.000Z') => void objects.set(key, { body, modified }),
    /** The next `whole` requests are refused, and the keys for which `key` holds. */
    slowDown(whole: number, key: (key: string) => boolean = () => false) {
      slow = { whole, key }
    },
    /** Called before each delete: what others do at that moment. */
    on(what: typeof before) {
      before = what
    },
    /** The next deletes are done, and their replies never come. */
    loseReplies(count: number) {
      lose = count
    },
    reset() {
      objects.clear()
      deletes.length = 0
      slow = { whole: 0, key: () => false }
      before = undefined
      lose = 0
    },
    async close() {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}
