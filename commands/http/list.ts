import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { openList, readList, valuesFor } from './listing.ts'
import { placeholders } from './template.ts'

const ROWS = 200

/** How many things a configured list of the service holds, and which; those that are there twice come first, marked. */
export const httpList = defineRead({
  id: 'http.list',
  summary: 'Show a list of a web service',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('HTTP connection'),
    list: z.string().describe('Name of the list in the settings'),
    args: z.array(z.string()).default([]).describe('Its parameters, one name=value each'),
  }),
  async read({ connection, list: name, args }, ctx) {
    const { service, list } = await openList(connection, name, ctx)
    const values = valuesFor(service, `The list ${name}`, placeholders(list.path), args)
    const { items, whole, why } = await readList(service, list, values, ctx)
    const times = new Map<string, number>()
    for (const { distinct } of items) times.set(distinct, (times.get(distinct) ?? 0) + 1)
    const twice = (item: (typeof items)[number]) => list.distinct !== undefined && times.get(item.distinct)! > 1
    const marked = items.filter(twice)
    const shown = [...marked, ...items.filter((item) => !twice(item))]
    const many = `${whole ? '' : 'More than '}${items.length} in ${name}${whole ? '' : ` (${why})`}`
    const doubled = new Set(marked.map((item) => item.distinct)).size
    const columns = [list.noun, ...Object.keys(list.show), ...(list.distinct === undefined ? [] : [''])]
    const rows = shown
      .slice(0, ROWS)
      .map((item) => [
        item.id || '(no id)',
        ...Object.values(item.shown),
        ...(list.distinct === undefined ? [] : [twice(item) ? `⚠ ${times.get(item.distinct)} times` : '']),
      ])
    return {
      summary: `${many}${doubled > 0 ? `; ${doubled} of them more than once` : ''}.`,
      blocks: rows.length > 0 ? [{ type: 'table', columns, rows, omitted: items.length - rows.length }] : [],
    }
  },
})
