import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { EMRClient, ListStepsCommand, ModifyInstanceGroupsCommand } from '@aws-sdk/client-emr'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { answered } from '../../../commands/aws/answered.ts'
import { awsClient, awsSettings } from '../../../commands/aws/client.ts'
import { literal, policyOf } from '../../../commands/aws/credentials.ts'
import { outlive } from '../../../commands/aws/outlive.ts'
import { Unanswered } from '../../../src/domain/command.ts'
import { startSts } from './sts-server.ts'

const ROLE = 'arn:aws:iam::444455556666:role/keyturn'
const Settings = z.strictObject(awsSettings)
const json = { 'content-type': 'application/x-amz-json-1.1' }
type Handle = (reply: ServerResponse, request: IncomingMessage) => unknown

const refuse =
  (status: number, code: string, message = ''): Handle =>
  (reply) =>
    reply.writeHead(status, json).end(JSON.stringify({ __type: code, message }))
const good: Handle = (reply) => reply.writeHead(200, json).end('{}')

describe('a client of AWS', () => {
  let sts: Awaited<ReturnType<typeof startSts>>
  /** Answers in turn; the last one for all that follow. */
  let answers: Handle[]
  let asked: IncomingMessage[]
  const server = createServer((request, reply) => {
    asked.push(request)
    request.resume()
    const next = answers.length > 1 ? answers.shift() : answers[0]
    next?.(reply, request)
  })
  const open: EMRClient[] = []

  beforeAll(async () => {
    sts = await startSts({ [ROLE]: 'acme-7' })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  beforeEach(() => {
    answers = [good]
    asked = []
  })
  afterAll(async () => {
    for (const one of open) one.destroy()
    server.closeAllConnections()
    await new Promise((done) => server.close(done))
    await sts.close()
  })

  const clientOf = (more: object = {}, sends = 1, rights?: Parameters<typeof awsClient>[4]) => {
    const settings = Settings.parse({
      region: 'us-east-1',
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      ...{ accessKeyIdFrom: 'K', secretAccessKeyFrom: 'K', backoffMs: 1 },
      ...more,
    })
    const client = awsClient(EMRClient, settings, () => 'local', sends, rights)
    open.push(client)
    return client
  }
  const roled = { roleArn: ROLE, externalId: 'acme-7', roleSessionName: 'keyturn-prod' }
  const change = (client: EMRClient, signal = new AbortController().signal) =>
    answered('ModifyInstanceGroups', signal, () =>
      client.send(new ModifyInstanceGroupsCommand({ ClusterId: 'j-1' }), { abortSignal: signal }),
    ).then(
      () => 'done',
      (error: Error) => error,
    )
  const look = (client: EMRClient) => client.send(new ListStepsCommand({ ClusterId: 'j-1' }))
  const said = (client: EMRClient) => look(client).then(String, (error: Error) => error.message)

  it('takes on the role with its external id, and signs with what it got', async () => {
    await look(clientOf({ ...roled, stsEndpoint: sts.endpoint }))
    const [form] = sts.sent('AssumeRole')
    expect(Object.fromEntries(form!)).toMatchObject({
      RoleArn: ROLE,
      ExternalId: 'acme-7',
      RoleSessionName: 'keyturn-prod',
    })
    expect(asked[0]?.headers['x-amz-security-token']).toBe([...sts.sessions.keys()].at(-1))
  })

  it('cuts the session to the rights that are named', async () => {
    const rights = [{ actions: ['s3:PutObject'], resources: ['arn:aws:s3:::lake/raw/1.json.gz'] }]
    await look(clientOf({ ...roled, stsEndpoint: sts.endpoint }, 1, { rights }))
    expect(JSON.parse(sts.sent('AssumeRole').at(-1)?.get('Policy') ?? '')).toEqual({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: ['s3:PutObject'], Resource: ['arn:aws:s3:::lake/raw/1.json.gz'] }],
    })
  })

  it('writes names into a policy as they are, in the characters that one may have', () => {
    const resource = `arn:aws:s3:::lake/${literal('raw/日*$1?.gz')}`
    const text = policyOf([{ actions: ['s3:GetObject'], resources: [resource] }])
    // biome-ignore lint/suspicious/noTemplateCurlyInString: that is how IAM writes them.
    expect(JSON.parse(text).Statement[0].Resource).toEqual(['arn:aws:s3:::lake/raw/日${*}${$}1${?}.gz'])
    expect(text).toMatch(/^[\x20-\x7e]+$/)
    expect(() => policyOf([{ actions: ['s3:GetObject'], resources: [resource.padEnd(2_100, 'x')] }])).toThrow('2048')
  })

  it('says in a sentence that the role is refused, and sends nothing', async () => {
    const message = await said(clientOf({ ...roled, externalId: 'wrong', stsEndpoint: sts.endpoint }))
    expect(message).toMatch(
      /^The role arn:aws:iam::444455556666:role\/keyturn cannot be taken on\. AWS does not let .* do sts:AssumeRole.*trust policy/,
    )
    expect(asked).toHaveLength(0)
    expect(await change(clientOf({ ...roled, externalId: 'wrong', stsEndpoint: sts.endpoint }))).not.toBeInstanceOf(
      Unanswered,
    )
  })

  it('waits for STS when that has too many requests', async () => {
    sts.throttle(4)
    expect(await change(clientOf({ ...roled, stsEndpoint: sts.endpoint }))).toBe('done')
    expect(asked).toHaveLength(1)
  })

  it('buys a token anew that is over before its time, and sends the change then', async () => {
    const client = clientOf({ ...roled, stsEndpoint: sts.endpoint })
    const guarded: Handle = (reply, request) => {
      const session = sts.sessions.get(String(request.headers['x-amz-security-token']))
      ;(session?.over === false ? good : refuse(400, 'ExpiredTokenException', 'expired'))(reply, request)
    }
    answers = [guarded]
    expect(await change(client)).toBe('done')
    sts.end()
    expect(await change(client)).toBe('done')
    expect(asked).toHaveLength(3)
  })

  it.each(['ThrottlingException', 'RequestLimitExceeded', 'TooManyRequestsException', 'SlowDown'])(
    'sends a change again that %s kept from taking effect',
    async (code) => {
      answers = [...Array(5).fill(refuse(400, code, 'Rate exceeded')), good]
      expect(await change(clientOf())).toBe('done')
      expect(asked).toHaveLength(6)
    },
  )

  it('gives up on an account that stays throttled, with a sentence and nothing done', async () => {
    answers = [refuse(400, 'ThrottlingException', 'Rate exceeded')]
    const error = await change(clientOf())
    expect(error).toMatchObject({ name: 'ThrottlingException', message: expect.stringContaining('Nothing was done') })
    expect(error).not.toBeInstanceOf(Unanswered)
  })

  it('sends a change once that may have landed', async () => {
    for (const lost of [(reply) => reply.destroy(), refuse(500, 'InternalServerException')] as Handle[]) {
      asked = []
      answers = [lost, good]
      expect(await change(clientOf())).toBeInstanceOf(Unanswered)
      expect(asked).toHaveLength(1)
    }
  })

  it('does not take a refusal for proof when an earlier try of the same change got no answer', async () => {
    answers = [(reply) => reply.destroy(), refuse(400, 'InvalidRequestException', 'is resizing')]
    expect(await change(clientOf({}, 3))).toBeInstanceOf(Unanswered)
    expect(asked).toHaveLength(2)
  })

  it('sets its clock by the time of a refusal, and asks again', async () => {
    const early: Handle = (reply) =>
      reply
        .writeHead(403, { ...json, date: new Date(Date.now() + 3_600_000).toUTCString() })
        .end(JSON.stringify({ __type: 'RequestTimeTooSkewed' }))
    answers = [early, good]
    expect(await change(clientOf())).toBe('done')
    expect(asked).toHaveLength(2)
  })

  it('looks again after a breakdown or a broken connection', async () => {
    answers = [(reply) => reply.destroy(), refuse(503, 'ServiceUnavailable'), good]
    await look(clientOf({}, 3))
    expect(asked).toHaveLength(3)
  })

  it.each<[string, Handle, RegExp]>([
    [
      'a missing right',
      refuse(
        400,
        'AccessDeniedException',
        'User: arn:aws:sts::1:assumed-role/x is not authorized to perform: elasticmapreduce:ListSteps on resource: arn:aws:emr:1 because no identity-based policy allows it',
      ),
      /^AWS does not let .* do elasticmapreduce:ListSteps on arn:aws:emr:1 /,
    ],
    [
      'a missing right without a word',
      refuse(403, 'AccessDenied', ''),
      /do elasticmapreduce:ListSteps \(AccessDenied\)\. Allow it/,
    ],
    ['an unknown key', refuse(400, 'UnrecognizedClientException', 'invalid'), /^AWS does not know .*access key\.$/],
    ['a token that is over for good', refuse(400, 'ExpiredTokenException', 'expired'), /^AWS says that the token/],
    ['a wrong clock', refuse(403, 'RequestTimeTooSkewed', 'skewed'), /The clock of the worker is wrong/],
    ['another region', refuse(400, 'AuthorizationHeaderMalformed', "expecting 'eu-west-1'"), /it is eu-west-1/],
    [
      'a page of a proxy',
      (reply) => reply.writeHead(200, json).end('<html>'),
      /^What came for EMR ListSteps is no answer/,
    ],
    ['a broken connection', (reply) => reply.destroy(), /^The connection broke before EMR ListSteps was answered/],
    ['a breakdown', refuse(500, 'InternalServerException'), /^EMR ListSteps broke down at AWS \(HTTP 500/],
  ])('says %s in a sentence', async (_, answer, sentence) => {
    answers = [answer]
    expect(await said(clientOf())).toMatch(sentence)
  })

  it('leaves what the service says about the request itself as it is', async () => {
    answers = [refuse(400, 'InvalidRequestException', 'Cluster id j-1 is not valid.')]
    expect(await said(clientOf())).toBe('Cluster id j-1 is not valid.')
  })

  it('says that nothing listens, and that a name has no address', async () => {
    expect(await said(clientOf({ endpoint: 'http://127.0.0.1:1' }))).toMatch(/cannot be reached .*ECONNREFUSED/)
    expect(await said(clientOf({ endpoint: 'http://no-such-host.invalid' }))).toMatch(/^There is no address for/)
  })

  it('outlives what passes while it waits, says so, and ends for what does not pass', async () => {
    const client = clientOf()
    const notes: string[] = []
    const wait = { signal: new AbortController().signal, pauseMs: 1, onPause: (note: string) => notes.push(note) }
    answers = [refuse(503, 'ServiceUnavailable'), (reply) => reply.destroy(), refuse(502, 'BadGateway'), good]
    await outlive(() => look(client), wait)
    expect(notes).toHaveLength(3)
    expect(notes[0]).toContain('looking again')
    answers = [refuse(400, 'InvalidRequestException', 'no such cluster')]
    await expect(outlive(() => look(client), wait)).rejects.toThrow('no such cluster')
    answers = [refuse(503, 'ServiceUnavailable')]
    await expect(outlive(() => look(client), { ...wait, minutes: 0 })).rejects.toThrow('broke down at AWS')
  })
})
