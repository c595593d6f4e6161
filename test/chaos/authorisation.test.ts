import { readFile } from 'node:fs/promises'
import { expect, it } from '@jest/globals'
import fastify from 'fastify'
import { Job } from '../../src/domain/job.ts'
import { createLog } from '../../src/log.ts'
import { ACTIONS, CALLBACKS, readPress } from '../../src/slack/actions.ts'
import { createHttpReceiver } from '../../src/slack/receiver.ts'
import { createSources } from '../../src/sources/server.ts'
import { createHealth } from '../../src/web/health.ts'
import { ACTS } from './authorisation-scene.ts'
import { JOBS } from './forged-jobs.ts'

/** Every route of the bot, and who gets in without any proof of who they are: nobody, but to ask whether it is up. */
const ROUTES: Readonly<Record<string, number>> = {
  'POST /webhooks/:source': 404,
  'GET /webhooks/:source': 405,
  'HEAD /webhooks/:source': 405,
  'PUT /webhooks/:source': 405,
  'PATCH /webhooks/:source': 405,
  'DELETE /webhooks/:source': 405,
  'OPTIONS /webhooks/:source': 405,
  'POST /slack/events': 401,
  'GET /healthz': 200,
  'HEAD /healthz': 200,
  'GET /readyz': 200,
  'HEAD /readyz': 200,
}
/** What src/app.ts registers on its server. */
const PLUGINS = ['createSources', 'createHealth', 'slack.plugin']

it('every button and every form is in the matrix', () => {
  const forms: Record<keyof typeof CALLBACKS, readonly (typeof ACTS)[number][]> = {
    decide: ['approve', 'reject'],
    params: ['request', 'override', 'skip'],
    narrow: ['narrow'],
    settle: ['done', 'resume', 'abandon'],
    freeze: ['freeze', 'thaw'],
  }
  expect(Object.keys(ACTIONS).sort()).toEqual([...ACTS].sort())
  expect(Object.keys(CALLBACKS).sort()).toEqual(Object.keys(forms).sort())
  const value = JSON.stringify({ i: 'i', p: 'p', d: 'd' })
  expect(readPress('keyturn:grant', value)).toBeNull()
  expect(readPress('keyturn:__proto__', value)).toBeNull()
})

it('every kind of job is in the matrix', () => {
  expect(Job.options.map((o) => o.shape.kind.value).sort()).toEqual(Object.keys(JOBS).sort())
})

it('every route is in the list, and answers a stranger as the list says', async () => {
  const server = fastify()
  const found: string[] = []
  server.addHook('onRoute', ({ method, url }) => void found.push(...[method].flat().map((m) => `${m} ${url}`)))
  const log = createLog({ level: 'silent', strike: (text) => text })
  const clock = () => 0
  const stored: unknown[] = []
  const onAlerts = async (batch: unknown) => void stored.push(batch)
  await server.register(createSources({ sources: {}, secret: () => 's', onAlerts, log, clock: () => new Date(0) }))
  await server.register(createHealth({}))
  const postbox = { firstTime: async () => true }
  await server.register(createHttpReceiver({ signingSecret: 's', postbox, clock, log }).plugin)
  expect(found.sort()).toEqual(Object.keys(ROUTES).sort())
  for (const [route, status] of Object.entries(ROUTES)) {
    const [method, url = ''] = route.split(' ')
    const answer = await server.inject({ method: method as 'GET', url: url.replace(':source', 'any'), payload: '' })
    expect([route, answer.statusCode]).toEqual([route, status])
  }
  expect(stored).toEqual([])
  await server.close()
})

it('nothing else is registered on the server, and Slack is listened to in one place', async () => {
  const read = (file: string) => readFile(new URL(`../../src/${file}`, import.meta.url), 'utf8')
  const app = await read('app.ts')
  const registered = [...app.matchAll(/server\.register\(\s*([\w.]+)/g)].map((m) => m[1])
  expect(registered.sort()).toEqual([...PLUGINS].sort())
  expect(app).not.toMatch(/server\.(get|post|put|patch|delete|route|all)\(/)
  const listeners = [await read('slack/app.ts'), await read('slack/interactions.ts')].join('\n')
  const heard = [...listeners.matchAll(/\bapp\.(action|view|event|command|shortcut|options|message|function)\(/g)]
  expect(heard.map((m) => m[1]).sort()).toEqual(['action', 'action', 'event', 'view'])
})
