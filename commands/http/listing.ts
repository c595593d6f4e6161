import { type ReadContext, Refused } from '../../src/domain/command.ts'
import { readValues } from '../values.ts'
import { http } from './connection.ts'
import { readJson, type Service } from './json.ts'
import type { List, Operation } from './operations.ts'
import { at, short } from './pointer.ts'
import { fillPath, placeholders, type Values } from './template.ts'

/** One thing of a list. `shown` are its facts by their headings. */
export type Item = Readonly<{ id: string; shown: Readonly<Record<string, string>>; distinct: string }>

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

/** All items of a list, page by page, in the service's order. `whole` is false when there are more than the list's `most`. */
export async function readList(
  service: Service,
  list: List,
  values: Values,
  ctx: ReadContext,
): Promise<{ items: Item[]; whole: boolean }> {
  const path = fillPath(list.path, values)
  const items: Item[] = []
  const seen = new Set<string>()
  for (let cursor = ''; ; ) {
    const more = cursor && `${path.includes('?') ? '&' : '?'}${list.next!.query}=${encodeURIComponent(cursor)}`
    const answer = await readJson(service, `${path}${more}`, ctx)
    for (const [pointer, good] of Object.entries(list.expect)) {
      const is = short(at(answer, pointer))
      if (!good.includes(is))
        throw new Refused(`GET ${path} says ${pointer.slice(1)} ${is || '(nothing)'}, not ${good.join(' or ')}.`)
    }
    const page = at(answer, list.items)
    if (!Array.isArray(page)) throw new Error(`GET ${path} on ${service.name} holds no list at "${list.items}"`)
    items.push(...page.map((entry) => itemOf(list, entry, path)))
    if (items.length > list.most) return { items: items.slice(0, list.most), whole: false }
    cursor = list.next ? short(at(answer, list.next.at)) : ''
    if (!cursor) return { items, whole: true }
    if (seen.has(cursor)) throw new Error(`GET ${path} on ${service.name} gives the same page again and again`)
    seen.add(cursor)
  }
}

function itemOf(list: List, entry: unknown, path: string): Item {
  const value = at(entry, list.id)
  const id = typeof value === 'number' ? String(value) : value
  if (typeof id !== 'string' || id === '' || id.length > 200 || /\p{Cc}/u.test(id))
    throw new Error(`GET ${path} lists something without an id at "${list.id}"`)
  const shown = Object.fromEntries(Object.entries(list.show).map(([name, where]) => [name, short(at(entry, where))]))
  return { id, shown, distinct: list.distinct === undefined ? '' : short(at(entry, list.distinct)) }
}
