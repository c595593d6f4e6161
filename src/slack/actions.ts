import { z } from 'zod'
import type { Field } from '../domain/playbook.ts'
import type { ParamValues } from '../domain/ports.ts'

/** Ids of the buttons. A Bolt app listens to `ACTION_PATTERN` and reads the press with `readPress`. */
export const ACTIONS = {
  approve: 'keyturn:approve',
  reject: 'keyturn:reject',
  request: 'keyturn:request',
  override: 'keyturn:override',
  skip: 'keyturn:skip',
  narrow: 'keyturn:narrow',
  cancel: 'keyturn:cancel',
  done: 'keyturn:settle_done',
  resume: 'keyturn:settle_resume',
  abandon: 'keyturn:settle_abandon',
  freeze: 'keyturn:freeze',
  thaw: 'keyturn:thaw',
} as const
export const ACTION_PATTERN = /^keyturn:/

/** Callback ids of the modals. */
export const CALLBACKS = {
  decide: 'keyturn:decide',
  params: 'keyturn:params',
  narrow: 'keyturn:narrow',
  settle: 'keyturn:settle',
  freeze: 'keyturn:freeze',
} as const
export const CALLBACK_PATTERN = /^keyturn:/

/** What a pressed button asks for. */
export type Press =
  | { kind: 'decide'; verdict: 'approve' | 'reject'; incident: string; proposal: string; digest: string }
  | { kind: 'request'; incident: string; step: string; override?: string }
  | { kind: 'skip'; incident: string; step: string }
  | { kind: 'narrow'; incident: string; proposal: string; digest: string }
  | { kind: 'cancel'; incident: string; proposal: string }
  | { kind: 'settle'; choice: 'done' | 'resume' | 'abandon'; incident: string; proposal: string }
  | { kind: 'freeze'; verb: 'freeze' | 'thaw' }

const name = z.string().min(1).max(500)
const OnDigest = z.strictObject({ i: name, p: name, d: name })
const OnStep = z.strictObject({ i: name, s: name })
/** Several windows are named in one text. */
const OnWindow = z.strictObject({ i: name, s: name, w: z.string().min(1).max(1500) })
const OnProposal = z.strictObject({ i: name, p: name })

/** The action id and the value (at most 2,000 characters) of the button that asks for this. */
export function writePress(press: Press): { action_id: string; value: string } {
  const button = (action_id: string, value: Record<string, string>) => {
    const text = JSON.stringify(value)
    if (text.length > 2000) throw new RangeError(`A button's value has ${text.length} characters; Slack takes 2,000.`)
    return { action_id, value: text }
  }
  if (press.kind === 'freeze') return button(ACTIONS[press.verb], {})
  const i = press.incident
  switch (press.kind) {
    case 'decide':
      return button(ACTIONS[press.verdict], { i, p: press.proposal, d: press.digest })
    case 'request':
      return press.override === undefined
        ? button(ACTIONS.request, { i, s: press.step })
        : button(ACTIONS.override, { i, s: press.step, w: press.override })
    case 'skip':
      return button(ACTIONS.skip, { i, s: press.step })
    case 'narrow':
      return button(ACTIONS.narrow, { i, p: press.proposal, d: press.digest })
    case 'cancel':
      return button(ACTIONS.cancel, { i, p: press.proposal })
    case 'settle':
      return button(ACTIONS[press.choice], { i, p: press.proposal })
  }
}

/** Reads a button back; null if it is not one of ours, or its value is not as written. */
export function readPress(actionId: string, value: string | undefined): Press | null {
  const parse = <S extends z.ZodType>(schema: S): z.output<S> | null => schema.safeParse(fromJson(value)).data ?? null
  switch (actionId) {
    case ACTIONS.approve:
    case ACTIONS.reject: {
      const v = parse(OnDigest)
      const verdict = actionId === ACTIONS.approve ? 'approve' : 'reject'
      return v && { kind: 'decide', verdict, incident: v.i, proposal: v.p, digest: v.d }
    }
    case ACTIONS.request: {
      const v = parse(OnStep)
      return v && { kind: 'request', incident: v.i, step: v.s }
    }
    case ACTIONS.override: {
      const v = parse(OnWindow)
      return v && { kind: 'request', incident: v.i, step: v.s, override: v.w }
    }
    case ACTIONS.skip: {
      const v = parse(OnStep)
      return v && { kind: 'skip', incident: v.i, step: v.s }
    }
    case ACTIONS.narrow: {
      const v = parse(OnDigest)
      return v && { kind: 'narrow', incident: v.i, proposal: v.p, digest: v.d }
    }
    case ACTIONS.cancel: {
      const v = parse(OnProposal)
      return v && { kind: 'cancel', incident: v.i, proposal: v.p }
    }
    case ACTIONS.done:
    case ACTIONS.resume:
    case ACTIONS.abandon: {
      const v = parse(OnProposal)
      const choice = actionId === ACTIONS.done ? 'done' : actionId === ACTIONS.resume ? 'resume' : 'abandon'
      return v && { kind: 'settle', choice, incident: v.i, proposal: v.p }
    }
    case ACTIONS.freeze:
    case ACTIONS.thaw:
      return { kind: 'freeze', verb: actionId === ACTIONS.freeze ? 'freeze' : 'thaw' }
    default:
      return null
  }
}

/** Where the modal was opened from, since a submission does not say. */
const Origin = z.strictObject({ channel: z.string(), ts: z.string() }).nullable()
/** What a modal is about: its `private_metadata`. */
export const ModalState = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('decide'),
    verdict: z.enum(['approve', 'reject']),
    incident: name,
    proposal: name,
    digest: name,
    origin: Origin,
  }),
  z.strictObject({ kind: z.literal('narrow'), incident: name, proposal: name, digest: name, origin: Origin }),
  z.strictObject({ kind: z.literal('params'), incident: name, step: name, origin: Origin }),
  z.strictObject({
    kind: z.literal('settle'),
    choice: z.enum(['done', 'resume', 'abandon']),
    incident: name,
    proposal: name,
    origin: Origin,
  }),
  z.strictObject({ kind: z.literal('freeze'), verb: z.enum(['freeze', 'thaw']) }),
])
export type ModalState = z.infer<typeof ModalState>

/** A modal's `private_metadata`, at most 3,000 characters. */
export const writeModal = (state: ModalState): string => JSON.stringify(ModalState.parse(state))

/** Reads a submitted modal's `private_metadata`; null if it is not as written or not of this callback id. */
export function readModal(callbackId: string, metadata: string): ModalState | null {
  const state = ModalState.safeParse(fromJson(metadata)).data
  return state && callbackId === CALLBACKS[state.kind] ? state : null
}

/** The input blocks: `reason`, and one a parameter whose id tells how to read it. The element is always `value`. */
export const REASON_BLOCK = 'reason'
export const VALUE = 'value'
/** Slack takes ten boxes in one block: `leave:0`, `leave:1`, … */
export const CHECK_BLOCK = 'leave:'
export const paramBlock = (field: Pick<Field, 'name' | 'type'>): string => `param:${field.type}:${field.name}`

const Values = z.record(
  z.string(),
  z.record(
    z.string(),
    z.looseObject({
      value: z.string().nullish(),
      selected_option: z.looseObject({ value: z.string() }).nullish(),
      selected_options: z.array(z.looseObject({ value: z.string() })).nullish(),
    }),
  ),
)
const typed = (values: unknown, block: string): string => {
  const element = Values.safeParse(values).data?.[block]?.[VALUE]
  return (element?.selected_option?.value ?? element?.value ?? '').trim().toWellFormed()
}

/** The reason that a person typed in a modal (`view.state.values`), trimmed; empty if there is none. */
export const readReason = (values: unknown): string => typed(values, REASON_BLOCK)

/** The numbers of the boxes that a person checked in a modal (`view.state.values`). */
export const readChecked = (values: unknown): number[] =>
  Object.entries(Values.safeParse(values).data ?? {}).flatMap(([block, elements]) =>
    block.startsWith(CHECK_BLOCK) ? (elements[VALUE]?.selected_options ?? []).map((o) => Number(o.value)) : [],
  )

/** The parameters that a person typed in a modal (`view.state.values`). What was left empty is left out. */
export function readParams(values: unknown): ParamValues {
  const blocks = Object.keys(Values.safeParse(values).data ?? {})
  return Object.fromEntries(
    blocks.flatMap((block) => {
      const [, type, name] = /^param:(text|number|boolean|choice|list):(.+)$/s.exec(block) ?? []
      const text = typed(values, block)
      return type === undefined || name === undefined || text === '' ? [] : [[name, asType(type, text)]]
    }),
  )
}

function asType(type: string, text: string): ParamValues[string] {
  if (type === 'list') return text.split('\n').flatMap((line) => line.trim() || [])
  if (type === 'boolean') return text === 'true'
  // What is not a number stays text, so that the command's own schema says what is wrong with it.
  return type === 'number' && Number.isFinite(Number(text)) ? Number(text) : text
}

/** Errors by field name as `response_action: errors` wants them: by block id. Unknown names are left out. */
export function errorsByBlock(fields: readonly Field[], errors: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    fields.flatMap((f) => (Object.hasOwn(errors, f.name) ? [[paramBlock(f), errors[f.name]!]] : [])),
  )
}

function fromJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '')
  } catch {
    return undefined
  }
}
