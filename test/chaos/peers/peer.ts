import type { TestConnection } from '../../commands/context.ts'

export type Fields = Readonly<Record<string, unknown>>

/** One request as a peer understands it. */
export type Question = Readonly<{
  method: string
  /** As it was sent. */
  path: string
  /** What stands between its slashes, decoded. */
  segments: readonly string[]
  query: URLSearchParams
  /** What AWS calls it; '' for all others. */
  action: string
  /** What its body says, if that is JSON or a form. */
  input: Fields
}>

/** What the peers are asked by one call of a command: its id and parameters, and what was asked before. */
export type Call = Readonly<{ id: string; params: Fields; before: readonly Question[] }>

/** JSON, or a body with its headers; `hold` keeps the answer open. */
export type Reply = Readonly<{
  status?: number
  headers?: Readonly<Record<string, string>>
  json?: unknown
  body?: string | Buffer
  hold?: boolean
}>

/**
 * A peer has whatever it is asked for, and takes every change: what a command sends for odd parameters comes as far as it
 * can come anywhere. `settings` are as open as they can be.
 */
export type Peer = Readonly<{
  settings(at: Readonly<{ origin: string; base: string; sqlPort: number }>): TestConnection['settings']
  reply?(question: Question, call: Call): Reply
}>

/** The body of the last request of that action before this one; undefined if there was none. */
export const last = ({ before }: Call, action: string): Fields | undefined =>
  before.findLast((question) => question.action === action)?.input

/** The names in a parameter that takes several, separated by commas. */
export const namesIn = (value: unknown): string[] =>
  String(value ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean)

/** What every connection to AWS has. */
export const awsAt = (origin: string) => ({
  ...{ region: 'us-east-1', endpoint: origin, accessKeyIdFrom: 'T', secretAccessKeyFrom: 'T' },
})
