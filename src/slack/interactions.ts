import type { App } from '@slack/bolt'
import type { ModalView } from '@slack/types'
import type { Logger as Log } from 'pino'
import { z } from 'zod'
import { type Incident, proposalOf, riskOf, slotValues, stepOf } from '../domain/incident.ts'
import { type Field, fill } from '../domain/playbook.ts'
import { approverNames, type Person, type Policy, requirement } from '../domain/policy.ts'
import type { Handlers, Postbox } from '../domain/ports.ts'
import { type Reason, sentence } from '../domain/reason.ts'
import {
  ACTION_PATTERN,
  CALLBACK_PATTERN,
  errorsByBlock,
  type ModalState,
  type Press,
  REASON_BLOCK,
  readChecked,
  readModal,
  readParams,
  readPress,
  readReason,
} from './actions.ts'
import type { People } from './approvers.ts'
import { adviceOf } from './refusal.ts'
import type { Fault, Place, Send } from './send.ts'
import { ANCHOR } from './show.ts'

type StateOf<K extends ModalState['kind']> = Extract<ModalState, { kind: K }>

/** The modals that people fill. */
export type Modals = Readonly<{
  /** Shown at once, while it is looked up whether and what to ask. */
  loading(): ModalView
  /** One sentence instead of a form. */
  notice(text: string): ModalView
  decide(incident: Incident, state: StateOf<'decide'>, needsReason: boolean): ModalView
  params(incident: Incident, state: StateOf<'params'>, fields: readonly Field[]): ModalView
  narrow(incident: Incident, state: StateOf<'narrow'>): ModalView
  settle(incident: Incident, state: StateOf<'settle'>): ModalView
  freeze(state: StateOf<'freeze'>): ModalView
}>

/** A press of the kill switch, in a message or in the Home tab. */
const Switched = z.object({
  user: z.object({ id: z.string() }),
  trigger_id: z.string(),
  actions: z.array(z.object({ action_id: z.string(), value: z.string().nullish() })).min(1),
})
const Pressed = z.object({
  user: z.object({ id: z.string() }),
  trigger_id: z.string(),
  container: z.object({ channel_id: z.string(), message_ts: z.string(), thread_ts: z.string().nullish() }),
  actions: z.array(z.object({ action_id: z.string(), value: z.string().nullish() })).min(1),
})
const Submitted = z.object({
  user: z.object({ id: z.string() }),
  view: z.object({
    callback_id: z.string(),
    private_metadata: z.string(),
    state: z.object({ values: z.unknown() }),
    blocks: z.array(z.looseObject({ type: z.string(), block_id: z.string().nullish() })),
  }),
})

const LATE = ['exchanged_trigger_id', 'expired_trigger_id', 'invalid_trigger_id']
/** Why there is no form, for the person who pressed. */
const notOpened = (fault: Fault): string =>
  fault.kind === 'refused' && !LATE.includes(fault.error)
    ? `Slack does not let Keyturn open the form, so nothing was done: ${adviceOf(fault.error)}.`
    : 'Slack did not open the form in time, so nothing was done. Press again.'

/** What a click is about, and where to answer the person who made it. */
type Click = { user: string; trigger: string; channel: string; ts: string; at: Place }
/** Tells Slack that the click was taken; a submission can be answered with errors beside its fields. */
type Ack = (
  answer?: { response_action: 'clear' } | { response_action: 'errors'; errors: Record<string, string> },
) => Promise<void>

/** For what everybody of the organisation may do. */
const NO_LISTS: readonly string[] = []
const TRY_AGAIN = 'This could not be looked up just now. Close this and press again in a moment.'

/**
 * Listens to our buttons and modals. An acknowledgement is a promise: where a click changes something it is given after
 * that is stored, and a throw before it makes Slack show its own error. Refusals are told to the person alone. Who pressed
 * is taken from the signed payload's user id, and what they may do from a look-up made now.
 */
export function listen(
  app: App,
  deps: {
    handlers: Handlers
    postbox: Pick<Postbox, 'read'>
    people: People
    send: Send
    policy: Policy
    modals: Modals
    /** Draws a person's Home tab anew. */
    drawHome(user: string): Promise<void>
    log: Log
  },
): void {
  const { handlers, postbox, people, send, policy, modals, log } = deps

  /** The lists that count for a playbook: no others are asked for. */
  const listsOf = (incident: Incident | null) => (incident ? approverNames(policy, incident.playbook) : NO_LISTS)
  /** What may be asked of a person who submits a form: everybody may ask, stop and freeze. */
  async function listsFor(state: ModalState): Promise<readonly string[]> {
    if (state.kind === 'freeze') return state.verb === 'thaw' ? Object.keys(policy.approvers) : NO_LISTS
    return state.kind === 'decide' || state.kind === 'settle' ? listsOf(await handlers.load(state.incident)) : NO_LISTS
  }

  const tell = (click: Click, text: string) => send.tell(click.at, click.user, text)

  async function refuse(click: Click, ack: Ack, reason: Reason): Promise<void> {
    log.info({ user: click.user, reason }, 'click refused')
    await ack()
    await tell(click, sentence(reason))
  }

  /** Why a press does not count where it was made, since a button counts only on the message that carries it now. */
  async function misplaced(press: Exclude<Press, { kind: 'freeze' }>, click: Click): Promise<Reason | null> {
    const posted = await postbox.read(press.incident)
    const own =
      press.kind === 'decide' || press.kind === 'narrow'
        ? [posted[`proposal:${press.proposal}`]]
        : Object.entries(posted).flatMap(([key, one]) => (key === ANCHOR ? [] : [one]))
    if (own.some((one) => one?.channel === click.channel && one.ts === click.ts)) return null
    // The reply to its post was lost, and Slack is still being asked which message it is.
    const unsettled = own.some((one) => one && one.ts === null && one.attemptedAt > 0)
    return unsettled ? 'message_unsettled' : 'wrong_message'
  }

  /** Opens a modal at once, since a trigger lives 3 s, and fills it when it is known what to ask this person. */
  async function ask(
    click: Click,
    ack: Ack,
    lists: readonly string[],
    fillIn: (person: Person) => Promise<ModalView | { reason: Reason }>,
  ): Promise<void> {
    await ack()
    const [opened, looked] = await Promise.all([
      send.open(click.trigger, modals.loading()),
      people.lookUp(click.user, lists),
    ])
    if (!opened.ok) {
      log.warn({ user: click.user, fault: opened.fault }, 'modal not opened')
      return tell(click, notOpened(opened.fault))
    }
    const view = looked.ok
      ? await fillIn(looked.person).catch((err: unknown) => {
          log.error({ err, user: click.user }, 'modal not filled')
          return modals.notice(TRY_AGAIN)
        })
      : { reason: looked.reason }
    if ('reason' in view) log.info({ user: click.user, reason: view.reason }, 'click refused')
    const replaced = await send.replace(opened.value, 'reason' in view ? modals.notice(sentence(view.reason)) : view)
    // Whoever has closed it does not wait for it.
    const closed = !replaced.ok && replaced.fault.kind === 'refused' && replaced.fault.error === 'not_found'
    if (!replaced.ok && !closed) {
      log.warn({ user: click.user, fault: replaced.fault }, 'modal not filled')
      await tell(click, TRY_AGAIN)
    }
  }

  const originOf = (click: Click) => ({ channel: click.channel, ts: click.ts })

  async function onDecide(press: Extract<Press, { kind: 'decide' }>, click: Click, ack: Ack): Promise<void> {
    const { incident: id, proposal, digest, verdict } = press
    const intent = { incident: id, proposal, digest, verdict }
    const state = { ...intent, kind: 'decide' as const, origin: originOf(click) }
    const incident = await handlers.load(id)
    if (!incident) return refuse(click, ack, 'no_such_incident')
    const known = proposalOf(incident, proposal)
    if (verdict === 'reject' || !known || requirement(policy, riskOf(incident, known)).reason)
      return ask(click, ack, listsOf(incident), async (person) => {
        const may = await handlers.mayDecide({ ...intent, person })
        return may.ok ? modals.decide(may.incident, state, may.needsReason) : may
      })
    const looked = await people.lookUp(click.user, listsOf(incident))
    if (!looked.ok) return refuse(click, ack, looked.reason)
    const { person } = looked
    const answer = await handlers.decide({ ...intent, reason: '', person })
    return answer.ok ? ack() : refuse(click, ack, answer.reason)
  }

  async function onRequest(press: Extract<Press, { kind: 'request' }>, click: Click, ack: Ack): Promise<void> {
    const { incident: id, step, override } = press
    const state = { kind: 'params' as const, incident: id, step, origin: originOf(click) }
    const incident = await handlers.load(id)
    if (!incident) return refuse(click, ack, 'no_such_incident')
    const call = stepOf(incident, step)?.call
    if (call && override === undefined && fill(call, slotValues(incident)).missing.length > 0)
      return ask(click, ack, NO_LISTS, async (person) => {
        const answer = await handlers.request({ incident: id, step, params: {}, person })
        if (answer.ok) return modals.notice('It was asked for; the answer comes in the thread.')
        return answer.ask?.length ? modals.params(incident, state, answer.ask) : answer
      })
    const looked = await people.lookUp(click.user, NO_LISTS)
    if (!looked.ok) return refuse(click, ack, looked.reason)
    const asked = { incident: id, step, params: {}, person: looked.person }
    const answer = await handlers.request(override === undefined ? asked : { ...asked, override })
    if (answer.ok) return ack()
    if (!answer.ask?.length) return refuse(click, ack, answer.reason)
    // The alert filled every slot, with something that the command does not take.
    const opened = await send.open(click.trigger, modals.params(incident, state, answer.ask))
    return opened.ok ? ack() : refuse(click, ack, answer.reason)
  }

  async function onCancel(press: Extract<Press, { kind: 'cancel' }>, click: Click, ack: Ack): Promise<void> {
    const looked = await people.lookUp(click.user, NO_LISTS)
    if (!looked.ok) return refuse(click, ack, looked.reason)
    const { incident, proposal } = press
    const answer = await handlers.cancel({ incident, proposal, person: looked.person })
    return answer.ok ? ack() : refuse(click, ack, answer.reason)
  }

  async function onSkip(press: Extract<Press, { kind: 'skip' }>, click: Click, ack: Ack): Promise<void> {
    const looked = await people.lookUp(click.user, NO_LISTS)
    if (!looked.ok) return refuse(click, ack, looked.reason)
    const answer = await handlers.skip({ incident: press.incident, step: press.step, person: looked.person })
    return answer.ok ? ack() : refuse(click, ack, answer.reason)
  }

  async function onSettle(press: Extract<Press, { kind: 'settle' }>, click: Click, ack: Ack): Promise<void> {
    return ask(click, ack, NO_LISTS, async () => {
      const incident = await handlers.load(press.incident)
      return incident ? modals.settle(incident, { ...press, origin: originOf(click) }) : { reason: 'no_such_incident' }
    })
  }

  async function onNarrow(press: Extract<Press, { kind: 'narrow' }>, click: Click, ack: Ack): Promise<void> {
    return ask(click, ack, NO_LISTS, async () => {
      const incident = await handlers.load(press.incident)
      return incident ? modals.narrow(incident, { ...press, origin: originOf(click) }) : { reason: 'no_such_incident' }
    })
  }

  async function onPress(body: unknown, ack: Ack): Promise<void> {
    const switched = Switched.parse(body)
    const toggle = readPress(switched.actions[0]!.action_id, switched.actions[0]!.value ?? undefined)
    if (toggle?.kind === 'freeze') {
      await ack()
      const opened = await send.open(switched.trigger_id, modals.freeze(toggle))
      if (!opened.ok) log.warn({ user: switched.user.id, fault: opened.fault }, 'modal not opened')
      return
    }
    const { user, trigger_id, container, actions } = Pressed.parse(body)
    const { channel_id: channel, message_ts: ts } = container
    const click = {
      user: user.id,
      trigger: trigger_id,
      channel,
      ts,
      at: { channel, thread: container.thread_ts ?? ts },
    }
    const press = readPress(actions[0]!.action_id, actions[0]!.value ?? undefined)
    if (!press || press.kind === 'freeze') return refuse(click, ack, 'wrong_message')
    const no = await misplaced(press, click)
    if (no) return refuse(click, ack, no)
    switch (press.kind) {
      case 'decide':
        return onDecide(press, click, ack)
      case 'request':
        return onRequest(press, click, ack)
      case 'narrow':
        return onNarrow(press, click, ack)
      case 'skip':
        return onSkip(press, click, ack)
      case 'cancel':
        return onCancel(press, click, ack)
      case 'settle':
        return onSettle(press, click, ack)
    }
  }

  async function onSubmit(body: unknown, ack: Ack): Promise<void> {
    const { user, view } = Submitted.parse(body)
    const inputs = view.blocks.flatMap((b) => (b.type === 'input' && b.block_id ? [b.block_id] : []))
    const errors = (byBlock: Record<string, string>, otherwise: string) => {
      const shown = Object.fromEntries(Object.entries(byBlock).filter(([block]) => inputs.includes(block)))
      const first = inputs.includes(REASON_BLOCK) ? REASON_BLOCK : (inputs[0] ?? REASON_BLOCK)
      const all = Object.keys(shown).length > 0 ? shown : { [first]: otherwise }
      return ack({ response_action: 'errors', errors: all })
    }
    const no = (reason: Reason) => {
      log.info({ user: user.id, reason }, 'submission refused')
      return errors({}, sentence(reason))
    }
    const state = readModal(view.callback_id, view.private_metadata)
    if (!state) return no('wrong_message')
    const looked = await people.lookUp(user.id, await listsFor(state))
    if (!looked.ok) return no(looked.reason)
    const { person } = looked
    if (state.kind === 'freeze') {
      const answer = await handlers[state.verb]({ reason: readReason(view.state.values), person })
      if (!answer.ok) return no(answer.reason)
      await ack({ response_action: 'clear' })
      return deps.drawHome(user.id)
    }
    const { incident } = state
    if (state.kind === 'params') {
      const answer = await handlers.request({
        incident,
        step: state.step,
        params: readParams(view.state.values),
        person,
      })
      if (answer.ok) return ack({ response_action: 'clear' })
      log.info({ user: user.id, reason: answer.reason }, 'submission refused')
      const faults = Object.entries(answer.errors ?? {})
      const told = faults.map(([name, what]) => `${name}: ${what}`).join('; ')
      return errors(errorsByBlock(answer.ask ?? [], answer.errors ?? {}), told || sentence(answer.reason))
    }
    const { proposal } = state
    if (state.kind === 'narrow') {
      const loaded = await handlers.load(incident)
      const parts = (loaded && proposalOf(loaded, proposal)?.subject?.plan.leaveOut?.names) ?? []
      const names = readChecked(view.state.values).flatMap((n) => parts[n] ?? [])
      const answer = await handlers.narrow({ incident, proposal, digest: state.digest, names, person })
      return answer.ok ? ack({ response_action: 'clear' }) : no(answer.reason)
    }
    const reason = readReason(view.state.values)
    const answer =
      state.kind === 'decide'
        ? await handlers.decide({ incident, proposal, digest: state.digest, verdict: state.verdict, reason, person })
        : await handlers.settle({ incident, proposal, choice: state.choice, reason, person })
    return answer.ok ? ack({ response_action: 'clear' }) : no(answer.reason)
  }

  app.action(ACTION_PATTERN, ({ body, ack }) => onPress(body, ack as Ack))
  app.view(CALLBACK_PATTERN, ({ body, ack }) => onSubmit(body, ack as Ack))
  // A button that is a link is pressed too.
  app.action(/^(?!keyturn:)/, ({ ack }) => ack())
}
