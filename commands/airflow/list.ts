import { z } from 'zod'
import { Refused } from '../../src/domain/command.ts'
import { checked } from './answer.ts'
import type { Query, Rest } from './rest.ts'

/** What is asked for at once; `[api] maximum_page_limit` may give less (Airflow's configuration reference, default 100). */
const PAGE = 100
/** More than any of the commands can hold, and the end of a list that never ends. */
export const MOST = 20_000
/** How often a list is read when it changed under the reading. */
const READINGS = 3

/** A list of Airflow. `total` is how many there are by its own count; `cut` says that not all of them are here. */
export type Listed<T> = readonly T[] & Readonly<{ total: number; cut: boolean }>

export type Wanted<T> = Readonly<{
  schema: z.ZodType<T>
  path: readonly string[]
  /** Under which name the answer holds the items. */
  under: string
  query: Query
  keyOf(item: T): string
  /** Enough, the first ones; without it all are read. */
  most?: number | undefined
  signal: AbortSignal
}>

/** Reads a list page by page to its end, by its own count, also where the server gives smaller pages than were asked for. */
export async function readList<T>(rest: Rest, wanted: Wanted<T>): Promise<Listed<T>> {
  let found = await readOnce(rest, wanted)
  // What comes or goes between two pages moves the others: an item may be in neither.
  for (let i = 1; i < READINGS && found.cut && found.length < (wanted.most ?? MOST); i++)
    found = await readOnce(rest, wanted)
  return found
}

async function readOnce<T>(rest: Rest, { schema, path, under, query, keyOf, most = MOST, signal }: Wanted<T>) {
  const page = z.object({
    [under]: z.array(schema).nullish(),
    total_entries: z.number().nullish(),
  })
  const found = new Map<string, T>()
  let total: number | null = null
  for (let offset = 0; found.size < most; ) {
    const limit = Math.min(PAGE, most - found.size)
    const answer = await rest.json({ method: 'GET', path, query: { ...query, limit, offset }, signal })
    const read = checked(page, answer, `GET ${path.join('/')}`) as Record<string, unknown>
    const items = (read[under] ?? []) as T[]
    const before = found.size
    for (const item of items) found.set(keyOf(item), item)
    offset += items.length
    total = (read.total_entries as number | null | undefined) ?? total
    // Without a count only an empty page is the end; one that brings nothing new would come for ever.
    if (items.length === 0 || found.size === before || (total !== null && offset >= total)) break
  }
  const items = [...found.values()].slice(0, most)
  const count = Math.max(total ?? items.length, items.length)
  return Object.assign(items, { total: count, cut: items.length < count || (total === null && items.length >= most) })
}

/** All of a list. Refuses one that was cut: what is not there may be what matters. */
export function whole<T>(listed: Listed<T>, what: string): Listed<T> {
  if (listed.cut)
    throw new Refused(
      `Airflow has ${listed.total} ${what}, and ${listed.length} of them could be read. Nothing is decided on a part of a list: ask for fewer (one DAG, one run, fewer hours), or again when the list is calmer.`,
    )
  return listed
}

/** Words for a summary: empty for a whole list. */
export const cutNote = ({ cut, length, total }: Listed<unknown>): string =>
  cut ? ` Only the first ${length} of ${total} were read.` : ''
