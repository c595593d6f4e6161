import { z } from 'zod'
import { defineChange, type Finding, Refused, type RunContext } from '../../src/domain/command.ts'
import type { Job } from '../../src/domain/job.ts'
import { createFreezer } from '../../src/pipeline/freezer.ts'
import { createHandlers } from '../../src/pipeline/handlers.ts'
import { createIngest } from '../../src/pipeline/ingest.ts'
import { createPropose } from '../../src/pipeline/propose.ts'
import { createRun } from '../../src/pipeline/run.ts'
import { createBotTick, createWorkerTick } from '../../src/pipeline/tick.ts'
import type { Workbench } from '../../src/pipeline/workbench.ts'
import type { Bug } from './bugs.ts'
import type { Process, Random, Scheduler } from './scheduler.ts'
import { type Effect, keys, playbook, STEPS, stranger } from './simulation-cast.ts'
import type { Store } from './simulation-store.ts'

/** The one target: how it is, the instant of the schedule, and what it has seen. */
export type Target = { bulb: string; instant: number; effects: Effect[] }

const ordinal = (id: string) => Number(id.split('#')[1])
const incidentId = (group: string, n: number) => `${group}#${n}`

/** Bots and workers of the real pipeline on one store and one target. */
export function createActors(world: {
  scheduler: Scheduler
  random: Random
  time: { now: number }
  store: Store
  target: Target
  bug: Bug
}) {
  const { scheduler, random, time, store, target, bug } = world

  /** The target does it: what it has seen is its own. It looks at itself first, as every command does. */
  async function effect(process: Process, seen: Effect, fingerprint: string): Promise<void> {
    await scheduler.call(process, () => {
      if (seen.step === STEPS[0] && fingerprint !== bug.sees(target.bulb)) throw new Refused('It is not what it was.')
      target.effects.push(Object.assign(seen, { from: target.instant, bulb: target.bulb, at: time.now }))
    })
    await scheduler.call(process, () => {
      seen.to = target.instant
    })
    if (random.chance(0.06)) throw new Error('the reply was lost')
  }

  function command(process: Process, incident: string, proposal: string) {
    return defineChange({
      id: 'lamp.switch',
      summary: 'Switch it on',
      effect: 'once',
      risk: 'low',
      params: z.object({}),
      plan: () =>
        scheduler.call(process, () => ({
          summary: 'Switch it on',
          targets: [{ id: 'lamp', name: 'lamp', fingerprint: bug.sees(target.bulb), details: {} }],
          steps: STEPS.map((id) => ({ id, title: id, detail: '' })),
          warnings: [],
          data: null,
        })),
      async run(plan, ctx: RunContext) {
        for (const step of STEPS)
          await ctx.step(step, async (): Promise<undefined> => {
            const change = () =>
              effect(
                process,
                { incident, proposal, step, bulb: '', from: 0, to: null, at: 0 },
                plan.targets[0]!.fingerprint,
              )
            await change().catch((error: unknown) => {
              if (!bug.retries || error instanceof Refused || process.dead) throw error
              return change()
            })
          })
        return 'done'
      },
      verify: async () => [{ title: 'on', ok: true, detail: '' }],
      probe: (_plan, step) =>
        scheduler.call(
          process,
          (): Finding => ({
            landed: target.effects.some((e) => e.incident === incident && e.step === step && e.to !== null)
              ? 'yes'
              : 'cannot_tell',
            detail: '',
          }),
        ),
    })
  }

  function worker(name: string) {
    const process = scheduler.process(name)
    const base = store.common(process)
    const freezer = createFreezer({ ...base, incidentId, ordinal })
    const bench = (incident: string, proposal: string): Workbench => ({
      ...base,
      commands: new Map([['lamp.switch', { command: command(process, incident, proposal), version: '1' }]]),
      playbooks: new Map([[playbook.id, playbook]]),
      connections: {},
      secret: () => '',
      strike: (text) => text,
      lastFreeze: freezer.last,
      signal: process.signal,
    })
    return {
      process,
      tick: createWorkerTick(base),
      take(job: Job): Promise<void> {
        if (job.kind === 'evidence') return Promise.resolve()
        const own = bench(job.incident, job.proposal)
        if (job.kind === 'plan') return createPropose(own)(job.incident, job.proposal, true)
        const run = createRun({
          ...own,
          policy: base.policy,
          publicKey: bug.trusts(keys.publicKey, stranger.publicKey),
          worker: name,
          onError: () => {},
        })
        return job.kind === 'probe' ? run.probe(job.incident, job.proposal) : run.run(job.incident, job.proposal)
      },
    }
  }

  function bot(name: string) {
    const process = scheduler.process(name)
    const base = store.common(process)
    const freezer = createFreezer({ ...base, incidentId, ordinal })
    return {
      process,
      freezer,
      ingest: createIngest({ ...base, playbooks: [playbook], regex: () => false, incidentId, ordinal }),
      handlers: createHandlers({ ...base, freezer, keys: bug.signs(keys, stranger), faultsOf: () => ({}) }),
      tick: createBotTick({ ...base, freezer, keys, isShown: async () => true }),
    }
  }

  return { bot, worker }
}
