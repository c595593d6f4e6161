import type { Clock } from './clock.ts'
import type { Answer, Delivery } from './delivery.ts'
import { formatChannel, formatMessage, formatView } from './format.ts'
import { elementsOf, inputErrors, optionOf, stateField, stateValues } from './inputs.ts'
import { SlackError } from './methods/method.ts'
import { createView, parseView, replaceView } from './methods/views.ts'
import type { ResponseUrls } from './response-url.ts'
import type { Json, Message, State, View } from './state.ts'
import type { User } from './workspace.ts'

/** The payload with fields that nobody knows, and null where there is nothing; what people typed is left as it is. */
function surprising(payload: Json): Json {
  const more = { x_new_field: { of: ['somebody'] }, x_nothing: null }
  const inside = (value: unknown) => (typeof value === 'object' && value !== null ? { ...value, ...more } : value)
  const { actions, container, user, view } = payload as Record<string, Json | Json[] | undefined>
  return {
    ...payload,
    ...more,
    user: inside(user),
    ...(container && { container: { thread_ts: null, ...(inside(container) as Json) } }),
    ...(view && { view: inside(view) }),
    ...(Array.isArray(actions) && { actions: actions.map((one) => ({ ...one, value: one.value ?? null, ...more })) }),
  }
}

/** Where somebody presses: a message, or a view of theirs. */
export type Where = { channel: string; ts: string } | { view_id: string }
/** Which of several elements with the same action_id, and what is chosen or typed there. */
export interface Choice {
  block_id?: string
  value?: string
  selected_option?: string | { value: string }
  [field: string]: unknown
}
/** What the person saw: `ok`, or the error of Slack's client. `errors` are texts beside the fields of a modal. */
export interface PressResult {
  ok: boolean
  status: number
  error?: string
  errors?: Record<string, string>
}

/** People who press buttons, fill modals and close them; what they cannot do in Slack throws here. */
export function createInteractions(deps: {
  state: State
  clock: Clock
  delivery: Delivery
  responseUrls: ResponseUrls
  url: () => string
}) {
  const { state, clock, delivery, responseUrls, url } = deps

  function actor(id: string): User {
    const user = state.user(id)
    if (!user) throw new Error(`no user ${id} in this workspace`)
    if (user.deleted) throw new Error(`${user.name} is deactivated and cannot use Slack`)
    return user
  }

  function base(type: string, user: User): Json {
    const { team, bot } = state.workspace
    return {
      type,
      user: { id: user.id, username: user.name, name: user.name, team_id: user.team_id },
      api_app_id: bot.app_id,
      token: 'verification-token',
      team: { id: team.id, domain: team.domain },
      enterprise: null,
      is_enterprise_install: false,
    }
  }

  async function send(payload: Json, user: User, actionId: string): Promise<Answer & { seen?: string }> {
    if (state.faults.outage) return { status: 0, body: '', headers: {}, seen: "Slack can't be reached" }
    const answer = await delivery.interaction(state.faults.surprises ? surprising(payload) : payload)
    const seen = answer.error && `This app did not respond as expected (${answer.error})`
    state.presses.push({ at: clock.now(), user: user.id, action_id: actionId, status: answer.status, error: seen })
    state.record({
      kind: 'interaction',
      name: String(payload.type),
      status: answer.status,
      error: answer.error,
      args: payload,
      ...(typeof answer.body === 'object' && answer.body !== null ? { response: answer.body as Json } : {}),
    })
    return { ...answer, seen }
  }

  function locate(user: User, where: Where): { blocks: Json[]; message?: Message; view?: View } {
    if ('view_id' in where) {
      const view = state.view(where.view_id)
      if (!view || view.user !== user.id) throw new Error(`${user.name} has no view ${where.view_id} open`)
      return { blocks: view.definition.blocks, view }
    }
    const channel = state.channel(where.channel)
    if (!channel?.members.includes(user.id)) throw new Error(`${user.name} is not in channel ${where.channel}`)
    const message = state.message(channel.id, where.ts)
    if (!message || (message.ephemeral_to && message.ephemeral_to !== user.id))
      throw new Error(`${user.name} sees no message ${where.ts} in ${channel.name}`)
    return { blocks: message.blocks ?? [], message }
  }

  /** The action of the payload, and the entered value kept as the state of the element. */
  function act(element: Json, block: Json, choice: Choice, inputs: Record<string, Record<string, Json>>): Json {
    const { action_id, type, text, value, style } = element
    const common = { action_id, block_id: block.block_id, type, action_ts: `${(clock.now() / 1000).toFixed(6)}` }
    const field = stateField(element)
    if (!field) return { ...common, text, value, ...(style !== undefined && { style }) }
    const given = choice[field] ?? choice.value ?? null
    const pick = (one: unknown) =>
      optionOf(element, typeof one === 'object' && one !== null ? (one as Json).value : one)
    const chosen =
      given !== null && field === 'selected_option' && element.type !== 'external_select'
        ? pick(given)
        : Array.isArray(given) && field === 'selected_options'
          ? given.map(pick)
          : given
    const entered = { type, [field]: chosen }
    const blockId = String(block.block_id)
    inputs[blockId] = { ...inputs[blockId], [String(action_id)]: entered }
    return { ...common, ...entered }
  }

  async function press(userId: string, where: Where, actionId: string, choice: Choice = {}): Promise<PressResult> {
    const user = actor(userId)
    const { blocks, message, view } = locate(user, where)
    const matches = elementsOf(blocks).filter(
      ({ element, block }) =>
        element.action_id === actionId &&
        (choice.block_id === undefined || choice.block_id === block.block_id) &&
        (element.type !== 'button' || choice.value === undefined || choice.value === element.value),
    )
    const found = matches[0]
    if (!found) {
      const there = elementsOf(blocks).map(({ element }) => element.action_id)
      throw new Error(`there is no ${actionId} to press; there is ${there.join(', ') || 'nothing to press'}`)
    }
    const action = act(found.element, found.block, choice, message?.inputs ?? view?.values ?? {})
    const container = message
      ? {
          type: 'message',
          message_ts: message.ts,
          channel_id: message.channel,
          is_ephemeral: message.ephemeral_to !== undefined,
          ...(message.thread_ts && { thread_ts: message.thread_ts }),
        }
      : { type: 'view', view_id: view?.id }
    const channel = message && state.channel(message.channel)
    const payload: Json = {
      ...base('block_actions', user),
      container,
      trigger_id: state.trigger(user.id, view?.id),
      ...(message &&
        channel && {
          channel: { id: channel.id, name: formatChannel(channel, state).name ?? 'directmessage' },
          message: formatMessage(message, state, url()),
          state: { values: stateValues(blocks, message.inputs) },
          response_url: responseUrls.create(message, user.id),
        }),
      ...(view && { view: { ...formatView(view, state), state: { values: stateValues(blocks, view.values) } } }),
      actions: [action],
    }
    const answer = await send(payload, user, actionId)
    return { ok: !answer.seen, status: answer.status, error: answer.seen }
  }

  /** The modal on top of a user's stack. */
  function top(user: User, viewId: string): { view: View; stack: View[] } {
    const stack = state.modals.get(user.id) ?? []
    const view = stack.at(-1)
    if (!view || view.id !== viewId) throw new Error(`${user.name} does not have modal ${viewId} in front of them`)
    return { view, stack }
  }

  /** Does what the bot's answer to a submission says: errors, update, push, clear, or close this view. */
  function respond(user: User, view: View, stack: View[], body: unknown): Record<string, string> | undefined {
    const { response_action, errors, view: next } = (typeof body === 'object' && body !== null ? body : {}) as Json
    const now = clock.now()
    if (response_action === 'errors') {
      view.errors = errors as Record<string, string>
      const unknown = Object.keys(view.errors).filter(
        (id) => !view.definition.blocks.some((block) => block.block_id === id),
      )
      if (unknown.length > 0)
        throw new SlackError('invalid_arguments', { messages: [`no input block ${unknown.join(', ')}`] })
      return view.errors
    }
    if (response_action === 'update') replaceView(view, parseView(next), now)
    else if (response_action === 'push') {
      if (stack.length >= 3) throw new SlackError('push_limit_reached')
      stack.push(createView(state, now, user.id, parseView(next), view))
    } else if (response_action === 'clear') state.modals.delete(user.id)
    else stack.splice(stack.indexOf(view), 1)
    return undefined
  }

  return {
    press,

    /** Fills in and submits the modal on top; `values` by block_id and action_id. */
    async submit(
      userId: string,
      viewId: string,
      values: Record<string, Record<string, Json>> = {},
    ): Promise<PressResult> {
      const user = actor(userId)
      const { view, stack } = top(user, viewId)
      for (const [blockId, entered] of Object.entries(values)) {
        const known = elementsOf(view.definition.blocks).filter(({ block }) => block.block_id === blockId)
        for (const actionId of Object.keys(entered))
          if (!known.some(({ element }) => element.action_id === actionId))
            throw new Error(`the modal has no input ${blockId}/${actionId}`)
        view.values[blockId] = { ...view.values[blockId], ...entered }
      }
      const filled = stateValues(view.definition.blocks, view.values)
      view.errors = inputErrors(view.definition.blocks, filled)
      state.changed()
      if (Object.keys(view.errors).length > 0)
        return { ok: false, status: 0, error: 'refused by the form', errors: view.errors }
      view.errors = undefined
      const payload: Json = {
        ...base('view_submission', user),
        trigger_id: state.trigger(user.id, view.id),
        view: { ...formatView(view, state), state: { values: filled } },
        response_urls: [],
      }
      const answer = await send(payload, user, String(view.definition.callback_id ?? ''))
      if (answer.seen) return { ok: false, status: answer.status, error: answer.seen }
      try {
        const errors = respond(user, view, stack, answer.body)
        return errors ? { ok: false, status: answer.status, errors } : { ok: true, status: answer.status }
      } catch (cause) {
        if (!(cause instanceof SlackError)) throw cause
        const error = `We had some trouble connecting. Try again? (${cause.code} ${JSON.stringify(cause.extra)})`
        Object.assign(state.presses.at(-1) ?? {}, { error })
        return { ok: false, status: answer.status, error }
      } finally {
        state.changed()
      }
    },

    /** Closes the modal on top by its cross or close button. */
    async closeView(userId: string, viewId: string): Promise<PressResult> {
      const user = actor(userId)
      const { view, stack } = top(user, viewId)
      stack.splice(stack.indexOf(view), 1)
      state.changed()
      if (view.definition.notify_on_close !== true) return { ok: true, status: 0 }
      const payload = { ...base('view_closed', user), view: formatView(view, state), is_cleared: false }
      const answer = await send(payload, user, String(view.definition.callback_id ?? ''))
      return { ok: !answer.seen, status: answer.status, error: answer.seen }
    },
  }
}
