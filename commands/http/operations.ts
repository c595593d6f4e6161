import { z } from 'zod'
import { Pointer } from './pointer.ts'
import { placeholders } from './template.ts'

const Path = z.string().regex(/^\/[^#\s]*$/, 'begin with "/", without fragment or spaces')
const Name = z.string().regex(/^[\w-]+$/)

/** Something that the service lists: what there is, and under what id. `{name}` in a path stands for a parameter. */
export const List = z.strictObject({
  /** What one of them is: `dataset`. A change holds it by this and its id. */
  noun: z.string().min(1).default('item'),
  path: Path,
  /** Where the list stands in the answer. */
  items: Pointer.default(''),
  /** Where the id stands in an item; an item that is a plain value is its own id. */
  id: Pointer,
  /** What else is shown of an item, by its heading. It is also what must not change between approval and run. */
  show: z.record(z.string().min(1), Pointer).default({}),
  /** What no two items may have alike; http.list marks those that do. */
  distinct: Pointer.optional(),
  /** What the answer must say beside the list, or the list means nothing. */
  expect: z.record(Pointer, z.array(z.string()).min(1)).default({}),
  /** How the next page is asked for: where its cursor stands, and the parameter of the query that takes it. */
  next: z.strictObject({ at: Pointer, query: z.string().regex(/^[\w-]+$/) }).optional(),
  /**
   * Where the answer says how many there are: a list of fewer is not taken for a whole one. Without it, what most services say
   * beside a list is heeded (total, has_more, next, a Link header); `false` heeds nothing.
   */
  total: z.union([Pointer, z.literal(false)]).optional(),
  /** A longer list is not taken for a whole one. */
  most: z.number().int().min(1).max(5_000).default(1_000),
})
export type List = z.infer<typeof List>

const Guard = { list: Name, connection: z.string().min(1).optional(), says: z.string().min(1) }

/** A change of each item of a list, and what must hold before and after. */
export const Operation = z.strictObject({
  summary: z.string().min(1),
  list: Name,
  /** Sent once for each; `{id}` stands for the item's id. */
  send: z.strictObject({
    method: z.enum(['POST', 'PUT', 'PATCH', 'DELETE']),
    path: Path,
    body: z.record(z.string(), z.json()).optional(),
  }),
  /** The header in which the service takes an idempotency key. */
  keyHeader: z
    .string()
    .regex(/^[\w-]+$/)
    .optional(),
  /** Lists that must be empty, or it is refused with this sentence. */
  none: z.array(z.strictObject(Guard)).default([]),
  /** Lists that may hold nothing but what a parameter names, separated by commas. */
  only: z.array(z.strictObject({ ...Guard, param: z.string() })).default([]),
  /** Lists that are empty once it helped, beside its own. */
  after: z.array(Name).default([]),
  /** How one item tells whether it was changed; without it, one that its list no longer holds was. */
  item: z
    .strictObject({
      path: Path,
      at: Pointer,
      changed: z.array(z.string()).min(1),
      open: z.array(z.string()).min(1),
      /** Where its answer names its own id, which must be the one that was asked for; where the list has it, unless it says. */
      id: Pointer.optional(),
    })
    .optional(),
  atOnce: z.number().int().min(1).max(10).default(10),
  /** http.bulk stops when a greater share than this has failed. */
  stopAbove: z.number().min(0).max(1).default(0.05),
})
export type Operation = z.infer<typeof Operation>

type Parts = {
  params: Record<string, unknown>
  lists: Record<string, List>
  operations: Record<string, Operation>
}

/** Names of lists and parameters that are used and not there. */
export function danglingNames({ params, lists, operations }: Parts): { path: string[]; message: string }[] {
  const faults: { path: string[]; message: string }[] = []
  const known = (text: string, path: string[], also: string[] = []) => {
    for (const name of placeholders(text))
      if (!Object.hasOwn(params, name) && !also.includes(name))
        faults.push({ path, message: `{${name}} is not one of params` })
  }
  const listed = (name: string, path: string[]) => {
    if (!Object.hasOwn(lists, name)) faults.push({ path, message: `there is no list named ${name}` })
  }
  for (const [name, list] of Object.entries(lists)) known(list.path, ['lists', name, 'path'])
  for (const [name, operation] of Object.entries(operations)) {
    const path = ['operations', name]
    listed(operation.list, [...path, 'list'])
    for (const list of operation.after) listed(list, [...path, 'after'])
    for (const guard of [...operation.none, ...operation.only])
      if (!guard.connection) listed(guard.list, [...path, 'none' in guard ? 'none' : 'only'])
    for (const { param } of operation.only) known(`{${param}}`, [...path, 'only'])
    known(operation.send.path, [...path, 'send', 'path'], ['id'])
    known(JSON.stringify(operation.send.body ?? {}), [...path, 'send', 'body'], ['id'])
    for (const text of textsOf([operation.send.path, operation.send.body ?? {}]))
      if (/\{\w+:number\}/.test(text) && (text.startsWith('/') || !/^\{\w+:number\}$/.test(text)))
        faults.push({
          path: [...path, 'send'],
          message: `{…:number} is a whole value of the body, and no part of ${text}`,
        })
    if (operation.item) known(operation.item.path, [...path, 'item', 'path'], ['id'])
  }
  return faults
}

/** Every string in a JSON value. */
const textsOf = (value: unknown): string[] =>
  typeof value === 'string'
    ? [value]
    : typeof value === 'object' && value !== null
      ? Object.values(value).flatMap(textsOf)
      : []
