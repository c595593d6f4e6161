import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import type { Postbox } from '../../src/domain/ports.ts'
import { incidentId } from '../../src/redis/keys.ts'
import { createPostbox } from '../../src/redis/postbox.ts'
import { createMemoryPostbox } from './postbox.ts'
import { asked, createWorld, DATA, opened, PLATFORM, type World } from './world.ts'

let folder = ''
let server: ReturnType<typeof spawn>
let redis: Redis
const path = () => join(folder, 'redis.sock')

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postbox-'))
  server = spawn('redis-server', ['--port', '0', '--unixsocket', path(), '--save', '', '--dir', folder], {
    stdio: 'ignore',
  })
  redis = new Redis({ path: path(), retryStrategy: () => 20, maxRetriesPerRequest: null })
  // Refused until the server has made its socket.
  redis.on('error', () => {})
  await redis.ping()
})
afterAll(async () => {
  redis.disconnect()
  const ended = new Promise((resolve) => server.once('exit', resolve))
  server.kill()
  await ended
  await rm(folder, { recursive: true })
})

const ID = incidentId('a group', 1)
const OTHER = incidentId('a group', 2)

const kinds: [string, () => Postbox][] = [
  ['in memory', () => createMemoryPostbox(Date.now)],
  ['in Redis', () => createPostbox(redis)],
]
describe.each(kinds)('a postbox %s', (_, create) => {
  afterEach(() => redis.flushall())

  it('keeps what was posted, by incident and key', async () => {
    const box = create()
    const tried = { channel: 'C1', ts: null, hash: 'h', attemptedAt: 7 }
    await box.write(ID, 'root', tried)
    await box.write(ID, 'proposal:p1', { ...tried, ts: '2.0' })
    await box.write(ID, 'root', { ...tried, ts: '1.0' })
    expect(await box.read(ID)).toEqual({ root: { ...tried, ts: '1.0' }, 'proposal:p1': { ...tried, ts: '2.0' } })
    expect(await box.read(OTHER)).toEqual({})
  })

  it('keeps one mark an incident', async () => {
    const box = create()
    expect(await box.rendered(ID)).toBeNull()
    await box.setRendered(ID, 'a')
    await box.setRendered(ID, 'b')
    expect([await box.rendered(ID), await box.rendered(OTHER)]).toEqual(['b', null])
  })

  it('gives one lease an incident, and the next one after its release', async () => {
    const box = create()
    const first = (await box.lease(ID))!
    expect(await box.lease(ID)).toBeNull()
    expect(await box.lease(OTHER)).not.toBeNull()
    expect(await first.renew()).toBe(true)
    await first.release()
    const second = (await box.lease(ID))!
    expect(await first.renew()).toBe(false)
    await first.release()
    expect(await second.renew()).toBe(true)
  })

  it('gives each message of a channel a second of its own', async () => {
    const box = create()
    const start = Date.now()
    const waits = [await box.pace('C1'), await box.pace('C1'), await box.pace('C1')]
    // What this took is less to wait; Redis and this process may round a millisecond apart.
    const spent = Date.now() - start + 2
    expect(waits[0]).toBe(0)
    for (const [i, wait] of waits.entries()) {
      expect(wait).toBeLessThanOrEqual(i * 1000)
      expect(wait).toBeGreaterThanOrEqual(i * 1000 - spent)
    }
    expect(await box.pace('C2')).toBe(0)
  })

  it('knows a signature again', async () => {
    const box = create()
    expect([await box.firstTime('s'), await box.firstTime('s'), await box.firstTime('t')]).toEqual([true, false, true])
  })
})

describe('two bots on one Redis', () => {
  let w: World
  afterEach(() => w.close())

  it('post everything once and in order', async () => {
    w = await createWorld()
    Object.assign(w.postbox, createPostbox(redis))
    const bots = [w.bot(), w.bot()]
    for (const bot of bots) await bot.start()
    w.journal.add(ID, opened('One'), asked('p1'), asked('p2'))
    w.journal.add(OTHER, opened('Two', 'platform'), asked('p1'), asked('p2'))
    const shown = async () => {
      const all = await Promise.all(bots.flatMap((bot) => [bot.isShown(ID), bot.isShown(OTHER)]))
      return all.every(Boolean)
    }
    // Redis has its own time; the bots' time stands still while a call to it is under way.
    await w.pass(shown)
    expect(w.texts(DATA)).toEqual(['One', 'do-it: planning', 'do-it: planning'])
    expect(w.texts(PLATFORM)).toEqual(['Two', 'do-it: planning', 'do-it: planning'])
  })
})
