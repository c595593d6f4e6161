import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import type { Happening } from '../../src/domain/event.ts'
import { createJournal } from '../../src/redis/journal.ts'
import { incidentId, incidentKey } from '../../src/redis/keys.ts'
import { startRedis } from './server.ts'

const ACL = new URL('../../docs/redis.acl', import.meta.url)
const id = incidentId('g', 1)
const opened: Happening = {
  type: 'incident.opened',
  group: 'g',
  title: 't',
  severity: 's',
  channel: 'c',
  playbook: null,
}

// That bot, worker and terminal do all of their work as these users is shown by the whole path, test/e2e/path.test.ts.
describe('the users of docs/redis.acl', () => {
  let redis: Awaited<ReturnType<typeof startRedis>>
  const clients: Redis[] = []
  const as = (role: 'bot' | 'worker' | 'terminal') => {
    const client = new Redis({ path: redis.path, username: `keyturn-${role}`, password: `change-me-${role}` })
    clients.push(client)
    return client
  }
  beforeAll(async () => {
    redis = await startRedis()
    const admin = redis.connect()
    for (const line of (await readFile(ACL, 'utf8')).split('\n'))
      if (line.startsWith('user keyturn-')) await admin.call('ACL', 'SETUSER', ...words(line.slice('user '.length)))
    const journal = createJournal({ redis: as('bot'), subscriber: as('bot'), clock: Date.now })
    expect(await journal.append(id, 0, 'op', [opened])).toMatchObject({ ok: true })
  })
  afterAll(async () => {
    for (const client of clients) client.disconnect()
    await redis.stop()
  })

  it.each(['bot', 'worker', 'terminal'] as const)(
    'let the %s read a journal and add to it, and nothing else',
    async (role) => {
      const client = as(role)
      const journal = createJournal({ redis: client, subscriber: as(role), clock: Date.now })
      const version = (await journal.load(id))!.version
      expect(await journal.append(id, version, role, [{ type: 'incident.resolved' }])).toMatchObject({ ok: true })
      const key = incidentKey(id, 'journal')
      const harm = [
        ['DEL', key],
        ['LTRIM', key, '0', '0'],
        ['LSET', key, '0', '{}'],
        ['SET', key, 'x'],
        ['RENAME', key, 'k'],
        ['FLUSHALL'],
        ['EXPIRE', key, '1'],
        ['EVAL', "return redis.call('DEL', KEYS[1])", '1', key],
      ]
      for (const [command = '', ...args] of harm)
        await expect(client.call(command, ...args)).rejects.toThrow(/NOPERM|executing the script can't/)
    },
  )

  it('keep the worker from what was posted, and the terminal from the queues', async () => {
    await expect(as('worker').hgetall(incidentKey(id, 'slack'))).rejects.toThrow('NOPERM')
    await expect(as('worker').set('keyturn:seen:x', '1')).rejects.toThrow('NOPERM')
    await expect(as('terminal').lpush('{keyturn}:run:wait', 'x')).rejects.toThrow('NOPERM')
    await expect(as('bot').set(incidentKey(id, 'beat:p1'), 'w')).rejects.toThrow('NOPERM')
  })
})

/** The words of one line; a selector in brackets is one. */
const words = (line: string): string[] => line.match(/\([^)]*\)|\S+/g) ?? []
