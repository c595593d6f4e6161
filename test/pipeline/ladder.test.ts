import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { proposalOf } from '../../src/domain/incident.ts'
import { isQuiet, isSpare, nextRung, owedUndo } from '../../src/domain/ladder.ts'
import type { Playbook, RUNGS } from '../../src/domain/playbook.ts'
import { ACTIONS } from '../../src/slack/actions.ts'
import { playbookCard } from '../../src/slack/views/playbook.ts'
import { proposalCard } from '../../src/slack/views/proposal.ts'
import { person } from '../domain/person.ts'
import { startRedis } from '../redis/server.ts'
import { ada, alertOf, type Bench, createBench, PLAYBOOK, sam } from './bench.ts'

let redis: Awaited<ReturnType<typeof startRedis>>
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())

const undoes = (s: Playbook['steps'][number]) =>
  s.id === 'replace' && s.call ? { ...s, call: { ...s.call, rung: 'undoes' as const } } : s
/** The lamp's playbook, whose second change is marked. */
const marked = (rung: (typeof RUNGS)[number]): Playbook => ({
  ...PLAYBOOK,
  steps: PLAYBOOK.steps.map((s) => (s.id === 'replace' && s.call ? { ...s, call: { ...s.call, rung } } : s)),
})
async function begin(rung: (typeof RUNGS)[number]) {
  const w = await createBench(redis, { undoMinutes: 60 }, marked(rung))
  const id = await w.open()
  return {
    w,
    id,
    async run(proposal: string) {
      await w.decide(id, 'approve', proposal, sam)
      await w.runner('w1').run(id, proposal)
      return (await w.state(id, proposal)).status
    },
    async ask(proposal: string) {
      const answer = await w.handlers.request({ incident: id, step: 'replace', params: {}, person: ada })
      if (answer.ok) await w.propose(id, proposal, true)
      return answer
    },
    incident: async () => (await w.journal.load(id))!,
    resolve: (w: Bench) =>
      w.ingest({ alerts: [alertOf({ status: 'resolved', endsAt: '2026-01-02T04:00:00.000Z' })], truncated: 0 }),
  }
}

describe('a rung for otherwise', () => {
  it('is the next one when the change before has run and its verification failed', async () => {
    const l = await begin('otherwise')
    l.w.lamp.checks = () => [{ title: 'it is on', ok: false, detail: '' }]
    expect(await l.run('p1')).toBe('failed')
    const incident = await l.incident()
    expect(nextRung(incident)?.id).toBe('replace')
    expect(isSpare(incident, nextRung(incident)!)).toBe(false)
  })

  it('is kept aside when it helped, until a person says that it did not', async () => {
    const l = await begin('otherwise')
    expect(await l.ask('p2')).toEqual({ ok: false, reason: 'not_offered_yet' })
    expect(await l.run('p1')).toBe('succeeded')
    const incident = await l.incident()
    expect(isSpare(incident, nextRung(incident)!)).toBe(true)
    expect(await l.ask('p2')).toEqual({ ok: true })
    expect((await l.w.state(l.id, 'p2')).status).toBe('open')
  })
})

describe('a change that must be undone', () => {
  it('keeps its incident open after the alert has resolved, and is undone by a plan of its own', async () => {
    const l = await begin('undoes')
    expect(owedUndo(await l.incident())).toBeNull()
    expect(await l.run('p1')).toBe('succeeded')
    await l.resolve(l.w)
    const resolved = await l.incident()
    expect([resolved.resolvedAt !== null, isQuiet(resolved), nextRung(resolved)?.id]).toEqual([true, false, 'replace'])
    await l.w.botTick()
    expect(await l.w.journal.active()).toEqual([l.id])
    expect(await l.ask('p2')).toEqual({ ok: true })
    expect(await l.run('p2')).toBe('succeeded')
    expect(isQuiet(await l.incident())).toBe(true)
    expect(await l.ask('p3')).toEqual({ ok: false, reason: 'incident_resolved' })
  })

  it('is mentioned after an hour, two more, four more, until it is undone', async () => {
    const l = await begin('undoes')
    await l.run('p1')
    const told = async (hours: number) => {
      l.w.time.offset += hours * 3_600_000
      await l.w.botTick()
      return (await l.incident()).undoReminders.length
    }
    expect([await told(0.9), await told(0.2), await told(1.5), await told(1), await told(3), await told(1.1)]).toEqual([
      0, 1, 1, 2, 2, 3,
    ])
    await l.ask('p2')
    await l.run('p2')
    expect(await told(100)).toBe(3)
  })

  it('stays owed when undoing it fails, is rejected, or its plan is withdrawn by nothing but a person', async () => {
    const l = await begin('undoes')
    await l.run('p1')
    await l.ask('p2')
    await l.resolve(l.w)
    expect((await l.w.state(l.id, 'p2')).status).toBe('open')
    await l.w.decide(l.id, 'reject', 'p2')
    expect(nextRung(await l.incident())?.id).toBe('replace')
    await l.ask('p3')
    l.w.lamp.checks = () => [{ title: 'it is off', ok: false, detail: '' }]
    expect(await l.run('p3')).toBe('failed')
    expect([owedUndo(await l.incident())?.step.id, isQuiet(await l.incident())]).toEqual(['replace', false])
  })

  it('is owed when it was cancelled too late to stop what was under way', async () => {
    const l = await begin('undoes')
    l.w.lamp.steps = ['first']
    l.w.lamp.finding = { landed: 'yes', detail: '' }
    const begun = l.w.hang()
    await l.w.decide(l.id, 'reject', 'p1')
    await l.w.handlers.request({ incident: l.id, step: 'switch', params: {}, person: ada })
    await l.w.propose(l.id, 'p2', true)
    const running = l.run('p2')
    await begun
    await l.w.handlers.cancel({ incident: l.id, proposal: 'p2', person: ada })
    expect(await running).toBe('cancelled')
    await l.resolve(l.w)
    expect([owedUndo(await l.incident())?.step.id, isQuiet(await l.incident())]).toEqual(['replace', false])
  })

  it('is owed when only a person can tell that the change was done', async () => {
    const l = await begin('undoes')
    l.w.lamp.finding = { landed: 'cannot_tell', detail: '' }
    l.w.lamp.work = async () => {
      throw new Error('no answer')
    }
    expect(await l.run('p1')).toBe('unknown')
    expect(await l.w.settle(l.id, 'done')).toEqual({ ok: true })
    expect([owedUndo(await l.incident())?.step.id, nextRung(await l.incident())?.id]).toEqual(['replace', 'replace'])
  })

  it('is undone also when the clock of the worker that changed it is ahead', async () => {
    const l = await begin('undoes')
    await l.w.decide(l.id, 'approve', 'p1', sam)
    l.w.time.offset += 600_000
    await l.w.runner('ahead').run(l.id, 'p1')
    l.w.time.offset -= 600_000
    expect(await l.ask('p2')).toEqual({ ok: true })
    expect(await l.run('p2')).toBe('succeeded')
    expect(owedUndo(await l.incident())).toBeNull()
  })

  it('can override a freeze window also when the alert has resolved', async () => {
    const l = await begin('undoes')
    await l.run('p1')
    await l.resolve(l.w)
    await l.w.handlers.request({ incident: l.id, step: 'replace', params: {}, person: ada })
    const { version } = await l.incident()
    const refused = { type: 'plan.refused', proposal: 'p2', reason: 'in it', window: 'the sale' } as const
    await l.w.journal.append(l.id, version, 'refused', [refused])
    const incident = await l.incident()
    const shown = proposalCard(incident, proposalOf(incident, 'p2')!, { policy: l.w.bench.policy, frozen: null })
    expect(JSON.stringify(shown)).toContain(ACTIONS.override)
    const asked = { incident: l.id, step: 'replace', params: {}, person: ada, override: 'the sale' }
    expect(await l.w.handlers.request(asked)).toEqual({ ok: true })
  })

  it('is not owed when nothing of the change landed', async () => {
    const l = await begin('undoes')
    l.w.lamp.work = async () => {
      throw new Error('no power')
    }
    expect(await l.run('p1')).toBe('failed')
    expect([owedUndo(await l.incident()), nextRung(await l.incident())]).toEqual([null, null])
  })
})

describe('a change that is not needed', () => {
  const LONG: Playbook = {
    ...PLAYBOOK,
    steps: PLAYBOOK.steps.flatMap((s) => (s.id === 'replace' ? [s, { ...s, id: 'rewire', title: '3. Rewire' }] : [s])),
  }
  const stranger = { ...ada, user: 'U0GUEST', guest: true }
  async function begin() {
    const w = await createBench(redis, {}, LONG)
    const id = await w.open()
    const skip = (step: string, person = ada) => w.handlers.skip({ incident: id, step, person })
    const card = async () => JSON.stringify(playbookCard((await w.journal.load(id))!))
    return { w, id, skip, card, incident: async () => (await w.journal.load(id))! }
  }

  it('is left out by a person, and the next one is offered; nothing has run', async () => {
    const l = await begin()
    expect(await l.skip('replace')).toEqual({ ok: false, reason: 'not_skippable' })
    await l.w.decide(l.id, 'approve', 'p1', sam)
    await l.w.runner('w1').run(l.id, 'p1')
    expect(await l.card()).toContain(ACTIONS.skip)
    expect(await l.skip('replace', stranger)).toEqual({ ok: false, reason: 'person_is_guest' })
    expect(await l.skip('nothing')).toEqual({ ok: false, reason: 'no_such_step' })
    expect(await l.skip('replace')).toEqual({ ok: true })
    const after = await l.incident()
    expect([nextRung(after)?.id, after.proposals.length]).toEqual(['rewire', 1])
    expect(await l.card()).toMatch(/is not needed, said ada/)
    // Nothing follows the last one.
    expect(await l.card()).not.toContain(ACTIONS.skip)
    expect(await l.skip('rewire')).toEqual({ ok: false, reason: 'not_skippable' })
  })

  it('can be asked for later all the same, and pressed twice it is left out once', async () => {
    const l = await begin()
    await l.w.decide(l.id, 'approve', 'p1', sam)
    await l.w.runner('w1').run(l.id, 'p1')
    expect([await l.skip('replace'), await l.skip('replace')]).toEqual([{ ok: true }, { ok: true }])
    const entries = (await l.w.journal.entries(l.id)).filter((e) => e.event.type === 'step.skipped')
    expect(entries).toHaveLength(1)
    expect(await l.w.handlers.request({ incident: l.id, step: 'replace', params: {}, person: ada })).toEqual({
      ok: true,
    })
  })

  it('is what must be undone only when its plan cannot be made any more, and then an approver says that it was done', async () => {
    const undoing = { ...LONG, steps: LONG.steps.filter((s) => s.id !== 'rewire').map(undoes) }
    const w = await createBench(redis, {}, undoing)
    const id = await w.open()
    const incident = async () => (await w.journal.load(id))!
    const skip = (who = ada) => w.handlers.skip({ incident: id, step: 'replace', person: who })
    const ask = async (proposal: string) => {
      expect(await w.handlers.request({ incident: id, step: 'replace', params: {}, person: ada })).toEqual({ ok: true })
      await w.propose(id, proposal, true)
    }
    await w.decide(id, 'approve', 'p1', sam)
    await w.runner('w1').run(id, 'p1')
    await w.ingest({ alerts: [alertOf({ status: 'resolved', endsAt: '2026-01-02T04:00:00.000Z' })], truncated: 0 })
    expect(await skip()).toEqual({ ok: false, reason: 'not_skippable' })
    const books = w.bench.playbooks as Map<string, Playbook>
    books.set(undoing.id, { ...undoing, hash: 'sha256:2' })
    await ask('p2')
    expect(await w.state(id, 'p2')).toMatchObject({ status: 'plan_failed', note: expect.stringContaining('by hand') })
    books.delete(undoing.id)
    await ask('p3')
    expect((await w.state(id, 'p3')).status).toBe('plan_failed')
    expect([isQuiet(await incident()), owedUndo(await incident())?.step.id]).toEqual([false, 'replace'])
    expect(JSON.stringify(playbookCard(await incident()))).toContain('Undone by hand')
    expect(await skip(person('U0WHO'))).toEqual({ ok: false, reason: 'not_an_approver' })
    expect(await skip()).toEqual({ ok: true })
    expect([isQuiet(await incident()), owedUndo(await incident())]).toEqual([true, null])
    await w.botTick(true)
    expect(await w.journal.active()).toEqual([])
  })

  it('is never one that must be undone', async () => {
    const w = await createBench(redis, {}, { ...LONG, steps: LONG.steps.map(undoes) })
    const id = await w.open()
    await w.decide(id, 'approve', 'p1', sam)
    await w.runner('w1').run(id, 'p1')
    expect(nextRung((await w.journal.load(id))!)?.id).toBe('replace')
    expect(await w.handlers.skip({ incident: id, step: 'replace', person: ada })).toEqual({
      ok: false,
      reason: 'not_skippable',
    })
  })
})
