import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { saslOf } from '../../../commands/kafka/auth.ts'
import { KafkaSettings } from '../../../commands/kafka/connection.ts'
import { lag } from '../../../commands/kafka/lag.ts'
import type { ReadCommand } from '../../../src/domain/command.ts'
import { createWorld, type World } from '../context.ts'
import { GOOD, KEY } from '../network/certificates.ts'
import { API, authenticated, type Broker, handshake, startBroker } from './broker.ts'
import { type Cluster, startCluster } from './cluster.ts'

let cluster: Cluster
let broker: Broker | null = null
let world: World | null = null
beforeAll(async () => {
  cluster = await startCluster()
  await cluster.admin.fetchTopicMetadata({ topics: ['orders'] })
})
afterAll(() => cluster.stop())
afterEach(async () => {
  await world?.close()
  await broker?.stop()
  world = broker = null
})

const OFFERS = { [API.saslHandshake]: [0, 1], [API.saslAuthenticate]: [0, 1] } as const
const SECRETS = {
  SECRET: 's3cret',
  TOKEN: 'a.b.c',
  CERT: GOOD,
  KEY,
  AWS_ID: 'AKIDEXAMPLE',
  AWS_SECRET: 'wJalrXUtnFEMI',
}

/** A broker that takes this mechanism; what was sent to log in, in turn. */
async function locked(mechanism: string, code = 0) {
  const sent: string[] = []
  broker = await startBroker(cluster.broker, {
    offers: OFFERS,
    answer({ api, body }) {
      if (api === API.saslHandshake) return handshake([mechanism])
      if (api !== API.saslAuthenticate) return null
      sent.push(body.subarray(4).toString())
      return authenticated(code)
    },
  })
  return sent
}
async function look(settings: Record<string, unknown>) {
  world = createWorld({
    secrets: SECRETS,
    connections: {
      events: { kind: 'kafka', settings: { brokers: [broker!.broker], topics: { orders: {} }, ...settings } },
    },
  })
  const { params, read } = lag as ReadCommand
  return read(params.parse({ connection: 'events', topic: 'orders', group: 'g' }), world.read())
}

describe('logging in', () => {
  it('by PLAIN sends the password where it is meant, and says so when it is refused', async () => {
    const sent = await locked('PLAIN')
    const sasl = { mechanism: 'plain', username: 'keyturn', passwordFrom: 'SECRET' }
    expect((await look({ sasl, plaintext: true })).summary).toContain('0 records of orders wait')
    expect(sent[0]).toBe('\0keyturn\0s3cret')
    await world?.close()
    await broker!.stop()
    await locked('PLAIN', 58)
    await expect(look({ sasl, plaintext: true })).rejects.toThrow(
      'Kafka refuses the login: look at sasl of the connection, and at the secret that it names.',
    )
  })

  it('by a token that something else keeps', async () => {
    const sent = await locked('OAUTHBEARER')
    const extensions = { logicalCluster: 'lkc-1' }
    await look({ sasl: { mechanism: 'oauthbearer', tokenFrom: 'TOKEN', extensions }, plaintext: true })
    expect(sent[0]).toBe('n,,\x01auth=Bearer a.b.c\x01logicalCluster=lkc-1\x01\x01')
  })

  it('by the token of an identity provider, which is asked once while the token lives', async () => {
    const sent = await locked('OAUTHBEARER')
    const asked: string[] = []
    const provider = createServer((request, response) => {
      let body = ''
      request.on('data', (part: Buffer) => (body += part))
      request.on('end', () => {
        asked.push(`${request.method} ${request.headers.authorization} ${body}`)
        response.end(JSON.stringify({ access_token: 't1', token_type: 'Bearer', expires_in: 3600, extra: null }))
      })
    }).listen(0, '127.0.0.1')
    await once(provider, 'listening')
    const sasl = {
      mechanism: 'oauthbearer',
      tokenUrl: `http://127.0.0.1:${(provider.address() as AddressInfo).port}/token`,
      clientId: 'key turn',
      clientSecretFrom: 'SECRET',
      scope: 'kafka',
    }
    await look({ sasl, plaintext: true })
    expect(new Set(sent)).toEqual(new Set(['n,,\x01auth=Bearer t1\x01\x01']))
    const basic = Buffer.from('key+turn:s3cret').toString('base64')
    expect(asked).toEqual([`POST Basic ${basic} grant_type=client_credentials&scope=kafka`])
    provider.close()
    await once(provider, 'close')
    await world?.close()
    await expect(look({ sasl, plaintext: true, patienceSeconds: 0 })).rejects.toThrow(
      /^Kafka was not asked to log in: 127\.0\.0\.1:\d+ gives no token: it was not reached\.$/,
    )
  })

  it('buys a token anew before it ends, and says what the provider answers instead of one', async () => {
    let now = 1_000_000
    const answers = [
      [200, { access_token: 't1', expires_in: 300 }],
      [200, { access_token: 't2', expires_in: '300' }],
      [401, { error: 'invalid_client' }],
      [200, { token: null }],
    ] as const
    let asked = 0
    const provider = createServer((_, response) => {
      const [status, body] = answers[asked++]!
      response.writeHead(status).end(JSON.stringify(body))
    }).listen(0, '127.0.0.1')
    await once(provider, 'listening')
    const tokenUrl = `http://127.0.0.1:${(provider.address() as AddressInfo).port}/token`
    const sasl = { mechanism: 'oauthbearer', tokenUrl, clientId: 'c', clientSecretFrom: 'S' } as const
    const { oauthBearerProvider: ask } = saslOf(
      sasl,
      () => 's',
      () => now,
    ) as unknown as {
      oauthBearerProvider(): Promise<{ value: string }>
    }
    expect([(await ask()).value, (await ask()).value]).toEqual(['t1', 't1'])
    now += 241_000
    expect((await ask()).value).toBe('t2')
    now += 300_000
    await expect(ask()).rejects.toThrow(/gives no token \(HTTP 401\): look at clientId/)
    await expect(ask()).rejects.toThrow(/holds no access_token/)
    provider.close()
    await once(provider, 'close')
  })

  it('to Amazon MSK by a token that is signed with AWS credentials', async () => {
    const sent = await locked('OAUTHBEARER')
    const sasl = {
      mechanism: 'aws-msk-iam',
      region: 'eu-west-1',
      accessKeyIdFrom: 'AWS_ID',
      secretAccessKeyFrom: 'AWS_SECRET',
    }
    await look({ sasl, plaintext: true })
    const token = /Bearer ([\w-]+)/.exec(sent[0]!)![1]!
    const url = new URL(Buffer.from(token, 'base64url').toString())
    expect(url.host).toBe('kafka.eu-west-1.amazonaws.com')
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      Action: 'kafka-cluster:Connect',
      'X-Amz-Expires': '900',
      'X-Amz-Credential': expect.stringMatching(/^AKIDEXAMPLE\/\d{8}\/eu-west-1\/kafka-cluster\/aws4_request$/),
      'X-Amz-Signature': expect.stringMatching(/^[0-9a-f]{64}$/),
    })
    expect(JSON.stringify(sent)).not.toContain('wJalrXUtnFEMI')
  })
})

describe('TLS', () => {
  const server = { key: KEY, cert: GOOD }
  it('takes a private authority, and refuses brokers of any other', async () => {
    broker = await startBroker(cluster.broker, { tls: server })
    expect((await look({ tls: { ca: GOOD, serverName: 'localhost' } })).summary).toContain('0 records')
    await world?.close()
    await expect(look({ tls: { serverName: 'localhost' } })).rejects.toThrow(
      /^The brokers' certificate is not accepted \(.*\): look at ca, certFrom and serverName under tls\.$/,
    )
  })

  it('shows a certificate of its own where brokers want one', async () => {
    broker = await startBroker(cluster.broker, {
      tls: { ...server, ca: GOOD, requestCert: true, rejectUnauthorized: true },
    })
    const own = { certFrom: 'CERT', keyFrom: 'KEY' }
    expect((await look({ tls: { ca: GOOD, serverName: 'localhost', ...own } })).summary).toContain('0 records')
  })

  it('says that a port speaks none', async () => {
    broker = await startBroker(cluster.broker)
    await expect(look({ tls: true, patienceSeconds: 0 })).rejects.toThrow(/tls/)
  })
})

describe('the settings', () => {
  const settings = (more: Record<string, unknown>) =>
    KafkaSettings.safeParse({ brokers: ['b:9092'], topics: {}, ...more }).error?.issues.map((issue) => issue.message) ??
    []
  const plain = { mechanism: 'plain', username: 'u', passwordFrom: 'P' }
  it.each([
    [
      'a password in clear',
      { sasl: plain },
      'the password or token would cross the network in clear: set tls, or plaintext: true if that is meant',
    ],
    ['a token in clear', { sasl: { mechanism: 'oauthbearer', tokenFrom: 'T' } }, /in clear/],
    [
      'two sources of a token',
      {
        tls: true,
        sasl: {
          mechanism: 'oauthbearer',
          tokenFrom: 'T',
          tokenUrl: 'https://x/t',
          clientId: 'c',
          clientSecretFrom: 'S',
        },
      },
      'write tokenUrl, or tokenFrom',
    ],
    [
      'a secret over http',
      {
        tls: true,
        sasl: { mechanism: 'oauthbearer', tokenUrl: 'http://idp.example.com/t', clientId: 'c', clientSecretFrom: 'S' },
      },
      'the secret is sent over https only',
    ],
    ['Kerberos', { sasl: { mechanism: 'gssapi' } }, /Kerberos \(gssapi\) is not supported$/],
    ['a certificate without its key', { tls: { certFrom: 'C' } }, /belong together/],
    ['two authorities', { tls: { ca: GOOD, caFile: '/ca.pem' } }, 'write ca or caFile, not both'],
  ])('refuse %s', (_, more, message) => {
    expect(settings(more)).toEqual([typeof message === 'string' ? message : expect.stringMatching(message)])
  })
  it.each([
    ['a password in clear that is meant', { sasl: plain, plaintext: true }],
    ['a password over TLS', { sasl: plain, tls: true }],
    ['SCRAM, which hands over no password', { sasl: { ...plain, mechanism: 'scram-sha-512' } }],
    ['MSK over TLS', { sasl: { mechanism: 'aws-msk-iam', region: 'eu-west-1' }, tls: true }],
    ['mTLS from files', { tls: { caFile: '/ca.pem', certFile: '/c.pem', keyFile: '/k.pem' } }],
  ])('take %s', (_, more) => {
    expect(settings(more)).toEqual([])
  })
})
