import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { awsModel } from '../../harness/aws-model.ts'
import { parseXml } from '../../harness/xml.ts'
import { createStore, S3Fault, type Stored } from './bucket-store.ts'

const xml = (text: string) =>
  text.replace(/[&<>\r]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '\r': '&#13;' })[c]!)
const unxml = (text: string) => parseXml(`<t>${text}</t>`).text
const encoded = (key: string) => encodeURIComponent(key).replaceAll('%2F', '/').replaceAll('%20', '+')
const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))
const model = awsModel('@aws-sdk/client-s3')

/** What a request that is answered in XML is called. */
function actionOf({ method, query }: S3Request): string {
  if (query.has('list-type')) return 'ListObjectsV2'
  if (query.has('delete')) return 'DeleteObjects'
  if (query.has('notification')) return 'GetBucketNotificationConfiguration'
  if (query.has('acl')) return 'GetObjectAcl'
  if (query.has('tagging')) return 'GetObjectTagging'
  if (query.has('uploads')) return 'CreateMultipartUpload'
  return method === 'POST' ? 'CompleteMultipartUpload' : 'CopyObject'
}

/** Every page ends there: ListObjectsV2. */
const PAGE = 1_000

export type S3Request = Readonly<{
  method: string
  path: string
  query: URLSearchParams
  headers: IncomingMessage['headers']
  body: Buffer
}>

/**
 * The bucket `lake`, with versions, over S3's wire protocol, which refuses what S3 refuses: unsigned requests, parts that don't fit
 * their upload, writes and deletes whose condition does not hold. Facts: facts.ts beside it.
 */
export async function startBucket() {
  const store = createStore()
  const { objects } = store
  const requests: S3Request[] = []
  const deletes: { at: number; keys: string[] }[] = []
  let slow = { whole: 0, key: (_key: string) => false }
  let before: ((request: S3Request) => void) | undefined
  let lose = 0
  let isVersioned = true
  /** Subresources by name (`notification`, `acl`, `tagging`): what they answer, or how they refuse. */
  const settings = new Map<string, string | 403 | 503>()
  /** Keys that are listed, and that no reading of content gets. */
  const kept = new Map<string, { status: number; code: string }>()

  /** Answers that are not as the SDK's model has them. */
  const faults = new Set<string>()

  const server = createServer(async (incoming, reply) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    const url = new URL(incoming.url ?? '', 'http://s3')
    const [, bucket, ...path] = url.pathname.split('/')
    const key = decodeURIComponent(path.join('/'))
    const { method = '', headers } = incoming
    const request: S3Request = { method, path: key, query: url.searchParams, headers, body: Buffer.concat(chunks) }
    const send = (status: number, text: string) =>
      reply.writeHead(status, { 'content-type': 'application/xml' }).end(text && `<?xml version="1.0"?>${text}`)
    try {
      if (!/\/us-east-1\/s3\/aws4_request/.test(headers.authorization ?? '')) throw new S3Fault(403, 'AccessDenied')
      if (bucket !== 'lake') throw new S3Fault(404, 'NoSuchBucket')
      requests.push(request)
      const answer = handle(request)
      if (answer === null) return incoming.socket.destroy()
      if (typeof answer === 'string') {
        for (const fault of model.output(actionOf(request), answer)) faults.add(fault)
        return send(200, answer)
      }
      reply.writeHead(answer.status, answer.headers).end(method === 'HEAD' ? undefined : answer.body)
    } catch (error) {
      if (!(error instanceof S3Fault)) return send(500, '<Error><Code>InternalError</Code></Error>')
      // A HEAD has no body, so no word of what is wrong.
      if (method === 'HEAD') return reply.writeHead(error.status).end()
      send(error.status, `<Error><Code>${error.code}</Code><Message>${xml(error.message)}</Message></Error>`)
    }
  })

  type Answer = string | null | { status: number; headers: Record<string, string>; body?: Buffer }
  function handle(request: S3Request): Answer {
    const { method, path, query, headers } = request
    if (path === '' && method === 'GET' && query.get('list-type') === '2') return list(query)
    if (method === 'POST' && query.has('delete')) return remove(request)
    for (const name of ['notification', 'acl', 'tagging'])
      if (method === 'GET' && query.has(name)) {
        const answer = settings.get(name) ?? (name === 'tagging' ? tagging(path) : '')
        if (answer === 403) throw new S3Fault(403, 'AccessDenied')
        if (answer === 503) throw new S3Fault(503, 'ServiceUnavailable')
        return answer || `<${name === 'acl' ? 'AccessControlPolicy' : 'NotificationConfiguration'}/>`
      }
    if (method === 'GET' || method === 'HEAD') return read(request)
    before?.(request)
    if (method === 'POST' && query.has('uploads'))
      return `<InitiateMultipartUploadResult><UploadId>${store.begin(path, headers)}</UploadId></InitiateMultipartUploadResult>`
    const upload = query.get('uploadId')
    if (method === 'PUT' && upload !== null) {
      const part = store.part(upload, Number(query.get('partNumber')), request.body, headers)
      return { status: 200, headers: { etag: part.etag, ...(part.crc && { 'x-amz-checksum-crc32': part.crc }) } }
    }
    if (method === 'POST' && upload !== null) {
      const parts = parseXml(request.body.toString()).children.map((one) => {
        const of = (name: string) => one.children.find((child) => child.name === name)?.text ?? null
        return { number: Number(of('PartNumber')), etag: of('ETag') ?? '', crc: of('ChecksumCRC32') }
      })
      const done = store.complete(upload, path, parts, headers['if-match'])
      return `<CompleteMultipartUploadResult><ETag>${xml(done.etag)}</ETag></CompleteMultipartUploadResult>`
    }
    if (method === 'DELETE' && upload !== null) {
      if (!store.uploads.delete(upload)) throw new S3Fault(404, 'NoSuchUpload')
      return { status: 204, headers: {} }
    }
    if (method !== 'PUT') throw new S3Fault(405, 'MethodNotAllowed')
    const source = headers['x-amz-copy-source']
    if (source === undefined) return { status: 200, headers: headersOf(store.put(path, request.body, headers)) }
    const from = find(decodeURIComponent(String(source).split('?')[0]!).replace(/^\/?lake\//, ''))
    const condition = headers['x-amz-copy-source-if-match']
    if (condition !== undefined && condition !== from.etag) throw new S3Fault(412, 'PreconditionFailed')
    return `<CopyObjectResult><ETag>${xml(store.copy(from, path, headers).etag)}</ETag></CopyObjectResult>`
  }

  function find(key: string): Stored {
    const found = objects.get(key)
    if (!found) throw new S3Fault(404, 'NoSuchKey')
    return found
  }

  const headersOf = (one: Stored): Record<string, string> => ({
    ...one.kept,
    etag: one.etag,
    'last-modified': new Date(one.modified).toUTCString(),
    ...(isVersioned && { 'x-amz-version-id': one.version }),
    ...(Object.keys(one.tags).length > 0 &&
      settings.get('tagging') !== 403 && { 'x-amz-tagging-count': String(Object.keys(one.tags).length) }),
  })

  function read({ method, path, headers }: S3Request): Answer {
    const found = find(path)
    const no = kept.get(path)
    // What a HEAD says is no content: neither an archive nor a key of KMS keeps it back.
    if (no && (method === 'GET' || no.code === 'AccessDenied' || no.status >= 500))
      throw new S3Fault(no.status, no.code)
    if (headers['if-match'] !== undefined && headers['if-match'] !== found.etag)
      throw new S3Fault(412, 'PreconditionFailed')
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(String(headers.range ?? '')) ?? []
    const body = from === undefined ? found.body : found.body.subarray(Number(from), Number(to) + 1)
    return {
      status: from === undefined ? 200 : 206,
      headers: { ...headersOf(found), 'content-length': String(body.length) },
      body,
    }
  }

  const tagging = (key: string) =>
    `<Tagging><TagSet>${Object.entries(find(key).tags)
      .map(([name, value]) => `<Tag><Key>${xml(name)}</Key><Value>${xml(value)}</Value></Tag>`)
      .join('')}</TagSet></Tagging>`

  function list(query: URLSearchParams): string {
    const prefix = query.get('prefix') ?? ''
    const delimiter = query.get('delimiter') ?? ''
    const after = query.get('continuation-token') ?? query.get('start-after') ?? ''
    const isUrl = query.get('encoding-type') === 'url'
    const show = (key: string) => (isUrl ? encoded(key) : xml(key))
    const folderOf = (key: string) => {
      const end = delimiter ? key.indexOf(delimiter, prefix.length) : -1
      return end < 0 ? null : key.slice(0, end + 1)
    }
    const entries = new Map<string, string>()
    for (const key of [...objects.keys()].filter((one) => one.startsWith(prefix)).sort(byBytes)) {
      const folder = folderOf(key)
      const name = folder ?? key
      if (byBytes(name, after) <= 0 || entries.has(name)) continue
      const one = objects.get(key)!
      entries.set(
        name,
        folder === null
          ? `<Contents><Key>${show(key)}</Key><LastModified>${one.modified}</LastModified><ETag>${xml(one.etag)}</ETag><Size>${one.body.length}</Size></Contents>`
          : `<CommonPrefixes><Prefix>${show(folder)}</Prefix></CommonPrefixes>`,
      )
    }
    const page = [...entries].slice(0, PAGE)
    const isCut = entries.size > PAGE
    return `<ListBucketResult><IsTruncated>${isCut}</IsTruncated>${isUrl ? '<EncodingType>url</EncodingType>' : ''}${
      isCut ? `<NextContinuationToken>${xml(page.at(-1)![0])}</NextContinuationToken>` : ''
    }${page.map(([, text]) => text).join('')}</ListBucketResult>`
  }

  function remove(request: S3Request): Answer {
    const text = request.body.toString()
    if (!Object.keys(request.headers).some((h) => h === 'content-md5' || h.startsWith('x-amz-checksum-')))
      throw new S3Fault(400, 'InvalidRequest')
    const asked = [...text.matchAll(/<Object>(.*?)<\/Object>/gs)].map(([, one = '']) => ({
      key: unxml(/<Key>(.*?)<\/Key>/s.exec(one)?.[1] ?? ''),
      etag: unxml(/<ETag>(.*?)<\/ETag>/.exec(one)?.[1] ?? ''),
    }))
    if (asked.length === 0 || asked.length > 1000) throw new S3Fault(400, 'MalformedXML')
    before?.(request)
    deletes.push({ at: performance.now(), keys: asked.map((one) => one.key) })
    if (slow.whole > 0) {
      slow.whole -= 1
      throw new S3Fault(503, 'SlowDown')
    }
    const errors = asked.flatMap(({ key, etag }) => {
      const found = objects.get(key)
      const code = slow.key(key) ? 'SlowDown' : etag && found?.etag !== etag ? 'PreconditionFailed' : null
      if (!code) objects.delete(key)
      return code ? [`<Error><Key>${xml(key)}</Key><Code>${code}</Code><Message>${code}</Message></Error>`] : []
    })
    if (lose > 0) {
      lose -= 1
      return null
    }
    return `<DeleteResult>${errors.join('')}</DeleteResult>`
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    uploads: store.uploads,
    /** Every signed request so far, in order. */
    requests,
    settings,
    /** Every DeleteObjects so far. */
    deletes,
    put: (key: string, body: string | Buffer = 'x', modified = '2026-03-13T22:00:00.000Z', headers = {}) =>
      void store.put(key, Buffer.from(body), headers, modified),
    /** Whoever reads the content of this key is refused; its HEAD is answered but for AccessDenied. */
    keepBack: (key: string, status: number, code: string) => void kept.set(key, { status, code }),
    /** The bucket keeps no versions. */
    withoutVersions() {
      isVersioned = false
    },
    /** The next `whole` requests are refused, and the keys for which `key` holds. */
    slowDown(whole: number, key: (key: string) => boolean = () => false) {
      slow = { whole, key }
    },
    /** Called before each write and delete: what others do at that moment. */
    on(what: typeof before) {
      before = what
    },
    /** The next deletes are done, and their replies never come. */
    loseReplies(count: number) {
      lose = count
    },
    reset() {
      objects.clear()
      store.uploads.clear()
      settings.clear()
      kept.clear()
      deletes.length = 0
      requests.length = 0
      slow = { whole: 0, key: () => false }
      before = undefined
      lose = 0
      isVersioned = true
    },
    async close() {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
      if (faults.size > 0) throw new Error(`not as the SDK of S3 has it:\n${[...faults].sort().join('\n')}`)
    },
  }
}
