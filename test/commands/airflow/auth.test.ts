import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { airflow } from '../../../commands/airflow/connection.ts'
import { failedTasks } from '../../../commands/airflow/failed-tasks.ts'
import { startService } from '../http/server.ts'
import { GOOD, KEY } from '../network/certificates.ts'
import { startJobs } from './world.ts'

const NONE = 'No failed task in all DAGs within 24 h.'
const read = async (
  world: Awaited<ReturnType<typeof startJobs>> extends { open(...more: never[]): infer W } ? W : never,
) => (await failedTasks.read(failedTasks.params.parse({ connection: 'jobs' }), world.read())).summary

describe.each([1, 2] as const)('the ways in, API v%i', (api) => {
  let jobs: Awaited<ReturnType<typeof startJobs>>
  beforeAll(async () => {
    jobs = await startJobs(api)
  })
  afterAll(() => jobs.server.stop())

  /** AWS with one environment, and in front of Airflow the login of MWAA. */
  async function startMwaa() {
    let logins = 0
    let good = 'none'
    const web = await startService(async (seen, _incoming, outgoing) => {
      const login = api === 1 ? '/aws_mwaa/login' : '/pluginsv2/aws_mwaa/login'
      if (seen.method === 'POST' && seen.url === login) {
        if (seen.body !== 'token=web%2Ftoken') return outgoing.writeHead(403).end()
        logins++
        good = `s${logins}`
        const cookie = api === 1 ? `session=${good}; Path=/; HttpOnly` : `_token=${good}; Path=/; Secure`
        return outgoing.writeHead(200, { 'set-cookie': ['other=1', cookie] }).end()
      }
      const shown =
        api === 1 ? seen.headers.cookie === `session=${good}` : seen.headers.authorization === `Bearer ${good}`
      // Whoever has no session is sent to the login page of AWS.
      if (!shown) return outgoing.writeHead(302, { location: 'https://console.aws.amazon.com/mwaa/' }).end()
      const { cookie: _, ...headers } = seen.headers as Record<string, string>
      const answer = await fetch(`${jobs.server.origin}${seen.url}`, {
        headers: { ...headers, authorization: 'Bearer canary-airflow-token' },
      })
      outgoing.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text())
    })
    const aws = await startService((seen, _incoming, outgoing) => {
      const signed =
        /^AWS4-HMAC-SHA256 Credential=AKIA\/\d{8}\/eu-west-1\/airflow\/aws4_request, SignedHeaders=[^,]*host[^,]*, Signature=[0-9a-f]{64}$/
      if (seen.method !== 'POST' || seen.url !== '/webtoken/data' || !signed.test(seen.headers.authorization ?? ''))
        return outgoing.writeHead(403).end('{"message":"no"}')
      outgoing
        .writeHead(200)
        .end(JSON.stringify({ WebToken: 'web/token', WebServerHostname: 'abc.c2.airflow.eu-west-1.on.aws' }))
    })
    return {
      settings: {
        baseUrl: web.origin,
        auth: {
          kind: 'mwaa',
          environment: 'data',
          region: 'eu-west-1',
          endpoint: aws.origin,
          accessKeyIdFrom: 'AWS_ID',
          secretAccessKeyFrom: 'AWS_SECRET',
        },
      },
      logins: () => logins,
      expire: () => {
        good = 'none'
      },
      stop: () => Promise.all([web.stop(), aws.stop()]),
    }
  }

  it('opens MWAA by a signed request, and takes a new session when the old one is over', async () => {
    const mwaa = await startMwaa()
    const world = jobs.open(mwaa.settings)
    try {
      expect([await read(world), await read(world), mwaa.logins()]).toEqual([NONE, NONE, 1])
      mwaa.expire()
      expect([await read(world), mwaa.logins()]).toEqual([NONE, 2])
      const strange = jobs.open({ ...mwaa.settings, auth: { ...mwaa.settings.auth, environment: 'other' } })
      await expect(read(strange)).rejects.toThrow(
        /webtoken\/other gave no token \(403\); the role needs airflow:CreateWebLoginToken on this environment$/,
      )
      await strange.close()
    } finally {
      await world.close()
      await mwaa.stop()
    }
  })

  it('opens Composer with an access token that Google gives for an identity', async () => {
    const tokens = await startService((seen, _incoming, outgoing) => {
      const asked = new URLSearchParams(seen.body)
      const isAsked =
        asked.get('scope') === 'https://www.googleapis.com/auth/cloud-platform' && asked.get('subject_token') === 'mine'
      outgoing.writeHead(isAsked ? 200 : 400, { 'content-type': 'application/json' }).end(
        JSON.stringify({
          ...{ access_token: 'canary-airflow-token', expires_in: 3600, token_type: 'Bearer' },
          issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        }),
      )
    })
    const folder = await mkdtemp(join(tmpdir(), 'keyturn-google-'))
    await writeFile(join(folder, 'subject'), 'mine')
    const key = JSON.stringify({
      type: 'external_account',
      audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      token_url: `${tokens.origin}/token`,
      credential_source: { file: join(folder, 'subject') },
    })
    const world = jobs.open({ auth: { kind: 'google', keyFrom: 'GOOGLE_KEY' } }, undefined, { GOOGLE_KEY: key })
    try {
      expect(await read(world)).toBe(NONE)
      const odd = jobs.open({ auth: { kind: 'google', keyFrom: 'GOOGLE_KEY' } }, undefined, { GOOGLE_KEY: '{' })
      await expect(read(odd)).rejects.toThrow(
        'airflow: the variable GOOGLE_KEY holds no JSON: put the whole key file in',
      )
      await odd.close()
    } finally {
      await world.close()
      await tokens.stop()
      await rm(folder, { recursive: true })
    }
  })

  it('trusts the authority that the connection names', async () => {
    const server = createServer({ key: KEY, cert: GOOD }, async (incoming, outgoing) => {
      const headers = { authorization: incoming.headers.authorization ?? '' }
      const answer = await fetch(`${jobs.server.origin}${incoming.url}`, { headers })
      outgoing.writeHead(answer.status).end(await answer.text())
    }).listen(0, '127.0.0.1')
    await new Promise((listening) => server.once('listening', listening))
    const baseUrl = `https://localhost:${(server.address() as AddressInfo).port}`
    const [trusting, strict] = [jobs.open({ baseUrl, ca: GOOD }), jobs.open({ baseUrl })]
    try {
      expect(await read(trusting)).toBe(NONE)
      await expect(read(strict)).rejects.toThrow(/got no complete answer \((DEPTH_ZERO_)?SELF_SIGNED_CERT/)
    } finally {
      await Promise.all([trusting.close(), strict.close()])
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    }
  })
})

it('wants an address of every Airflow but MWAA, which has it from AWS', () => {
  const base = { api: 2, dags: ['*'] }
  const faults = (settings: object) =>
    airflow.settings.safeParse({ ...base, ...settings }).error?.issues.map((i) => `${i.path.join('.')} ${i.message}`)
  expect(faults({ auth: { kind: 'mwaa', environment: 'data', region: 'eu-west-1' } })).toBeUndefined()
  expect(faults({ auth: { kind: 'bearer', tokenFrom: 'T' } })).toEqual([
    'baseUrl is missing; only MWAA names its web server itself',
  ])
})
