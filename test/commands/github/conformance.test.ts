import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { createEmulator, type Emulator } from 'emulate'
import { githubChecks } from '../../../commands/github/checks.ts'
import { githubCommits } from '../../../commands/github/commits.ts'
import type { Command } from '../../../src/domain/command.ts'
import { createWorld, type World } from '../context.ts'
import { startService } from '../http/server.ts'
import { type GitHub, startGitHub, TOKEN } from './server.ts'

const REPOSITORY = 'ona/checkout'
let ours: GitHub
let theirs: Emulator
let front: Awaited<ReturnType<typeof startService>>
let world: World

/** In front of the emulator, which has no combined status of a commit. */
const startFront = () =>
  startService(async (seen, _incoming, outgoing) => {
    outgoing.setHeader('content-type', 'application/json')
    if (seen.url.includes('/status?')) return void outgoing.end('{"total_count":0,"statuses":[]}')
    const answer = await fetch(theirs.url + seen.url, { headers: { authorization: `Bearer ${TOKEN}` } })
    outgoing.writeHead(answer.status).end(await answer.text())
  })

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

beforeAll(async () => {
  ours = await startGitHub(REPOSITORY)
  theirs = await createEmulator({
    service: 'github',
    port: await freePort(),
    seed: {
      tokens: { [TOKEN]: { login: 'ona', scopes: ['repo'] } },
      github: {
        users: [{ login: 'ona', name: 'Ona', email: 'ona@example.com' }],
        repos: [{ owner: 'ona', name: 'checkout', auto_init: true }],
      },
    },
  })
  front = await startFront()
  const of = (baseUrl: string) => ({
    kind: 'github',
    settings: { baseUrl, tokenFrom: 'T', repositories: { [REPOSITORY]: { required: ['tests'] } } },
  })
  world = createWorld({ secrets: { T: TOKEN }, connections: { ours: of(ours.baseUrl), theirs: of(front.origin) } })
})
afterAll(async () => {
  await world.close()
  await Promise.all([ours.close(), front.stop(), theirs.close()])
})

const read = async (connection: string, command: Command, params: object) => {
  if (command.effect !== 'read') throw new Error('no read')
  return command.read(command.params.parse({ connection, repository: REPOSITORY, ...params }), world.read())
}

it('our server and an emulator that others wrote are told the same of', async () => {
  const request = { headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' } }
  const listed = await fetch(`${theirs.url}/repos/${REPOSITORY}/commits?sha=main`, request)
  const [{ sha }] = (await listed.json()) as [{ sha: string }]
  const runs = [
    { name: 'tests', status: 'completed', conclusion: 'success' },
    { name: 'lint', status: 'completed', conclusion: 'failure' },
    { name: 'browser', status: 'in_progress', conclusion: null },
  ]
  ours.push(sha, 'Initial commit', runs)
  for (const run of runs) {
    const body = JSON.stringify({ ...run, head_sha: sha, ...(run.conclusion === null && { conclusion: undefined }) })
    await fetch(`${theirs.url}/repos/${REPOSITORY}/check-runs`, { method: 'POST', ...request, body })
  }
  const told = await Promise.all(
    ['ours', 'theirs'].map(async (name) => {
      const [checks, commits] = [await read(name, githubChecks, { commit: sha }), await read(name, githubCommits, {})]
      const missing = await read(name, githubChecks, { commit: 'b'.repeat(40) }).catch((e: Error) => e.message)
      const rows =
        checks.blocks[0]?.type === 'table' ? checks.blocks[0].rows.map(([check, result]) => [check, result]) : []
      return { checks: checks.summary, rows, commits: commits.summary, missing }
    }),
  )
  expect(told[1]).toEqual(told[0])
  expect(told[0]!.checks).toContain('are not green: browser has not ended, lint ended with failure')
})
