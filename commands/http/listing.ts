import { type ReadContext, Refused } from '../../src/domain/command.ts'
import { exactText, isExactNumber } from '../../src/domain/exact.ts'
import { readValues } from '../values.ts'
import { http } from './connection.ts'
import type { Answer } from './exchange.ts'
import { readPage, type Service } from './json.ts'
import type { List, Operation } from './operations.ts'
import { at, isOneOf, short } from './pointer.ts'
import { fillPath, placeholders, type Values } from './template.ts'

/** One thing of a list. `shown` are its facts by their headings. */
export type Item = Readonly<{
  id: string
  /** Whether the id is told exactly, so that a request with it goes to this thing and no other. */
  isExact: boolean
  shown: Readonly<Record<string, string>>
  distinct: string
}>

/** The service behind a connection, and the list of that name. */
export async function openList(connection: string, name: string, ctx: ReadContext) {
  const service = await ctx.connect(http, connection)
  const { lists } = service.settings
  if (!Object.hasOwn(lists, name))
    throw new Refused(`The connection ${connection} has no list named ${JSON.stringify(name.slice(0, 60))}.`)
  return { service, list: lists[name]! }
}

/** The values of those parameters that these templates use, from `name=value` lines; every other line is a fault. */
export function valuesFor(service: Service, what: string, used: Iterable<string>, lines: readonly string[]): Values {
  const { params } = service.settings
  const types = Object.fromEntries(
    [...new Set(used)].flatMap((name) => (Object.hasOwn(params, name) ? [[name, params[name]!]] : [])),
  )
  return readValues(what, types, lines)
}

/** Parameters that an operation takes, those of its guards included. */
export async function paramsOf(service: Service, operation: Operation, ctx: ReadContext): Promise<string[]> {
  const { lists } = service.settings
  const guards = [...operation.none, ...operation.only].map(async ({ list, connection }) =>
    connection ? (await openList(connection, list, ctx)).list : lists[list]!,
  )
  const used = [operation.list, ...operation.after].map((name) => lists[name]!)
  const paths = [...used, ...(await Promise.all(guards))].map((list) => list.path)
  const own = [operation.send.path, JSON.stringify(operation.send.body ?? {}), operation.item?.path ?? '']
  const names = [...paths, ...own].flatMap(placeholders).filter((name) => name !== 'id')
  return [...names, ...operation.only.map((o) => o.param)]
}

/**
 * All items of a list, page by page, in the service's order. `whole` is false when there are more than the list's `most`, or the
 * service itself says that there are more than it gave; `why` says how that is known.
 */
export async function readList(
  service: Service,
  list: List,
  values: Values,
  ctx: ReadContext,
): Promise<{ items: Item[]; whole: boolean; why: string }> {
  const path = fillPath(list.path, values)
  const items: Item[] = []
  const seen = new Set<string>()
  for (let [cursor, pages] = ['', 1]; ; pages++) {
    const more = cursor && `${path.includes('?') ? '&' : '?'}${list.next!.query}=${encodeURIComponent(cursor)}`
    const { value, answer } = await readPage(service, `${path}${more}`, ctx)
    for (const [pointer, good] of Object.entries(list.expect)) {
      const is = at(value, pointer)
      if (!isOneOf(is, good))
        throw new Refused(`GET ${path} says ${pointer.slice(1)} ${short(is) || '(nothing)'}, not ${good.join(' or ')}.`)
    }
    const page = at(value, list.items)
    if (!Array.isArray(page))
      throw new Error(`GET ${path} on ${service.name} holds no list at "${list.items}"; check items of the list`)
    items.push(...page.map((entry) => itemOf(list, entry)))
    if (items.length > list.most)
      return { items: items.slice(0, list.most), whole: false, why: `it holds more than ${list.most}` }
    const next = list.next ? at(value, list.next.at) : undefined
    cursor = next === false || next === null || next === undefined ? '' : (exactText(next) ?? '?')
    if (cursor === '?' && exactText(next) === null)
      throw new Refused(`GET ${path} has no cursor at "${list.next!.at}": ${short(next)}. Check next of the list.`)
    if (!cursor) {
      const why = list.total === false ? null : moreOf(list, value, answer.headers, { count: items.length, pages })
      return { items, whole: why === null, why: why ?? '' }
    }
    if (seen.has(cursor))
      throw new Refused(
        `GET ${path} on ${service.name} gives the same page again and again, so it can't be read whole.`,
      )
    seen.add(cursor)
  }
}

const TOTAL = /^total(_?(count|entries|items|results|size|records|elements|hits))?$/i
const NEXT = /^(next|next_?(page|page_?token|token|cursor|link|url|href)|@odata\.nextLink|continue)$/i
const MORE = /^(has_?(more|next|next_?page)|is_?truncated|incomplete(_results)?)$/i
const PAGES = /^(total_?pages|pages_?total|page_?count|num_?pages|last_?page)$/i
const LAST = /^(is_?)?last(_?page)?$/i
/** Headers with a total: in use with many frameworks, and of RFC 9110, section 14.4. */
const TOTAL_HEADERS: readonly [name: string, pattern: RegExp][] = [
  ['X-Total-Count', /^(\d+)$/],
  ['X-Total', /^(\d+)$/],
  ['Total-Count', /^(\d+)$/],
  ['Content-Range', /\/(\d+)$/],
]

/** How an answer says that there is more than it holds; null if it does not say so. */
function moreOf(
  list: List,
  answer: unknown,
  headers: Answer['headers'],
  read: Readonly<{ count: number; pages: number }>,
): string | null {
  const { count, pages } = read
  if (typeof list.total === 'string') {
    const total = at(answer, list.total)
    if (short(total) === String(count)) return null
    return `it says ${short(total) || 'nothing'} at "${list.total}", and lists ${count}`
  }
  if (/rel\s*=\s*["']?([\w-]+\s+)*next\b/i.test(String(headers.link ?? ''))) return 'its Link header names a next page'
  for (const [name, pattern] of TOTAL_HEADERS) {
    const [, total] = pattern.exec(String(headers[name.toLowerCase()] ?? '').trim()) ?? []
    if (Number(total) > count) return `it says ${total} in its ${name} header, and lists ${count}`
  }
  const beside = list.items.slice(0, list.items.lastIndexOf('/'))
  for (const place of list.items === ''
    ? []
    : [...new Set(['', beside, '/meta', '/metadata', '/paging', '/pagination', '/links', '/_links', '/page'])])
    for (const [name, value] of entriesOf(at(answer, place))) {
      const where = `"${place}/${name}"`
      const inside = exactText(at(value, '/value'))
      const number = exactText(value) ?? inside
      if (PAGES.test(name) && number !== null && /^\d+$/.test(number) && Number(number) > pages)
        return `it says ${number} at ${where}, and ${pages === 1 ? '1 page was' : `${pages} pages were`} read`
      if ((MORE.test(name) && value === true) || (LAST.test(name) && value === false)) return `it says so at ${where}`
      if (TOTAL.test(name) && number !== null && /^\d+$/.test(number) && Number(number) > count)
        return `it says ${number} at ${inside === null ? where : `"${place}/${name}/value"`}, and lists ${count}`
      if (list.next) continue
      if (NEXT.test(name) && value !== null && value !== false && value !== '' && !Array.isArray(value))
        return `it names a next page at ${where}`
    }
  return null
}

const entriesOf = (value: unknown): [string, unknown][] =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !isExactNumber(value)
    ? Object.entries(value)
    : []

/** A string, or a whole number as its digits stand: what else there is could name another thing. */
function itemOf(list: List, entry: unknown): Item {
  const value = at(entry, list.id)
  const text = exactText(value)
  const isExact =
    text !== null &&
    text !== '' &&
    text.length <= 200 &&
    !/[\p{Cc}\uFFFD]/u.test(text) &&
    (typeof value === 'string' || /^(0|-?[1-9]\d*)$/.test(text))
  const shown = Object.fromEntries(Object.entries(list.show).map(([name, where]) => [name, short(at(entry, where))]))
  const distinct = list.distinct === undefined ? undefined : at(entry, list.distinct)
  return {
    id: isExact ? text : short(value),
    isExact,
    shown,
    distinct: exactText(distinct) ?? JSON.stringify(distinct ?? ''),
  }
}
