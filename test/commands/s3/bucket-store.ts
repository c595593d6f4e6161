import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** What the server throws: S3's error code. `elsewhere` goes into headers. */
export class S3Fault extends Error {
  readonly status: number
  readonly code: string
  constructor(status: number, code: string, message = code) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** `kept` are the headers that belong to an object, its metadata included, by their names in small letters. */
export type Stored = {
  body: Buffer
  modified: string
  etag: string
  kept: Record<string, string>
  tags: Record<string, string>
  version: string
}
type Part = { body: Buffer; etag: string; crc: string | null }
type Upload = {
  key: string
  checksum: string | null
  kept: Stored['kept']
  tags: Stored['tags']
  parts: Map<number, Part>
}

const md5 = (bytes: Buffer | string) => createHash('md5').update(bytes)
export const etagOf = (body: Buffer | string) => `"${md5(body).digest('hex')}"`

/** Base64 of the big-endian CRC-32, as in `x-amz-checksum-crc32`. */
export function crcOf(body: Buffer): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(crc32(body))
  return bytes.toString('base64')
}

const KEPT =
  /^(content-type|content-encoding|content-language|content-disposition|cache-control|expires|x-amz-meta-.*|x-amz-storage-class|x-amz-server-side-encryption.*|x-amz-website-redirect-location)$/
const MIB = 1024 * 1024

export type Headers = Readonly<Record<string, string | string[] | undefined>>
export const keptOf = (headers: Headers): Stored['kept'] =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (KEPT.test(name) ? [[name, String(value)]] : [])),
  )
const tagsOf = (headers: Headers) => Object.fromEntries(new URLSearchParams(String(headers['x-amz-tagging'] ?? '')))

/** The objects of one bucket and the uploads that are not complete yet. Facts: facts.ts beside it. */
export function createStore() {
  const objects = new Map<string, Stored>()
  const uploads = new Map<string, Upload>()
  let writes = 0

  const need = (id: string): Upload => {
    const found = uploads.get(id)
    if (!found) throw new S3Fault(404, 'NoSuchUpload')
    return found
  }
  const checkBody = (headers: Headers, body: Buffer) => {
    const said = headers['x-amz-checksum-crc32']
    if (said !== undefined && said !== crcOf(body)) throw new S3Fault(400, 'BadDigest')
  }
  const store = (key: string, one: Omit<Stored, 'version' | 'modified'>, modified = new Date().toISOString()) => {
    writes += 1
    const stored = { ...one, modified, version: `v${writes}` }
    objects.set(key, stored)
    return stored
  }

  return {
    objects,
    uploads,
    put(key: string, body: Buffer, headers: Headers = {}, modified?: string): Stored {
      checkBody(headers, body)
      return store(key, { body, etag: etagOf(body), kept: keptOf(headers), tags: tagsOf(headers) }, modified)
    },
    /** Keeps what belongs to the object, but for its encryption: that is the request's, or the bucket's. */
    copy(from: Stored, key: string, headers: Headers): Stored {
      const kept = Object.fromEntries(
        Object.entries(from.kept).filter(([name]) => !name.includes('server-side-encryption')),
      )
      return store(key, {
        body: from.body,
        etag: etagOf(from.body),
        kept: { ...kept, ...keptOf(headers) },
        tags: from.tags,
      })
    },
    begin(key: string, headers: Headers): string {
      const id = `upload-${uploads.size + 1}`
      const checksum = headers['x-amz-checksum-algorithm']
      uploads.set(id, {
        key,
        checksum: checksum === undefined ? null : String(checksum).toLowerCase(),
        kept: keptOf(headers),
        tags: tagsOf(headers),
        parts: new Map(),
      })
      return id
    },
    part(id: string, number: number, body: Buffer, headers: Headers): Part {
      const upload = need(id)
      if (!(number >= 1 && number <= 10_000))
        throw new S3Fault(400, 'InvalidArgument', 'Part number must be 1 to 10000')
      const said =
        ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'].find((one) => headers[`x-amz-checksum-${one}`]) ?? null
      if (said !== upload.checksum)
        throw new S3Fault(
          400,
          'InvalidRequest',
          `Checksum Type mismatch occurred, expected checksum Type: ${upload.checksum}, actual checksum Type: ${said}`,
        )
      checkBody(headers, body)
      const crc = headers['x-amz-checksum-crc32']
      const part = { body, etag: etagOf(body), crc: crc === undefined ? null : String(crc) }
      upload.parts.set(number, part)
      return part
    },
    complete(
      id: string,
      key: string,
      parts: readonly { number: number; etag: string; crc: string | null }[],
      ifMatch: string | undefined,
    ): Stored {
      const upload = need(id)
      if (parts.length === 0) throw new S3Fault(400, 'MalformedXML')
      const found = parts.map(({ number, etag, crc }, i) => {
        if (i > 0 && number <= parts[i - 1]!.number) throw new S3Fault(400, 'InvalidPartOrder')
        const part = upload.parts.get(number)
        if (!part || part.etag !== etag) throw new S3Fault(400, 'InvalidPart')
        if (upload.checksum !== null && crc === null)
          throw new S3Fault(
            400,
            'InvalidRequest',
            `The upload was created using a ${upload.checksum} checksum. The complete request must include the checksum for each part. It was missing for part ${number} in the request.`,
          )
        if (crc !== part.crc) throw new S3Fault(400, 'InvalidPart')
        if (i < parts.length - 1 && part.body.length < 5 * MIB) throw new S3Fault(400, 'EntityTooSmall')
        return part
      })
      if (ifMatch !== undefined) {
        const now = objects.get(key)
        if (!now) throw new S3Fault(404, 'NoSuchKey')
        if (now.etag !== ifMatch) throw new S3Fault(412, 'PreconditionFailed')
      }
      uploads.delete(id)
      const sums = Buffer.concat(found.map((part) => md5(part.body).digest()))
      const etag = `"${md5(sums).digest('hex')}-${found.length}"`
      return store(key, {
        body: Buffer.concat(found.map((one) => one.body)),
        etag,
        kept: upload.kept,
        tags: upload.tags,
      })
    },
  }
}
