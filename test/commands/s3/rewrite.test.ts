import { randomBytes } from 'node:crypto'
import { gunzipSync, gzipSync } from 'node:zlib'
import { CreateMultipartUploadCommand, UploadPartCommand } from '@aws-sdk/client-s3'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { policyOf } from '../../../commands/aws/credentials.ts'
import { s3 } from '../../../commands/s3/connection.ts'
import { quarantineRecords } from '../../../commands/s3/quarantine-records.ts'
import { rewriting } from '../../../commands/s3/rights.ts'
import { startSts } from '../aws/sts-server.ts'
import type { World } from '../context.ts'
import { propose } from '../context.ts'
import { startBucket } from './bucket-server.ts'
import { crcOf } from './bucket-store.ts'
import { lakeWorld } from './lake-world.ts'

const KEY = 'raw/orders/1.json.gz'
const LINES = Array.from({ length: 40 }, (_, i) => (i === 7 ? '{"id": 7, "no' : `{"id":${i}}`))

describe('an object of S3 that is written again', () => {
  let bucket: Awaited<ReturnType<typeof startBucket>>
  let world: World
  beforeAll(async () => {
    bucket = await startBucket()
  })
  beforeEach(() => {
    bucket.reset()
    world = lakeWorld(bucket.endpoint)
  })
  afterEach(() => world.close())
  afterAll(() => bucket.close())

  const put = (headers: Record<string, string> = {}, lines = LINES) =>
    bucket.put(KEY, gzipSync(lines.join('\n')), undefined, headers)
  const plan = () => propose(quarantineRecords, { connection: 'lake', bucket: 'lake', key: KEY }, world.read())
  const run = async (proposed: Awaited<ReturnType<typeof plan>>) =>
    quarantineRecords.run(proposed, world.run(proposed).ctx)
  const refusal = () => plan().catch((e: Error) => `${e.name}: ${e.message}`)
  const now = () => bucket.objects.get(KEY)!

  it('names the checksum at the start, sends it with each part, and repeats each at the end', async () => {
    const blobs = Array.from({ length: 30 }, () => JSON.stringify({ blob: randomBytes(400_000).toString('base64') }))
    put({}, [...blobs, '{oops'])
    const proposed = await plan()
    bucket.requests.length = 0
    await run(proposed)
    const of = (test: (one: (typeof bucket.requests)[number]) => boolean) => bucket.requests.filter(test)
    const [create] = of((one) => one.query.has('uploads'))
    const parts = of((one) => one.method === 'PUT' && one.query.has('uploadId'))
    const [complete] = of((one) => one.method === 'POST' && one.query.has('uploadId'))
    expect(create?.headers['x-amz-checksum-algorithm']).toBe('CRC32')
    expect(parts).toHaveLength(2)
    for (const part of parts) expect(part.headers['x-amz-checksum-crc32']).toBe(crcOf(part.body))
    for (const part of parts)
      expect(complete?.body.toString()).toContain(`<ChecksumCRC32>${crcOf(part.body)}</ChecksumCRC32>`)
    expect(complete?.headers['if-match']).toBeDefined()
    expect(gunzipSync(now().body).toString()).toBe([...blobs, ''].join('\n'))
    expect((await quarantineRecords.verify(proposed, world.read())).every((check) => check.ok)).toBe(true)
  })

  it('would be refused without naming the checksum, as S3 refuses it', async () => {
    const { client } = await world.read().connect(s3, 'lake')
    const at = { Bucket: 'lake', Key: KEY }
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(at))
    await expect(
      client.send(new UploadPartCommand({ ...at, UploadId, PartNumber: 1, Body: Buffer.from('x') })),
    ).rejects.toThrow('expected checksum Type: null, actual checksum Type: crc32')
  })

  it('keeps what belongs to the object: type, cache, encoding, class, key, metadata and tags', async () => {
    const kept = {
      'content-type': 'application/x-ndjson',
      'cache-control': 'max-age=60',
      'content-disposition': 'attachment',
      'x-amz-storage-class': 'STANDARD_IA',
      'x-amz-server-side-encryption': 'aws:kms',
      'x-amz-server-side-encryption-aws-kms-key-id': 'arn:aws:kms:us-east-1:1:key/7',
      'x-amz-server-side-encryption-bucket-key-enabled': 'true',
      'x-amz-meta-producer': 'orders-7',
    }
    put({ ...kept, 'content-encoding': 'aws-chunked,gzip', 'x-amz-tagging': 'team=data&cost%20centre=7' })
    await run(await plan())
    expect(now().kept).toMatchObject({ ...kept, 'content-encoding': 'gzip' })
    expect(now().tags).toEqual({ team: 'data', 'cost centre': '7' })
    const beside = [...bucket.objects].filter(([key]) => key !== KEY)
    expect(beside).toHaveLength(2)
    for (const [, one] of beside)
      expect(one.kept['x-amz-server-side-encryption-aws-kms-key-id']).toBe('arn:aws:kms:us-east-1:1:key/7')
  })

  it('refuses one that is locked, archived, or has an ACL of its own', async () => {
    const answers = (headers: Record<string, string>) => {
      put()
      Object.assign(now().kept, headers)
    }
    answers({ 'x-amz-object-lock-mode': 'COMPLIANCE', 'x-amz-object-lock-retain-until-date': '2027-01-01T00:00:00Z' })
    expect(await refusal()).toMatch(/^Refused: .*locked \(COMPLIANCE until 2027/)
    answers({ 'x-amz-object-lock-legal-hold': 'ON' })
    expect(await refusal()).toMatch(/^Refused: .*legal hold/)
    answers({ 'x-amz-storage-class': 'GLACIER' })
    expect(await refusal()).toMatch(/^Refused: .*archived/)
    put()
    const own = 'a'.repeat(64)
    const grant = (grantee: string) =>
      `<AccessControlPolicy><Owner><ID>${own}</ID></Owner><AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">${grantee}</Grantee><Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>`
    bucket.settings.set('acl', grant(`<ID>${own}</ID>`))
    expect((await plan()).warnings).toEqual([])
    bucket.settings.set('acl', grant('<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>'))
    expect(await refusal()).toMatch(/^Refused: .*ACL that gives rights to others/)
  })

  it('warns of those who are told of new objects, and of what is set aside where they look', async () => {
    put()
    const queue = (prefix: string, event: string) =>
      `<QueueConfiguration><Queue>arn:aws:sqs:us-east-1:1:snowpipe</Queue><Event>${event}</Event><Filter><S3Key><FilterRule><Name>prefix</Name><Value>${prefix}</Value></FilterRule></S3Key></Filter></QueueConfiguration>`
    const say = (inside: string) =>
      bucket.settings.set('notification', `<NotificationConfiguration>${inside}</NotificationConfiguration>`)
    say(queue('raw/', 's3:ObjectCreated:*'))
    expect((await plan()).warnings).toEqual([
      'arn:aws:sqs:us-east-1:1:snowpipe is told of new objects, and takes this file a second time.',
    ])
    say(queue('', 's3:ObjectCreated:*'))
    expect((await plan()).warnings[0]).toMatch(/second time, and takes in what is set aside, too \(quarantine\/raw/)
    say(queue('', 's3:ObjectCreated:Post'))
    expect((await plan()).warnings).toEqual([])
    say('<EventBridgeConfiguration/>')
    expect((await plan()).warnings[0]).toContain('EventBridge')
  })

  it('says what it may not look up, instead of taking it for nothing', async () => {
    put({ 'x-amz-tagging': 'team=data' })
    for (const name of ['notification', 'acl', 'tagging']) bucket.settings.set(name, 403)
    expect((await plan()).warnings.map((one) => /\((s3:\w+) is missing\)/.exec(one)?.[1])).toEqual([
      's3:GetBucketNotification',
      's3:GetObjectAcl',
      's3:GetObjectTagging',
    ])
  })

  it('goes on with a warning when only that cannot be asked', async () => {
    put()
    bucket.settings.set('notification', 503)
    expect((await plan()).warnings).toEqual([
      expect.stringMatching(
        /^Who is told of new objects .* cannot be looked up \(S3 GetBucketNotification.*broke down/,
      ),
    ])
  })

  it('says of a replicated object what happens there', async () => {
    put()
    now().kept['x-amz-replication-status'] = 'REPLICA'
    expect((await plan()).warnings.join()).toContain('It is a replica')
    now().kept['x-amz-replication-status'] = 'COMPLETED'
    expect((await plan()).warnings.join()).toContain('written there as well')
  })

  it('lets the server decide at the last request whether the object is still the planned one', async () => {
    put()
    const proposed = await plan()
    bucket.on(({ method, query }) => {
      if (method === 'POST' && query.has('uploadId')) bucket.put(KEY, 'newer')
    })
    await expect(run(proposed)).rejects.toThrow('no longer the object')
    expect(String(now().body)).toBe('newer')
    expect(bucket.uploads.size).toBe(0)
  })

  it('fits the rights of long keys into a session policy', () => {
    const at = { bucket: 'lake', etag: '"x"' }
    for (const key of ['a'.repeat(1_000), '日'.repeat(341), '*'.repeat(900), '😀'.repeat(250)]) {
      const text = policyOf(rewriting({ ...at, key }, [`quarantine/${key}.a`, `quarantine/${key}.b`]))
      expect(JSON.parse(text).Statement[0].Resource[0]).toMatch(/^arn:aws:s3:::lake\/.+\*$/)
    }
  })

  it('asks for a session that may touch the three objects and nothing else', async () => {
    const role = 'arn:aws-us-gov:iam::444455556666:role/keyturn'
    const sts = await startSts({ [role]: null })
    const narrow = lakeWorld(bucket.endpoint, { roleArn: role, stsEndpoint: sts.endpoint })
    try {
      put()
      const proposed = await propose(quarantineRecords, { connection: 'lake', bucket: 'lake', key: KEY }, narrow.read())
      await quarantineRecords.run(proposed, narrow.run(proposed).ctx)
      const [looking, running] = sts.sent('AssumeRole')
      expect(looking?.get('Policy')).toBeNull()
      const { Statement } = JSON.parse(running?.get('Policy') ?? '') as { Statement: { Resource: string[] }[] }
      expect(Statement[0]?.Resource).toEqual(
        [...bucket.objects.keys()]
          .sort()
          .reverse()
          .map((key) => expect.stringContaining(key.split('.')[0]!)),
      )
      expect(Statement[0]?.Resource[0]).toBe(`arn:aws-us-gov:s3:::lake/${KEY}`)
      expect(Statement[1]?.Resource).toEqual(['arn:aws-us-gov:s3:::lake'])
    } finally {
      await narrow.close()
      await sts.close()
    }
  })
})
