import { z } from 'zod'
import { refuseView, storeBlocks } from '../blocks.ts'
import { formatView } from '../format.ts'
import { type Json, type State, slackId, type View } from '../state.ts'
import { type Context, fromJson, type Method, method, SlackError } from './method.ts'

const ViewArgs = z.object({ view: z.unknown().optional(), hash: z.string().optional() })

/** A view definition within Slack's limits; throws `invalid_arguments` with pointers into it. */
export function parseView(raw: unknown): View['definition'] {
  const view = fromJson(raw, 'invalid_arguments')
  if (view === undefined)
    throw new SlackError('invalid_arguments', {
      response_metadata: { messages: ['[ERROR] missing required field: view'] },
    })
  const refusal = refuseView(view)
  if (refusal) throw new SlackError(refusal.error, { response_metadata: { messages: refusal.messages } })
  if (Buffer.byteLength(JSON.stringify(view)) > 250_000) throw new SlackError('view_too_large')
  const definition = view as View['definition']
  return { ...definition, blocks: storeBlocks(definition.blocks, () => slackId('').slice(0, 5)) }
}

/** Exchanges a trigger for the right to show one view: within 3 s, and once. */
function exchange(trigger: string, { state, clock }: Context) {
  const found = state.triggers.get(trigger)
  if (!found) throw new SlackError('invalid_trigger_id')
  if (found.expires < clock.now()) throw new SlackError('expired_trigger_id')
  if (found.used) throw new SlackError('exchanged_trigger_id')
  return found
}

/** A new view of `user`; its hash changes with every edit. */
export function createView(
  state: State,
  now: number,
  user: string,
  definition: View['definition'],
  below?: View,
): View {
  const taken = [...state.modals.values()].flat().some((one) => one.definition.external_id === definition.external_id)
  if (definition.external_id && taken) throw new SlackError('duplicate_external_id')
  const id = slackId('V')
  return {
    id,
    user,
    type: definition.type === 'home' ? 'home' : 'modal',
    hash: newHash(now),
    root_view_id: below?.root_view_id ?? id,
    previous_view_id: below?.id ?? null,
    definition,
    values: {},
  }
}

/** Replaces the definition of a shown view; what was typed into blocks that stay is kept, as Slack does. */
export function replaceView(view: View, definition: View['definition'], now: number): void {
  const kept = new Set(definition.blocks.map((block) => block.block_id))
  view.definition = definition
  view.values = Object.fromEntries(Object.entries(view.values).filter(([block]) => kept.has(block)))
  view.hash = newHash(now)
  view.errors = undefined
}

const newHash = (now: number) => `${Math.floor(now / 1000)}.${slackId('').slice(0, 8)}`

const shown = (view: View, { state }: Context): Json => {
  state.changed()
  return { view: formatView(view, state) }
}

/** Modals and home tabs. */
export const views: Record<string, Method> = {
  'views.open': method({
    tier: 'tier4',
    args: ViewArgs.extend({ trigger_id: z.string() }),
    call(args, context) {
      const definition = parseView(args.view)
      const trigger = exchange(args.trigger_id, context)
      const view = createView(context.state, context.clock.now(), trigger.user, definition)
      trigger.used = true
      context.state.modals.set(trigger.user, [view])
      return shown(view, context)
    },
  }),

  'views.push': method({
    tier: 'tier4',
    args: ViewArgs.extend({ trigger_id: z.string() }),
    call(args, context) {
      const definition = parseView(args.view)
      const trigger = exchange(args.trigger_id, context)
      const stack = context.state.modals.get(trigger.user) ?? []
      const top = stack.at(-1)
      if (!top || !trigger.view) throw new SlackError('not_found')
      if (stack.length >= 3) throw new SlackError('push_limit_reached')
      const view = createView(context.state, context.clock.now(), trigger.user, definition, top)
      trigger.used = true
      stack.push(view)
      return shown(view, context)
    },
  }),

  'views.update': method({
    tier: 'tier4',
    args: ViewArgs.extend({ view_id: z.string().optional(), external_id: z.string().optional() }),
    call(args, context) {
      const definition = parseView(args.view)
      const view = [...context.state.modals.values(), ...[...context.state.homes.values()].map((home) => [home])]
        .flat()
        .find((one) => one.id === args.view_id || (args.external_id && one.definition.external_id === args.external_id))
      if (!view) throw new SlackError('not_found')
      if (args.hash && args.hash !== view.hash) throw new SlackError('hash_conflict')
      replaceView(view, definition, context.clock.now())
      return shown(view, context)
    },
  }),

  'views.publish': method({
    tier: 'tier4',
    args: ViewArgs.extend({ user_id: z.string() }),
    call(args, context) {
      const { state, clock } = context
      const definition = parseView(args.view)
      if (definition.type !== 'home') throw new SlackError('invalid_arguments')
      if (!state.user(args.user_id)) throw new SlackError('user_not_found')
      const known = state.homes.get(args.user_id)
      if (known && args.hash && args.hash !== known.hash) throw new SlackError('hash_conflict')
      if (known) replaceView(known, definition, clock.now())
      const view = known ?? createView(state, clock.now(), args.user_id, definition)
      state.homes.set(args.user_id, view)
      return shown(view, context)
    },
  }),
}
