import type { SandboxSlack } from '../../src/sandbox/slack/server.ts'

type Json = Record<string, unknown>

/** A message of Keyturn as it stands in Slack. */
export type Card = Readonly<{
  channel: string
  ts: string
  thread: string | undefined
  incident: string
  key: string
  text: string
  /** Its blocks as JSON text. */
  shown: string
  buttons: readonly { action: string; value: Json }[]
}>

/** Every element with an action id below a value. */
function elements(value: unknown): Json[] {
  if (typeof value !== 'object' || value === null) return []
  const own = 'action_id' in value && 'value' in value ? [value as Json] : []
  return [...own, ...Object.values(value).flatMap(elements)]
}

/** Reads a message, as Slack stores it or as it was sent; null if it carries no mark of Keyturn's. */
export function readCard(message: Json, channel: string, ts: string): Card | null {
  const fromJson = (value: unknown) => (typeof value === 'string' ? (JSON.parse(value) as unknown) : value)
  const mark = (fromJson(message.metadata) as { event_payload?: { incident?: string; key?: string } } | undefined)
    ?.event_payload
  if (!mark?.incident || !mark.key) return null
  const blocks = fromJson(message.blocks) ?? []
  const shown = JSON.stringify(blocks)
  return {
    channel,
    ts,
    thread: message.thread_ts as string | undefined,
    incident: mark.incident,
    key: mark.key,
    text: String(message.text),
    shown,
    buttons: elements(blocks).map((e) => ({ action: String(e.action_id), value: JSON.parse(String(e.value)) as Json })),
  }
}

/** All that Keyturn shows in Slack now, oldest first in each channel. */
export function cardsOf(sandbox: Pick<SandboxSlack, 'state'>): Card[] {
  return Object.entries(sandbox.state().messages).flatMap(([channel, messages]) =>
    messages.flatMap((m) => (m.ephemeral_to ? [] : (readCard(m as Json, channel, m.ts) ?? []))),
  )
}

/** The room that a proposal's card is about. */
export const roomOf = (card: Card): string | null => /\/rooms\/([\w-]+)/.exec(card.text + card.shown)?.[1] ?? null
