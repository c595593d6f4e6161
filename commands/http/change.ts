import { type Check, type ReadContext, Refused, Unanswered } from '../../src/domain/command.ts'
import { exactText } from '../../src/domain/exact.ts'
import { digest, type Target } from '../../src/domain/plan.ts'
import { settled } from '../settle.ts'
import { http } from './connection.ts'
import { answeredWith, readJson, type Service } from './json.ts'
import { type Item, openList, paramsOf, readList, valuesFor } from './listing.ts'
import type { Operation } from './operations.ts'
import { retryAfterMs } from './patience.ts'
import { at, isOneOf } from './pointer.ts'
import { fillBody, fillPath, placeholders, type Values } from './template.ts'
import { below } from './within.ts'

/** One item of a granted plan: the request that changes it, exactly as it is sent. */
export type Held = Readonly<{ id: string; path: string; body: string; key: string }>
export type Data = Readonly<{ connection: string; operation: string; values: Values; items: readonly Held[] }>

/** The named operation of a connection. Throws Refused if there is none. */
export async function openOperation(connection: string, name: string, ctx: ReadContext) {
  const service = await ctx.connect(http, connection)
  const { operations, lists } = service.settings
  if (!Object.hasOwn(operations, name))
    throw new Refused(`The connection ${connection} has no operation named ${JSON.stringify(name.slice(0, 60))}.`)
  const operation = operations[name]!
  return { service, operation, list: lists[operation.list]! }
}

/** What an operation would change now, read from the service, after every guard has let it pass. */
export async function survey(connection: string, name: string, args: readonly string[], ctx: ReadContext) {
  const { service, operation, list } = await openOperation(connection, name, ctx)
  const values = valuesFor(service, `The operation ${name}`, await paramsOf(service, operation, ctx), args)
  await guard(service, operation, values, ctx)
  const { items, whole, why } = await readList(service, list, values, ctx)
  const vague = items.find((item) => !item.isExact)
  if (vague)
    throw new Refused(
      `${operation.list} lists an id that cannot be told exactly at "${list.id}": ${vague.id || '(nothing)'}. Nothing is sent to what could be another ${list.noun}.`,
    )
  const unique = [...new Map(items.map((item) => [item.id, item])).values()].sort((a, b) => (a.id < b.id ? -1 : 1))
  if (!whole)
    throw new Refused(
      `${operation.list} can't be read whole: ${why}. Nothing is changed of a part; see next and total of the list.`,
    )
  if (unique.length === 0) throw new Refused(`Nothing to do: ${operation.list} holds no ${list.noun}.`)
  return { service, operation, list, values, items: unique }
}

/** Throws Refused unless what must not be there is not there. */
async function guard(service: Service, operation: Operation, values: Values, ctx: ReadContext): Promise<void> {
  const found = async (name: string, elsewhere: string | undefined) => {
    const there = await openList(elsewhere ?? service.name, name, ctx)
    const names = placeholders(there.list.path)
    const lines = names.flatMap((n) => (values[n] === undefined ? [] : [`${n}=${values[n]}`]))
    return readList(there.service, there.list, valuesFor(there.service, `The list ${name}`, names, lines), ctx)
  }
  for (const { list, connection, says } of operation.none) {
    const { items, whole, why } = await found(list, connection)
    if (items.length > 0) throw new Refused(`${says} (${list}: ${some(items.map((i) => i.id || '(no id)'))}).`)
    if (!whole) throw new Refused(`Whether this holds is not known: ${says} (${list} can't be read whole: ${why}).`)
  }
  for (const { list, connection, param, says } of operation.only) {
    const { items, whole, why } = await found(list, connection)
    const named = values[param]!.split(',').map((name) => name.trim())
    const others = items.map((i) => i.id).filter((id) => !named.includes(id))
    if (others.length > 0) throw new Refused(`${says} (${list}: ${some(others)}).`)
    if (!whole || items.length === 0)
      throw new Refused(`${says} (${list} ${whole ? 'is empty' : `is too long to be read whole: ${why}`}).`)
  }
}

const some = (ids: readonly string[]) =>
  `${ids.slice(0, 10).join(', ')}${ids.length > 10 ? ` and ${ids.length - 10} more` : ''}`

/** The request for each item. Its key is the same for every making of this plan, and another for the next proposal. */
export function hold(
  operation: Operation,
  data: Omit<Data, 'items'>,
  items: readonly Item[],
  requestedAt: Date,
): readonly Held[] {
  return items.map(({ id }) => {
    const values = { ...data.values, id }
    const path = fillPath(operation.send.path, values)
    const body = operation.send.body ? JSON.stringify(fillBody(operation.send.body, values)) : ''
    const once = [data.connection, operation.send.method, path, body, requestedAt.toISOString()]
    return { id, path, body, key: digest(once).slice('sha256:'.length, 'sha256:'.length + 32) }
  })
}

export const targetsOf = (connection: string, noun: string, items: readonly Item[]): Target[] =>
  items.map(({ id, shown }) => ({
    id: `http:${connection}/${noun}/${id}`,
    name: `${noun} ${id}`,
    fingerprint: digest({ id, shown }),
    details: Object.fromEntries(Object.entries(shown).filter(([, value]) => value !== '')),
  }))

/** A change that the service did not do, since it has too much to do; it may be sent again. */
export class Throttled extends Error {
  override name = 'Throttled'
  /** How long it asks to be left alone; null if it does not say. */
  readonly waitMs: number | null
  constructor(message: string, waitMs: number | null) {
    super(message)
    this.waitMs = waitMs
  }
}

/** Gateways that gave up waiting for the service, which may be at it still: RFC 9110, sections 15.6.3 and 15.6.5. */
const GATEWAY = new Set([502, 504])

/**
 * Sends the request for one item, once. Throws with the service's answer unless that is a 2xx: Throttled where it says that
 * it has not done it, Unanswered where a gateway answered in its place.
 */
export async function send(service: Service, operation: Operation, item: Held, signal: AbortSignal): Promise<number> {
  const { method } = operation.send
  const answer = await service.client.send({
    method,
    url: below(service.settings, item.path),
    ...(item.body && { body: item.body }),
    headers: {
      ...(item.body && { 'content-type': 'application/json' }),
      ...(operation.keyHeader && { [operation.keyHeader.toLowerCase()]: item.key }),
    },
    signal,
  })
  const { status } = answer
  if (status >= 200 && status < 300) return status
  const said = `${method} ${item.path} ${answeredWith(answer)}`
  if (status === 429) throw new Throttled(said, retryAfterMs(answer))
  if (GATEWAY.has(status)) throw new Unanswered(`${said}; it may have taken effect`)
  throw new Error(said)
}

/** Sends it again while the service says 429, after as long as it asks for. `told` hears of each wait. */
export async function sendInTime(
  send: () => Promise<number>,
  pause: (waitMs: number) => Promise<void>,
): Promise<number> {
  for (let tries = 1; ; tries++)
    try {
      return await send()
    } catch (error) {
      const waitMs = error instanceof Throttled ? (error.waitMs ?? 500 * 2 ** tries) : MOST_WAIT_MS + 1
      if (tries === TRIES || waitMs > MOST_WAIT_MS) throw error
      await pause(waitMs)
    }
}
/** What a progress says while a service is left alone. */
export const slowed = (waitMs: number): string =>
  `the service has too much to do; it is left alone for ${Math.ceil(waitMs / 1000)} s`
const TRIES = 6
/** A service that wants to be left alone for longer is not waited for. */
const MOST_WAIT_MS = 5 * 60_000

/** Of these items, those that are changed, those that are not, and those of which the service does not tell. */
export async function look(data: Data, items: readonly Held[], ctx: ReadContext) {
  const { service, operation, list } = await openOperation(data.connection, data.operation, ctx)
  const found = { changed: [] as string[], open: [] as string[], unclear: [] as string[] }
  if (items.length === 0) return found
  if (!operation.item) {
    const left = await readList(service, list, data.values, ctx)
    const ids = new Set(left.items.map((item) => item.id))
    const isVague = left.items.some((item) => !item.isExact)
    for (const { id } of items) found[ids.has(id) ? 'open' : left.whole && !isVague ? 'changed' : 'unclear'].push(id)
    return found
  }
  const { path, at: where, changed, open, id: own } = operation.item
  await inLanes(items, operation.atOnce, async ({ id }) => {
    const answer = await readJson(service, fillPath(path, { ...data.values, id }), ctx)
    const named = exactText(at(answer, own ?? list.id))
    // An answer about another thing says nothing of this one.
    const isAsked = own === undefined ? named === null || named === '' || named === id : named === id
    const says = at(answer, where)
    found[!isAsked ? 'unclear' : isOneOf(says, changed) ? 'changed' : isOneOf(says, open) ? 'open' : 'unclear'].push(id)
  })
  return found
}

/** Calls `work` for each, in order, so many at once, until `stop` says so. The first throw ends it. */
export async function inLanes<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
  stop: () => boolean = () => false,
): Promise<void> {
  let next = 0
  let broken = false
  const lane = async () => {
    while (next < items.length && !broken && !stop()) await work(items[next++]!)
  }
  const watched = () =>
    lane().catch((error: unknown) => {
      broken = true
      throw error
    })
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, watched))
}

/** Whether all items are changed, and the lists that the operation names are empty now. */
export async function verifyAll(data: Data, ctx: ReadContext): Promise<Check[]> {
  const { service, operation, list } = await openOperation(data.connection, data.operation, ctx)
  let rest = data.items
  async function checks(): Promise<Check[]> {
    // What is changed is not asked for again.
    const changed = new Set((await look(data, rest, ctx)).changed)
    rest = rest.filter(({ id }) => !changed.has(id))
    const [all, missing] = [data.items.length, rest.map(({ id }) => id)]
    const detail = `${all - missing.length} of ${all}${missing.length > 0 ? `; not: ${some(missing)}` : ''}`
    const found = [{ title: `Each ${list.noun} is changed`, ok: missing.length === 0, detail }]
    for (const name of operation.after) {
      const { items, whole, why } = await readList(service, service.settings.lists[name]!, data.values, ctx)
      const detail = items.length > 0 ? `it holds ${some(items.map((i) => i.id))}` : why
      found.push({ title: `${name} is empty`, ok: items.length === 0 && whole, detail })
    }
    return found
  }
  return settled(checks, (found) => found.every((check) => check.ok), ctx.signal)
}
