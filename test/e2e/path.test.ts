import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from '@jest/globals'
import { startCluster } from '../redis/cluster.ts'
import { ALLOW, BREAK, LOOK, lampOff, startLamps, switchOn } from './lamps.ts'
import { ADA, GUS, OLF, ONA, SAM, startWorld } from './world.ts'

const PLAYBOOK = lampOff(LOOK, switchOn(), BREAK)
const CANARY = 'canary-5up3r-s3cret-t0ken'
const off = (room: string) => ({
  labels: { alertname: 'LampOff', room, severity: 'critical' },
  annotations: { summary: `It is dark in the ${room}` },
})

/** A world with lamps; `fire` sends an alert of a room and gives its incident once the evidence is there. */
async function begin(options: Partial<Parameters<typeof startWorld>[0]> = {}) {
  const lamps = await startLamps()
  const allow = [...ALLOW, { method: 'GET', path: '/rooms/*' }, { method: 'POST', path: '/rooms/*/break' }]
  const connection = {
    kind: 'http',
    environment: 'house',
    baseUrl: lamps.url,
    allow,
    tokenFrom: 'LAMPS_TOKEN',
    timeoutMs: 60_000,
  }
  const w = await startWorld({
    playbooks: { 'lamps/off': PLAYBOOK },
    connections: { lamps: connection },
    secrets: { worker: { LAMPS_TOKEN: CANARY } },
    ...options,
  })
  const openCard = (incident: string, proposal = 'p1') =>
    w.see(`${incident} proposal:${proposal}`, (m) => JSON.stringify(m.blocks).includes('keyturn:approve'))
  return Object.assign(w, {
    lamps,
    openCard,
    effects: (room: string) => lamps.effects.filter((e) => e.room === room).length,
    async fire(room: string): Promise<string> {
      expect(await w.alert([off(room)])).toBe(200)
      const seen = await w.see('evidence:', (m) => m.text.includes(`/rooms/${room} `))
      return seen.metadata?.event_payload?.incident ?? ''
    },
    async approve(incident: string, user: string = ADA, proposal = 'p1'): Promise<void> {
      const answer = await w.decide(user, await openCard(incident, proposal), 'approve', 'It is dark in there')
      expect(answer).toMatchObject({ ok: true })
    },
    /** What a person reads alone, in the thread or in a modal. */
    reads: (user: string, sentence: string) =>
      w.sandbox.waitFor(
        () =>
          w.told(user).some((t) => t.includes(sentence)) || JSON.stringify(w.modalOf(user) ?? '').includes(sentence),
        10_000,
      ),
    async typesOf(incident: string): Promise<string[]> {
      return (await w.entries()).flatMap((e) => (e.incident === incident ? [e.event.type] : []))
    },
    async end(): Promise<void> {
      await w.stop()
      await lamps.close()
    },
  })
}
type House = Awaited<ReturnType<typeof begin>>

let w: House
afterAll(() => w?.end())

describe.each(['socket', 'http'] as const)('the whole path over %s mode', (mode) => {
  it('goes from the alert to a verified recovery and a journal that verifies offline, and shows no secret', async () => {
    await w?.end()
    // What comes after these two goes on as the users of docs/redis.acl.
    w = await begin({ mode, acl: mode === 'http' })
    const incident = await w.fire('kitchen')
    const card = await w.openCard(incident)
    expect(JSON.stringify(card.blocks)).toContain('Approve in house')
    expect(w.lamps.effects).toEqual([])
    await w.approve(incident)
    const outcome = await w.see('outcome:p1', (m) => m.text.startsWith('Succeeded'))
    expect(w.lamps.effects).toHaveLength(1)
    await w.alert([{ ...off('kitchen'), status: 'resolved' }])
    await w.see('root', (m) => m.text.includes(': resolved'))

    const file = join(w.folder, 'journal.jsonl')
    const { out } = await w.keyturn('journal', 'export')
    await writeFile(file, out)
    expect(await w.keyturn('journal', 'verify', file)).toMatchObject({ code: 0 })
    const head = /sha256:[0-9a-f]{64}/.exec(JSON.stringify(outcome.blocks))?.[0]
    expect(out).toContain(`"hash":"${head}"`)
    await writeFile(file, out.replace('It is dark in there', 'I was not there'))
    const forged = await w.keyturn('journal', 'verify', file)
    expect(forged).toMatchObject({ code: 1, out: expect.stringContaining('was changed after it was written') })

    const redis = w.connect()
    const dump: string[] = []
    for (const key of await redis.keys('*')) dump.push((await redis.dumpBuffer(key))?.toString('latin1') ?? '')
    const seen = { slack: JSON.stringify(w.sandbox.log), redis: dump.join(''), journal: out, output: w.output.join('') }
    for (const [where, text] of Object.entries(seen))
      for (const secret of [CANARY, ...Object.values(w.tokens)])
        expect([where, text.includes(secret)]).toEqual([where, false])
  })
})

describe('people', () => {
  it('reject with a reason; nothing runs, and the next rung is offered, which may fail', async () => {
    const incident = await w.fire('attic')
    await w.decide(ADA, await w.openCard(incident), 'reject', 'Leave it dark')
    const card = await w.see(`${incident} proposal:p1`, (m) => m.text.startsWith('Rejected'))
    expect(JSON.stringify(card.blocks)).toContain('Leave it dark')
    const playbook = await w.see(`${incident} playbook`, (m) => JSON.stringify(m.blocks).includes('Plan: 2. Break it'))
    expect(w.effects('attic')).toBe(0)
    await w.press(ONA, playbook, 'request')
    await w.approve(incident, ADA, 'p2')
    await w.see(`${incident} outcome:p2`, (m) => m.text.startsWith('Failed'))
    expect(w.effects('attic')).toBe(1)
  })
})

describe('a run', () => {
  it('is cancelled from the thread while its step is under way, which may still land', async () => {
    const incident = await w.fire('cellar')
    const reached = w.lamps.hold()
    await w.approve(incident)
    await reached
    const running = await w.see(`${incident} run:p1`, (m) => JSON.stringify(m.blocks).includes('keyturn:cancel'))
    await w.press(ONA, running, 'cancel')
    await w.see(`${incident} outcome:p1`, (m) => m.text.startsWith('OUTCOME UNKNOWN'))
    w.lamps.release()
    expect((await w.typesOf(incident)).at(-1)).toBe('run.unknown')
  })
})

describe('when a worker is killed in the middle of a step', () => {
  const lose = async (room: string) => {
    const incident = await w.fire(room)
    const reached = w.lamps.hold()
    await w.approve(incident)
    await reached
    await w.killWorker()
    await w.startWorker()
    const outcome = await w.see(`${incident} outcome:p1`, (m) => m.text.startsWith('OUTCOME UNKNOWN'))
    return { incident, outcome }
  }

  it('says OUTCOME UNKNOWN with what the probe found, runs nothing again, and resumes only after another approval', async () => {
    const { incident, outcome } = await lose('garage')
    expect(JSON.stringify(outcome.blocks)).toContain('it did not land')
    await w.decide(SAM, outcome, 'settle_resume', 'The lamp is off')
    await w.openCard(incident, 'p2')
    expect(w.effects('garage')).toBe(1)
    // The lamp's own switch is let go only after the request that hung was cut with its worker.
    w.lamps.release()
    await w.see(`${incident} proposal:p2`)
    expect(w.effects('garage')).toBe(1)
  })

  it.each(['done', 'abandon'])('takes %s for an answer, and frees the target', async (choice) => {
    const { incident, outcome } = await lose(`room-${choice}`)
    const redis = w.connect()
    const locked = async () => (await redis.keys('keyturn:lock:*')).length
    const before = await locked()
    await w.decide(SAM, outcome, `settle_${choice}`, 'I looked')
    await w.see(`${incident} outcome:p1`, (m) => JSON.stringify(m.blocks).includes('I looked'))
    expect(await locked()).toBe(before - 1)
    w.lamps.release()
    expect(w.effects(`room-${choice}`)).toBe(1)
  })
})

describe('outages', () => {
  it('with Slack down, everything comes later, in order, once', async () => {
    w.sandbox.faults({ outage: true })
    const rooms = ['north', 'east', 'south']
    expect(await w.alert(rooms.map(off))).toBe(200)
    expect(await w.alert([{ ...off('east'), status: 'resolved' }])).toBe(200)
    w.sandbox.faults({ outage: false })
    const incidents = await Promise.all(
      rooms.map(async (room) => {
        const seen = await w.see('evidence:', (m) => m.text.includes(`/rooms/${room} `), 40_000)
        return seen.metadata?.event_payload?.incident ?? ''
      }),
    )
    for (const incident of incidents) {
      const [root] = w
        .messages()
        .filter((m) => m.metadata?.event_payload?.incident === incident && w.keyOf(m) === 'root')
      await w.see(`${incident} proposal:p1`, undefined, 40_000)
      const keys = w
        .messages()
        .filter((m) => m.ts === root?.ts || m.thread_ts === root?.ts)
        .map(w.keyOf)
      expect(new Set(keys).size).toBe(keys.length)
      expect(keys.slice(0, 2)).toEqual(['root', 'playbook'])
    }
    await w.see(`${incidents[1]} root`, (m) => m.text.includes(': resolved'), 40_000)
  })

  it('with Redis down, an alert is answered 503 and a click decides nothing; both work when it is back', async () => {
    const incident = await w.fire('porch')
    const card = await w.openCard(incident)
    await w.killRedis()
    expect(await w.alert([off('roof')])).toBe(503)
    // Not acknowledged: Slack shows its own error beside the button.
    expect(await w.press(ADA, card, 'approve')).toMatchObject({ ok: false })
    await w.startRedis()
    while ((await w.alert([off('roof')])) !== 200);
    await w.see('evidence:', (m) => m.text.includes('/rooms/roof '))
    // If Redis died between a post and its storing, Slack is asked first which message it is.
    const modal = () => w.modalOf(ADA)?.callback_id === 'keyturn:decide'
    for (let told = -1; !modal(); ) {
      told = w.told(ADA).length
      await w.press(ADA, card, 'approve')
      await w.sandbox.waitFor(() => modal() || w.told(ADA).length > told, 20_000)
    }
    await w.approve(incident)
    await w.see(`${incident} outcome:p1`, (m) => m.text.startsWith('Succeeded'))
    expect(w.effects('porch')).toBe(1)
  })
})

describe('an alert without a playbook', () => {
  it('has its thread, which says so and brings a draft', async () => {
    await w.alert([{ labels: { alertname: 'Strange', pod: 'p-1' } }])
    await w.see('root', (m) => JSON.stringify(m.blocks).includes('none matches'))
    await w.sandbox.waitFor(() => w.messages().some((m) => m.files?.some((f) => f.name === 'strange.md')), 10_000)
  })
})

describe('a stricter policy', () => {
  it('refuses the wrong people, with a sentence each, and counts two different humans', async () => {
    await w?.end()
    const approvers = { 'data-oncall': { users: [ADA, SAM, GUS, OLF] } }
    w = await begin({ policy: { quorum: { medium: 2 }, approvers, people: { ada: [ADA, ONA] } } })
    const incident = await w.fire('kitchen')
    const card = await w.openCard(incident)
    for (const [user, sentence] of [
      [ONA, 'You are not an approver'],
      [GUS, 'Guests cannot decide'],
      [OLF, 'People of other organisations cannot decide'],
    ] as const) {
      await w.press(user, card, 'approve')
      await w.reads(user, sentence)
    }
    await w.approve(incident)
    const half = await w.see(`${incident} proposal:p1`, (m) => JSON.stringify(m.blocks).includes('Approved by'))
    await w.press(ADA, half, 'approve')
    await w.reads(ADA, 'You have approved already')
    expect(w.lamps.effects).toEqual([])
    await w.approve(incident, SAM)
    await w.see(`${incident} outcome:p1`, (m) => m.text.startsWith('Succeeded'))
    expect(w.lamps.effects).toHaveLength(1)
  })

  it('runs nothing when the target has moved between the first approval and the run', async () => {
    const incident = await w.fire('hall')
    await w.approve(incident)
    w.lamps.lit.add('hall')
    await w.see(`${incident} proposal:p1`, (m) => JSON.stringify(m.blocks).includes('Approved by'))
    await w.approve(incident, SAM)
    const card = await w.see(`${incident} proposal:p1`, (m) => m.text.startsWith('Refused'))
    expect(JSON.stringify(card.blocks)).toContain('Nothing to do')
    expect(w.effects('hall')).toBe(0)
  })
})

describe('time', () => {
  it('reminds once, then closes a proposal that nobody decided on', async () => {
    await w?.end()
    w = await begin({ policy: { proposalMinutes: 0.1 } })
    const incident = await w.fire('kitchen')
    await w.see(`${incident} note:remind:p1:0`)
    const card = await w.see(`${incident} proposal:p1`, (m) => m.text.startsWith('Expired'))
    expect(JSON.stringify(card.blocks)).not.toContain('keyturn:approve')
    expect(w.lamps.effects).toEqual([])
  })
})

describe('a freeze from the terminal', () => {
  it('stops what runs within a second, shows itself in every thread, and is lifted the same way', async () => {
    await w?.end()
    w = await begin()
    const incident = await w.fire('kitchen')
    const reached = w.lamps.hold()
    await w.approve(incident)
    await reached
    const other = await w.fire('hall')
    await w.openCard(other)
    expect(await w.keyturn('freeze')).toMatchObject({ code: 1, out: expect.stringContaining('--reason') })
    expect(await w.keyturn('freeze', '--reason', 'strange writes')).toMatchObject({ code: 0 })
    await w.see(`${incident} outcome:p1`, (m) => m.text.startsWith('OUTCOME') && m.text.includes('strange writes'))
    await w.see('root', (m) => m.text.startsWith('Frozen'))
    await w.see(`${other} root`, (m) => JSON.stringify(m.blocks).includes('Frozen by'))
    await w.see(`${other} proposal:p1`, (m) => !JSON.stringify(m.blocks).includes('keyturn:approve'))
    w.lamps.release()
    expect(await w.keyturn('thaw', '--reason', 'it was the import')).toMatchObject({ code: 0 })
    await w.approve(other)
    await w.see(`${other} outcome:p1`, (m) => m.text.startsWith('Succeeded'))
    expect(w.effects('kitchen') + w.effects('hall')).toBe(2)
  })
})

describe('with Slack down, a person at a terminal', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const base64 = (key: KeyObject, type: 'pkcs8' | 'spki') => key.export({ format: 'der', type }).toString('base64')

  it('sees what is open and its plan, approves it with a key of their own, and the thread tells it later', async () => {
    await w?.end()
    w = await begin({ policy: { breakGlass: { [OLF]: base64(publicKey, 'spki') } } })
    const incident = await w.fire('kitchen')
    await w.openCard(incident)
    w.sandbox.faults({ outage: true })
    expect((await w.keyturn('approve')).out).toContain(`${incident} p1`)
    const { out } = await w.keyturn('approve', incident, 'p1')
    expect(out).toContain('POST')
    const digest = /--digest ([0-9a-f]{12})/.exec(out)?.[1] ?? ''
    const key = base64(privateKey, 'pkcs8')
    const approval = ['approve', incident, 'p1', '--as', OLF, '--digest', digest]
    approval.push('--reason', `Slack is down ${key}`)
    expect(await w.keyturn(...approval)).toMatchObject({ code: 1, out: expect.stringContaining('BREAK_GLASS_KEY') })
    const reached = w.lamps.hold()
    w.atTerminal.KEYTURN_BREAK_GLASS_KEY = key
    expect(await w.keyturn(...approval)).toMatchObject({ code: 0 })
    await reached
    w.lamps.release()
    w.sandbox.faults({ outage: false })
    await w.see(`${incident} note:terminal:p1:${OLF}`, (m) => m.text.includes('Slack is down'), 40_000)
    await w.see(`${incident} outcome:p1`, (m) => m.text.startsWith('Succeeded'), 40_000)
    expect(w.effects('kitchen')).toBe(1)
    // Typed by mistake, it is not kept.
    expect(JSON.stringify(await w.entries())).not.toContain(key)
  })
})

describe('on a Redis Cluster', () => {
  it('the whole path is the same', async () => {
    const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--maxmemory-policy', 'noeviction', '--save', '']
    const cluster = await startCluster(durable)
    const house = await begin({
      settings: { redis: { cluster: { nodes: cluster.ports.map((p) => `127.0.0.1:${p}`) } } },
    })
    try {
      const incidents = [await house.fire('kitchen'), await house.fire('hall')]
      for (const incident of incidents) {
        await house.approve(incident)
        await house.see(`${incident} outcome:p1`, (m) => m.text.startsWith('Succeeded'))
      }
      expect([house.effects('kitchen'), house.effects('hall')]).toEqual([1, 1])
      expect(await house.typesOf(incidents[0]!)).toContain('run.finished')
      expect(await house.keyturn('journal', 'verify')).toMatchObject({ code: 0 })
      expect(await house.connect().keys('keyturn:*')).toEqual([])
    } finally {
      await house.end()
      await cluster.stop()
    }
  }, 120_000)
})

describe('a Redis that was emptied', () => {
  it('is noticed by the processes themselves: everything is frozen, with a thread that says what to do', async () => {
    const before = w.messages().length
    await w.connect().flushall()
    await w.sandbox.waitFor(
      () =>
        w
          .messages()
          .slice(before)
          .some((m) => w.keyOf(m) === 'root' && JSON.stringify(m.blocks).includes('has lost')),
      10_000,
    )
    expect(await w.keyturn('thaw', '--reason', 'nothing was under way')).toMatchObject({ code: 0 })
    const incident = await w.fire('attic')
    await w.approve(incident)
    await w.see(`${incident} outcome:p1`, (m) => m.text.startsWith('Succeeded'))
  })
})
