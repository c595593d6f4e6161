import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { BREAK_GLASS } from '../src/domain/grant.ts'
import { digest } from '../src/domain/plan.ts'
import { sentence } from '../src/domain/reason.ts'
import { clockOf } from '../src/redis/connect.ts'
import { ada, atTerminal, type Bench, createBench, sam } from './pipeline/bench.ts'
import { startRedis } from './redis/server.ts'

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

const approval = async (patch: Partial<Parameters<Bench['terminal']['approve']>[0]> = {}) =>
  w.terminal.approve({
    incident: id,
    proposal: 'p1',
    user: 'U0OLF',
    name: 'olf',
    digest: (await w.state(id)).digest ?? '',
    reason: 'Slack is down',
    privateKey: atTerminal.olf.privateKey,
    ...patch,
  })

describe('an approval at a terminal', () => {
  it('is granted by the bot, judged again by the worker, and run once', async () => {
    expect(await approval()).toEqual({ ok: true })
    expect((await w.state(id)).status).toBe('open')
    await w.botTick()
    expect(await w.state(id)).toMatchObject({ status: 'granted', decisions: [{ user: 'U0OLF', via: [BREAK_GLASS] }] })
    await w.runner('w1').run(id, 'p1')
    expect((await w.state(id)).status).toBe('succeeded')
    expect(await approval()).toEqual({ ok: false, reason: 'already_decided' })
  })

  it.each([
    ['with somebody else’s key', { privateKey: atTerminal.ada.privateKey }, 'wrong_key_at_terminal'],
    ['by somebody for whom the policy names no key', { user: sam.user }, 'no_key_at_terminal'],
    ['of a plan that is not this one', { digest: 'sha256:0' }, 'digest_changed'],
    ['of whatever the plan is', { digest: '' }, 'digest_changed'],
    ['without a reason', { reason: ' ' }, 'reason_required'],
    ['of a proposal that is not there', { proposal: 'p9' }, 'digest_changed'],
  ] as const)('%s is refused', async (_how, patch, reason) => {
    expect(await approval(patch)).toEqual({ ok: false, reason })
    await w.botTick()
    expect(await w.state(id)).toMatchObject({ status: 'open', decisions: [] })
  })

  it('counts once, also when the same person has approved in Slack', async () => {
    const own = { user: ada.user, privateKey: atTerminal.ada.privateKey }
    expect(await approval(own)).toEqual({ ok: true })
    expect(await approval(own)).toEqual({ ok: false, reason: 'same_human' })
    expect(await w.decide(id)).toEqual({ ok: false, reason: 'same_human' })
  })

  it('is refused while everything is frozen, and not granted by then', async () => {
    const why = { by: 'ona', reason: 'strange writes', person: null }
    await approval()
    await w.freezer.freeze(why)
    expect(await approval()).toEqual({ ok: false, reason: 'frozen' })
    await w.botTick()
    expect((await w.state(id)).status).toBe('open')
  })

  it('does not run when everything was frozen between it and the bot’s grant', async () => {
    const why = { by: 'ona', reason: 'strange writes', person: null }
    await approval()
    w.time.offset += 1
    await w.freezer.freeze(why)
    await w.freezer.thaw(why)
    w.time.offset += 1
    await w.botTick()
    await w.runner('w1').run(id, 'p1')
    expect([w.lamp.on, (await w.state(id)).note]).toEqual([0, sentence('frozen_since')])
  })

  it('is by the clock of Redis, whatever the one of the terminal says', async () => {
    const clock = await clockOf(w.client, () => Date.now() - 300_000)
    expect(Math.abs(clock() - Date.now())).toBeLessThan(10_000)
  })

  it('is shown no plan that is not the one of the digest', async () => {
    const { version } = (await w.journal.load(id))!
    const { subject, digest } = await w.state(id)
    const other = { ...subject!, environment: 'staging' }
    const made = { type: 'plan.made', proposal: 'p1', subject: other, digest: digest! } as const
    await w.journal.append(id, version, 'forged', [made])
    expect(await w.terminal.show(id, 'p1')).toEqual([sentence('digest_changed')])
  })

  it('is shown which freeze window the plan overrides', async () => {
    const { version } = (await w.journal.load(id))!
    const subject = { ...(await w.state(id)).subject!, override: 'the sale' }
    const made = { type: 'plan.made', proposal: 'p1', subject, digest: digest(subject) } as const
    await w.journal.append(id, version, 'made', [made])
    expect((await w.terminal.show(id, 'p1')).join('\n')).toContain('overrides    “the sale”')
  })

  it('lists what is open, and shows a plan with what to type', async () => {
    expect(await w.terminal.open()).toEqual([expect.stringContaining(`${id} p1`)])
    const shown = (await w.terminal.show(id, 'p1')).join('\n')
    expect(shown).toContain('Switch it on')
    expect(shown).toMatch(/--digest [0-9a-f]{12} --reason/)
    expect(await w.terminal.show(id, 'p9')).toEqual(['This proposal does not exist.'])
  })
})
