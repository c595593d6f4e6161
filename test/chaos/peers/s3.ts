import { gzipSync } from 'node:zlib'
import { END, headerOf, paddingOf } from '../../../commands/s3/tar-header.ts'
import { xml } from '../../commands/aws/query-server.ts'
import { awsAt, type Peer, type Question, type Reply } from './peer.ts'
import { BAD_LINE } from './sql.ts'

const ETAG = '"e1"'

/** Lines of JSON, of which one is none. */
const LINES = Buffer.from(
  Array.from({ length: 40 }, (_, i) => (i + 1 === BAD_LINE.number ? BAD_LINE.text : `{"id":${i}}`)).join('\n'),
)

/** A tar that is packed twice, which is odd. */
const ARCHIVE = (() => {
  const body = Buffer.from('{}')
  const meta = { mode: 0o644, uid: 0, gid: 0, modified: 0, link: '' }
  const header = headerOf({ name: 'a.json', type: 'file', size: body.length, ...meta })
  return gzipSync(gzipSync(Buffer.concat([header, body, paddingOf(body.length), END])))
})()

const said = (name: string, content: Parameters<typeof xml>[0]): Reply => ({
  headers: { 'content-type': 'application/xml' },
  body: `<${name}>${xml(content)}</${name}>`,
})

/** A bucket that has an object under every key, and two in every folder. */
export function replyOfS3({ method, path, query }: Question, isCopy: boolean): Reply {
  const object = path.endsWith('.gz') ? ARCHIVE : LINES
  if (method === 'HEAD') return { headers: { etag: ETAG, 'content-length': String(object.length) } }
  if (method === 'GET' && query.get('list-type')) {
    const listed = ['a', 'b'].map((name) => {
      const one = { Key: `${query.get('prefix')}${name}`, LastModified: '2026-01-01T00:00:00Z', ETag: ETAG, Size: 1 }
      return `<Contents>${xml(one)}</Contents>`
    })
    const body = `<ListBucketResult><IsTruncated>false</IsTruncated>${listed.join('')}</ListBucketResult>`
    return { headers: { 'content-type': 'application/xml' }, body }
  }
  if (method === 'GET') return { headers: { etag: ETAG }, body: object }
  if (query.has('uploads')) return said('InitiateMultipartUploadResult', { UploadId: 'u1' })
  if (method === 'POST' && query.has('uploadId')) return said('CompleteMultipartUploadResult', { ETag: ETAG })
  if (query.has('delete')) return said('DeleteResult', '')
  return isCopy ? said('CopyObjectResult', { ETag: ETAG }) : { headers: { etag: ETAG } }
}

export const s3: Peer = {
  settings: ({ origin }) => ({
    ...awsAt(origin),
    forcePathStyle: true,
    buckets: ['lake'],
    events: 'lake/in/{event}/{yyyy}/{mm}/{dd}/',
    deletable: [{ under: 'lake/tmp', perSecond: 3000 }],
  }),
}
