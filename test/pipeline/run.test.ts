import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { Unanswered } from '../../src/domain/command.ts'
import { genesis, seal, verifyChain } from '../../src/domain/event.ts'
import { incidentId, incidentKey } from '../../src/redis/keys.ts'
import { startRedis } from '../redis/server.ts'
import { ada, alertOf, type Bench, createBench, PLAYBOOK, sam } from './bench.ts'

let redis: Awaited<ReturnType<typeof startRedis>>
let w: Bench
let id: string
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())
beforeEach(async () => {
  w = await createBench(redis)
  id = await w.open()
})

describe('a granted plan', () => {
  it('does nothing before somebody approves, and runs once however often it is rung', async () => {
    await w.runner('w1').run(id, 'p1')
    expect(w.lamp.on).toBe(0)
    const answers = await Promise.all([w.decide(id), w.decide(id), w.decide(id)])
    expect(answers.filter((a) => a.ok)).toHaveLength(1)
    await Promise.all([w.runner('w1').run(id, 'p1'), w.runner('w2').run(id, 'p1')])
    await w.runner('w3').run(id, 'p1')
    expect(w.lamp.on).toBe(2)
    expect(await w.state(id)).toMatchObject({ status: 'succeeded', run: { message: 'It is on.' } })
    expect(await w.free()).toBe(true)
    expect(verifyChain(id, await w.journal.entries(id))).toBeNull()
  })

  it('tells its command for which incident it works, and who asked', async () => {
    const told: unknown[] = []
    w.lamp.work = async (_step, { origin }) => void told.push(origin)
    await w.decide(id)
    await w.runner('w1').run(id, 'p1')
    expect(told).toEqual(Array(2).fill({ incident: id, by: null }))
  })

  it('does not run when the target has moved, and asks again', async () => {
    await w.decide(id)
    w.lamp.bulb = 'b'
    await w.runner('w1').run(id, 'p1')
    expect(w.lamp.on).toBe(0)
    expect(await w.state(id)).toMatchObject({ status: 'open', voided: 1, decisions: [], grant: null })
  })

  it('does not run when the command was changed meanwhile, nor when the playbook was', async () => {
    await w.decide(id)
    const commands = new Map([...w.bench.commands].map(([name, c]) => [name, { ...c, version: '2' }]))
    await w.runner('w1', { commands }).run(id, 'p1')
    expect(await w.state(id)).toMatchObject({ status: 'open', voided: 1 })
    const again = await w.open()
    await w.decide(again)
    await w.runner('w1', { playbooks: new Map([[PLAYBOOK.id, { ...PLAYBOOK, hash: 'sha256:2' }]]) }).run(again, 'p1')
    expect((await w.state(again)).note).toContain('differs')
    expect(w.lamp.on).toBe(0)
  })

  it('does not run while another run holds the target', async () => {
    await w.locks.acquire(['lamp:1'], { incident: incidentId('other', 1), proposal: 'p9' })
    await w.decide(id)
    await w.runner('w1').run(id, 'p1')
    expect(w.lamp.on).toBe(0)
    expect((await w.state(id)).note).toContain('is held by p9')
  })

  it('does not run once its grant has lapsed', async () => {
    await w.decide(id)
    w.time.offset = 16 * 60_000
    await w.runner('w1').run(id, 'p1')
    expect(w.lamp.on).toBe(0)
    expect((await w.state(id)).status).not.toBe('running')
  })
})

describe('a run', () => {
  it('that the checks do not confirm has failed, with the checks, and offers the next rung', async () => {
    w.lamp.checks = () => [{ title: 'it is on', ok: false, detail: 'dark' }]
    await w.decide(id)
    await w.runner('w1').run(id, 'p1')
    expect(await w.state(id)).toMatchObject({ status: 'failed', run: { checks: [{ ok: false, detail: 'dark' }] } })
    expect(await w.handlers.request({ incident: id, step: 'replace', params: {}, person: ada })).toEqual({ ok: true })
  })

  it('with nothing to verify says so', async () => {
    w.lamp.checks = () => []
    await w.decide(id)
    await w.runner('w1').run(id, 'p1')
    expect((await w.state(id)).run?.message).toContain('Nothing was verified')
  })

  it('whose step broke before its effect has failed', async () => {
    w.lamp.work = async () => {
      throw new Error('no current; the password is hunter2')
    }
    await w.decide(id)
    await w.runner('w1').run(id, 'p1')
    expect(await w.state(id)).toMatchObject({ status: 'failed', run: { message: 'no current; the password is •••.' } })
    expect(await w.free()).toBe(true)
  })

  it.each(['yes', 'cannot_tell'] as const)(
    'whose step broke, and the probe says %s, is of unknown outcome and keeps its lock',
    async (landed) => {
      w.lamp.finding = { landed, detail: '' }
      w.lamp.work = async () => {
        w.lamp.on++
        throw new Error('the reply was lost')
      }
      await w.decide(id)
      await w.runner('w1').run(id, 'p1')
      expect(await w.state(id)).toMatchObject({ status: 'unknown', run: { findings: [{ step: 'first', landed }] } })
      expect(w.lamp.on).toBe(1)
      expect(await w.free()).toBe(false)
    },
  )

  it('that its own guard refuses in the end runs nothing, and still tells who approved it', async () => {
    await w.decide(id)
    w.lamp.refuse = 'It is on already'
    await w.runner('w1').run(id, 'p1')
    const state = await w.state(id)
    expect(state).toMatchObject({ status: 'refused', note: 'It is on already', grant: null })
    expect(state.decisions.map((d) => d.user)).toEqual(['U0ADA'])
    expect(w.lamp.on).toBe(0)
  })

  it('whose request got no answer is of unknown outcome, though the probe finds nothing yet', async () => {
    w.lamp.work = async () => {
      throw new Unanswered('the connection broke')
    }
    await w.decide(id)
    await w.runner('w1').run(id, 'p1')
    expect(await w.state(id)).toMatchObject({ status: 'unknown', run: { findings: [{ step: 'first', landed: 'no' }] } })
    expect((await w.state(id)).run?.message).toBe(
      '“first” broke off: the connection broke. It was under way and may still land.',
    )
    expect(await w.free()).toBe(false)
  })

  it('that is cancelled while it waits for an answer is of unknown outcome: what it asked for may still land', async () => {
    const reached = w.hang()
    await w.decide(id)
    const running = w.runner('w1').run(id, 'p1')
    await reached
    await w.handlers.cancel({ incident: id, proposal: 'p1', person: ada })
    await running
    expect(await w.state(id)).toMatchObject({ status: 'unknown', run: { findings: [{ step: 'first', landed: 'no' }] } })
    expect(await w.free()).toBe(false)
  })

  it('that takes longer than its command allows is stopped, and its step is probed', async () => {
    w.lamp.limit = 0.001
    w.lamp.finding = { landed: 'cannot_tell', detail: 'seen' }
    w.hang()
    await w.decide(id)
    await w.runner('w1').run(id, 'p1')
    expect(await w.state(id)).toMatchObject({ status: 'unknown', run: { findings: [{ step: 'first' }] } })
  })

  it('may not take a step that is not in its plan', async () => {
    await w.decide(id)
    w.lamp.work = async (step, ctx) => {
      if (step === 'first') w.lamp.steps.push('third')
      if (step === 'second') await ctx.step('third', async () => undefined)
    }
    await w.runner('w1').run(id, 'p1')
    expect((await w.state(id)).run?.steps).not.toHaveProperty('third')
    expect((await w.state(id)).status).not.toBe('succeeded')
  })

  it('that is cancelled takes no further step, says so, and frees its target', async () => {
    const { reached, go } = w.hold()
    await w.decide(id)
    const running = w.runner('w1').run(id, 'p1')
    await reached
    expect(await w.handlers.cancel({ incident: id, proposal: 'p1', person: ada })).toEqual({ ok: true })
    expect(await w.handlers.cancel({ incident: id, proposal: 'p1', person: ada })).toMatchObject({ ok: false })
    go()
    await running
    expect(w.lamp.on).toBe(1)
    expect(await w.state(id)).toMatchObject({ status: 'cancelled', run: { cancelledBy: { user: 'U0ADA' } } })
    expect(await w.free()).toBe(true)
  })
})

describe('when the worker is gone', () => {
  const lose = async (landed: 'yes' | 'no') => {
    const started = Promise.withResolvers<void>()
    const wake = Promise.withResolvers<void>()
    w.lamp.work = async (step) => {
      if (landed === 'yes') w.lamp.on++
      if (step !== 'first') return
      started.resolve()
      await wake.promise
    }
    await w.decide(id)
    const paused = w.runner('w1').run(id, 'p1')
    await started.promise
    w.lamp.finding = { landed, detail: 'seen' }
    const alive = w.pulse.alive
    Object.assign(w.pulse, { alive: async () => false })
    await w.workerTick()
    expect(w.rung.at(-1)).toEqual({ kind: 'probe', incident: id, proposal: 'p1' })
    await w.runner('w2').probe(id, 'p1')
    Object.assign(w.pulse, { alive })
    return async () => {
      wake.resolve()
      await paused
    }
  }

  it('the outcome is unknown; nothing runs again, and the worker cannot go on when it wakes up', async () => {
    const wake = await lose('yes')
    expect(await w.state(id)).toMatchObject({
      status: 'unknown',
      run: { findings: [{ step: 'first', landed: 'yes' }] },
    })
    await w.runner('w2').run(id, 'p1')
    await wake()
    expect(w.lamp.on).toBe(1)
    expect((await w.state(id)).status).toBe('unknown')
    expect(await w.free()).toBe(false)
  })

  it('a plan that somebody wrote into Redis since is not looked at: no probe gets what nobody approved', async () => {
    const started = Promise.withResolvers<void>()
    const wake = Promise.withResolvers<void>()
    w.lamp.work = async () => {
      started.resolve()
      await wake.promise
    }
    await w.decide(id)
    const paused = w.runner('w1').run(id, 'p1')
    await started.promise
    let prev = genesis(id)
    const forged = (await w.journal.entries(id)).map(({ hash: _, ...entry }) => {
      const { event } = entry
      if (event.type === 'plan.made') event.subject.plan.data = { folder: '/etc' }
      const sealed = seal({ ...entry, prev })
      prev = sealed.hash
      return sealed
    })
    const [journal, meta] = [incidentKey(id, 'journal'), incidentKey(id, 'meta')]
    await w.client.del(journal)
    await w.client.rpush(journal, ...forged.map((entry) => JSON.stringify(entry)))
    await w.client.hset(meta, 'head', prev)
    w.lamp.finding = { landed: 'yes', detail: 'looked at what was never approved' }
    await w.runner('w2', { pulse: { ...w.pulse, alive: async () => false } }).probe(id, 'p1')
    wake.resolve()
    await paused
    const { run, subject } = await w.state(id)
    expect(subject?.plan.data).toEqual({ folder: '/etc' })
    expect(run?.findings).toEqual([
      { step: 'first', landed: 'cannot_tell', detail: expect.stringContaining('not the one that was approved') },
    ])
  })

  it('a worker that took the same job and comes late leaves the target locked', async () => {
    const granted = await w.open({ ...alertOf(), fingerprint: 'f2', labels: { alertname: 'LampOff', room: 'attic' } })
    await w.decide(granted)
    const before = await w.journal.load(granted)
    w.lamp.work = async () => {
      throw new Error('the reply was lost')
    }
    w.lamp.finding = { landed: 'cannot_tell', detail: '' }
    await w.runner('w1').run(granted, 'p1')
    expect((await w.state(granted)).status).toBe('unknown')
    let looks = 0
    const late = { ...w.journal, load: async (i: string) => (looks++ === 0 ? before : w.journal.load(i)) }
    await w.runner('w2', { journal: late }).run(granted, 'p1')
    expect(await w.free()).toBe(false)
  })

  it.each(['done', 'abandon'] as const)('%s ends it, and frees the target', async (choice) => {
    const wake = await lose('yes')
    expect(await w.settle(id, choice)).toEqual({ ok: true })
    expect((await w.state(id)).status).toBe('settled')
    expect(await w.free()).toBe(true)
    await wake()
    expect(w.lamp.on).toBe(1)
  })

  it.each([
    ['yes', 2],
    ['no', 2],
  ] as const)(
    'resume asks for another approval, and then does what has not landed (the probe said %s)',
    async (landed, on) => {
      const wake = await lose(landed)
      expect(await w.settle(id, 'resume')).toEqual({ ok: true })
      await wake()
      await w.propose(id, 'p2', true)
      await w.runner('w2').run(id, 'p2')
      expect(w.lamp.on).toBe(landed === 'yes' ? 1 : 0)
      w.lamp.work = async () => void w.lamp.on++
      expect(await w.decide(id, 'approve', 'p2')).toEqual({ ok: false, reason: 'self_approval' })
      await w.decide(id, 'approve', 'p2', sam)
      await w.runner('w2').run(id, 'p2')
      expect((await w.state(id, 'p2')).status).toBe('succeeded')
      expect(w.lamp.on).toBe(on)
    },
  )
})
