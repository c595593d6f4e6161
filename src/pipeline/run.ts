import type { KeyObject } from 'node:crypto'
import { z } from 'zod'
import { type ChangeCommand, Check, Finding, Refused, type RunContext, Unanswered } from '../domain/command.ts'
import { freezeSentence } from '../domain/freeze.ts'
import { approvedAt } from '../domain/grant.ts'
import { type Incident, isOver, type Proposal, proposalOf } from '../domain/incident.ts'
import { digest, type Plan, type Subject } from '../domain/plan.ts'
import { approverNames } from '../domain/policy.ts'
import type { Holder } from '../domain/ports.ts'
import { type Reason, sentence } from '../domain/reason.ts'
import * as rule from '../domain/run.ts'
import { transact } from './transact.ts'
import {
  askedFor,
  makeSubject,
  messageOf,
  ownCall,
  PlaybookDiffers,
  READ_DEADLINE,
  refusedBy,
  struck,
  type Workbench,
  withContext,
} from './workbench.ts'

/** A run ends after this long, in minutes, unless its command says otherwise; its step is then probed like any other that broke. */
export const RUN_MINUTES = 60
const BEAT_EVERY = 1000
/** How long a run may go on after a freeze, in milliseconds. */
const FREEZE_WITHIN = 500

/** The journal does not let this run go on: it was cancelled, or declared unknown, or is not the approved plan. */
class Fenced extends Error {
  override name = 'Fenced'
  readonly reason: Reason
  constructor(reason: Reason) {
    super(sentence(reason))
    this.reason = reason
  }
}

/** Runs what was granted: exactly that, and at most once. */
export function createRun(
  bench: Workbench & { publicKey: KeyObject; worker: string; onError: (error: unknown) => void },
) {
  const { journal, locks, pulse, worker, onError } = bench

  /** Verifies the grant, makes the plan again, compares, takes the locks and stores START. */
  async function begin(incident: Incident, proposal: Proposal, holder: Holder): Promise<Subject | null> {
    const id = incident.id
    const end = async (why: string) => {
      await transact(bench, id, (i) => rule.voidGrant(i, proposal.id, why))
      return null
    }
    let view: rule.WorkerView
    try {
      const { playbook, command } = ownCall(bench, incident, proposal.step)
      const risk = command.effect === 'read' || proposal.override !== null ? 'high' : (command as ChangeCommand).risk
      view = {
        publicKey: bench.publicKey,
        policy: bench.policy,
        approvers: approverNames(bench.policy, playbook),
        risk,
      }
    } catch (error) {
      if (error instanceof PlaybookDiffers) return end(error.message)
      throw error
    }
    const no = rule.checkGrant(incident, proposal.id, view, bench.clock())
    if (no === 'not_open') return null
    if (no) return end(sentence(no))

    /** `frozen`: the grant waits; it is looked at again until it lapses, or the freeze is lifted. */
    const chill = async () => {
      const last = await bench.lastFreeze()
      if (!last || !proposal.grant) return null
      if (last.until === null) return 'frozen'
      return Date.parse(last.until) >= approvedAt(proposal.grant) ? 'frozen_since' : null
    }
    const before = await chill()
    if (before) return before === 'frozen' ? null : end(sentence(before))

    let fresh: Subject
    try {
      fresh = await makeSubject(bench, incident, proposal)
    } catch (error) {
      if (error instanceof Refused) {
        await transact(bench, id, (i) => rule.moved(i, proposal.id, refusedBy(bench, error)))
        return null
      }
      return end(`The plan could not be made again, so nothing ran: ${messageOf(bench, error)}`)
    }
    if (digest(fresh) !== proposal.grant?.digest) {
      await transact(bench, id, (i) => rule.moved(i, proposal.id, { subject: fresh }))
      return null
    }
    const targets = fresh.plan.targets.map((t) => t.id)
    const locked = await take(targets, holder)
    if (!locked.ok) return end(heldBy(locked))
    const since = await chill()
    if (since) {
      await locks.release(locked.fresh, locked.holder)
      return since === 'frozen' ? null : end(sentence(since))
    }
    // From here on the run is visibly alive: nobody may find it started and without a pulse.
    await pulse.beat(id, proposal.id, worker)
    const started = await transact(bench, id, (i) => rule.start(i, proposal.id, fresh, worker, view, bench.clock()))
    if (!started.ok) {
      // Another worker may have taken the same job, and its START may stand: what it holds is left to it.
      await locks.release(locked.fresh, locked.holder)
      return started.reason === 'not_open' ? null : end(sentence(started.reason))
    }
    await locks.began(targets, holder, bench.clock()).catch(onError)
    // Who took this proposal for over may have freed its locks just before START; now nobody does that any more.
    const confirmed = await locks.acquire(targets, { ...holder, take: bench.ids() })
    if (confirmed.ok) return fresh
    const over = await conclude(id, proposal.id, { outcome: 'cancelled', message: heldBy(confirmed), checks: [] })
    if (over === 'over') await locks.release(targets, holder)
    return null
  }

  const heldBy = ({ target, holder }: { target: string; holder: Holder }) =>
    `${sentence('target_locked')} ${target} is held by ${holder.proposal} of incident ${holder.incident}. Nothing has run.`

  /** Takes the locks; one that a run left behind when it was over is freed first. */
  async function take(targets: string[], proposal: Holder) {
    for (;;) {
      const holder = { ...proposal, take: bench.ids() }
      const locked = await locks.acquire(targets, holder)
      if (locked.ok) return { ...locked, holder }
      const theirs = (await journal.load(locked.holder.incident))?.proposals.find(
        (p) => p.id === locked.holder.proposal,
      )
      if (!theirs || !(isOver(theirs) || theirs.status === 'open')) return locked
      await locks.release([locked.target], locked.holder)
    }
  }

  /** Executes a started run, and says how it ended. */
  async function execute(id: string, proposal: Proposal, subject: Subject): Promise<'over' | 'unknown'> {
    const command = bench.commands.get(subject.command.id)!.command as ChangeCommand
    const plan = subject.plan as Plan
    const stop = new AbortController()
    const finished: Record<string, unknown> = Object.fromEntries(
      (subject.resumes?.done ?? []).map((s) => [s, undefined]),
    )
    const before = (await journal.load(id))?.proposals.find((p) => p.id === subject.resumes?.proposal)
    for (const s of Object.keys(finished)) finished[s] = before?.run?.steps[s]?.result ?? undefined
    let current: string | null = null
    let fence: Fenced | null = null
    /** Whether what was under way was left without an answer; true until the run itself has said how it broke. */
    let cut = true

    const checkpoint = async (ruling: (i: Incident) => ReturnType<typeof rule.startStep>) => {
      const stored = await transact(bench, id, ruling)
      if (!stored.ok) {
        fence = new Fenced(stored.reason)
        stop.abort(fence)
        throw fence
      }
    }
    const heed = async () => {
      const freeze = await bench.lastFreeze()
      if (freeze?.until === null) stop.abort(new Error(freezeSentence(freeze)))
    }
    const step: RunContext['step'] = async (name, work) => {
      if (Object.hasOwn(finished, name)) return finished[name] as never
      await heed()
      stop.signal.throwIfAborted()
      await checkpoint((i) => rule.startStep(i, proposal.id, name, worker))
      current = name
      const result = struck(bench, { is: await work() }) as { is?: never }
      current = null
      await checkpoint((i) => rule.finishStep(i, proposal.id, name, result.is, worker))
      return result.is as never
    }
    const heart = setInterval(() => void pulse.beat(id, proposal.id, worker).catch(onError), BEAT_EVERY)
    // Without Redis only the file is seen, and only that ends a step under way.
    const ice = setInterval(() => void heed().catch(() => {}), FREEZE_WITHIN)
    const unwatch = journal.watch((changed) => {
      if (changed !== id || stop.signal.aborted) return
      journal.load(id).then((i) => {
        const cancelled = i && proposalOf(i, proposal.id)?.run?.cancelledBy
        if (cancelled) stop.abort(new Error(`cancelled by ${cancelled.name}`))
      }, onError)
    })
    try {
      const message = await withContext(
        bench,
        askedFor(id, proposal),
        (command.runMinutes ?? RUN_MINUTES) * 60_000,
        async (ctx) => {
          const signal = AbortSignal.any([ctx.signal, stop.signal])
          try {
            return await command.run(plan, {
              ...ctx,
              signal,
              step,
              progress: (done, total, note = '') =>
                void pulse.progress(id, proposal.id, { done, total, note }).catch(onError),
            })
          } catch (error) {
            cut = signal.aborted || error instanceof Unanswered
            throw error
          }
        },
      )
      const checks = await verify(id, command, plan, proposal)
      const helped = checks.every((c) => c.ok)
      const rest =
        checks.length === 0
          ? ' Nothing was verified: this change has no check.'
          : helped
            ? ''
            : ' But the checks say that it did not help.'
      const end = {
        outcome: helped ? ('succeeded' as const) : ('failed' as const),
        message: `${bench.strike(message)}${rest}`.toWellFormed(),
        checks,
      }
      return await conclude(id, proposal.id, end)
    } catch (error) {
      if (fence && (fence as Fenced).reason !== 'not_running') onError(error)
      const wasCancelled = stop.signal.aborted
      const why = wasCancelled ? messageOf(bench, stop.signal.reason) : messageOf(bench, error)
      // Refused is thrown before the effect; anything else may have left one behind.
      const broken = error instanceof Refused ? null : (current as string | null)
      const finding = broken ? await look(id, command, plan, broken, proposal) : null
      const titled = `“${plan.steps.find((s) => s.id === broken)?.title ?? broken}”`
      // What got no answer may land later: that it is not there yet proves nothing.
      const pending = finding?.landed === 'no' && cut
      if (finding && (finding.landed === 'cannot_tell' || pending || (finding.landed === 'yes' && !wasCancelled))) {
        const message = `${titled} broke off: ${why}.${pending ? ' It was under way and may still land.' : ''}`
        await transact(bench, id, (i) =>
          rule.loseTrack(i, proposal.id, message.replace('..', '.'), [{ ...finding, step: broken! }]),
        )
        return 'unknown'
      }
      // It was cancelled too late: what landed counts, also as something to be undone.
      if (finding?.landed === 'yes')
        await transact(bench, id, (i) => rule.finishStep(i, proposal.id, broken!, undefined, worker))
      const landed = finding?.landed === 'yes' ? ` The step ${titled} had landed.` : ''
      const outcome = wasCancelled ? ('cancelled' as const) : ('failed' as const)
      return await conclude(id, proposal.id, { outcome, message: `${why}.${landed}`.replace('..', '.'), checks: [] })
    } finally {
      clearInterval(heart)
      clearInterval(ice)
      unwatch()
    }
  }

  async function conclude(
    id: string,
    proposal: string,
    end: { outcome: 'succeeded' | 'failed' | 'cancelled'; message: string; checks: Check[] },
  ): Promise<'over' | 'unknown'> {
    const stored = await transact(bench, id, (i) => rule.finish(i, proposal, end, worker))
    // Declared unknown meanwhile: a person has been asked, and the locks stay.
    return stored.ok ? 'over' : 'unknown'
  }

  async function verify(id: string, command: ChangeCommand, plan: Plan, proposal: Proposal): Promise<Check[]> {
    try {
      return await withContext(bench, askedFor(id, proposal), READ_DEADLINE, async (ctx) =>
        z.array(Check).parse(struck(bench, await command.verify(plan, ctx))),
      )
    } catch (error) {
      return [{ title: 'Verification', ok: false, detail: `could not be made: ${messageOf(bench, error)}` }]
    }
  }

  async function look(
    id: string,
    command: ChangeCommand,
    plan: Plan,
    step: string,
    proposal: Proposal,
  ): Promise<Finding> {
    try {
      return await withContext(bench, askedFor(id, proposal), READ_DEADLINE, async (ctx) =>
        Finding.parse(struck(bench, await command.probe(plan, step, ctx))),
      )
    } catch (error) {
      return { landed: 'cannot_tell', detail: `The probe failed: ${messageOf(bench, error)}` }
    }
  }

  return {
    async run(id: string, proposalId: string): Promise<void> {
      const incident = await journal.load(id)
      const proposal = incident && proposalOf(incident, proposalId)
      if (!incident || proposal?.status !== 'granted') return
      const holder = { incident: id, proposal: proposalId }
      const subject = await begin(incident, proposal, holder)
      if (!subject) return
      if ((await execute(id, proposal, subject)) === 'over')
        await locks
          .release(
            subject.plan.targets.map((t) => t.id),
            holder,
          )
          .catch(onError)
    },

    /** A run has no pulse any more: looks which steps landed, and says that the outcome is not known. */
    async probe(id: string, proposalId: string): Promise<void> {
      const incident = await journal.load(id)
      const proposal = incident && proposalOf(incident, proposalId)
      if (!proposal?.subject || proposal.status !== 'running' || (await pulse.alive(id, proposalId))) return
      const { run } = proposal
      // Whoever can write to Redis could have put another plan there, and a probe takes its plan at its word.
      const subject = rule.grantedSubject(incident!, proposal, bench.publicKey)
      const command = subject && (bench.commands.get(subject.command.id)?.command as ChangeCommand | undefined)
      const begun = Object.entries(run?.steps ?? {}).filter(([, s]) => s.status === 'running')
      const blind = subject
        ? 'This worker does not know the command.'
        : 'The plan in the journal is not the one that was approved, so nobody looked.'
      const findings: (Finding & { step: string })[] = []
      for (const [step] of begun) {
        const finding = command
          ? await look(id, command, subject.plan as Plan, step, proposal)
          : ({ landed: 'cannot_tell', detail: blind } as const)
        findings.push({ ...finding, step })
      }
      const done = Object.values(run?.steps ?? {}).filter((s) => s.status === 'done').length
      const { steps } = proposal.subject.plan
      const known = `${done} of ${steps.length} ${steps.length === 1 ? 'step' : 'steps'}`
      const names = begun.map(([id]) => `“${steps.find((s) => s.id === id)?.title ?? id}”`)
      const message = `The worker that ran this is gone. Known to be done: ${known}; under way: ${names.join(', ') || 'none'}.`
      await transact(bench, id, (i) => rule.loseTrack(i, proposalId, message, findings))
    },
  }
}
