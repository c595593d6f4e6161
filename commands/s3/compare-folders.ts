import { z } from 'zod'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { isAllowed, s3 } from './connection.ts'
import { foldersUnder, HERE, MOST_KEYS, place, sizeOf, type Totals, timeOf } from './listing.ts'

const ROWS = 60

/** Which folders are expected under a prefix and which are there: missing and empty ones first. */
export const compareFolders = defineRead({
  id: 's3.compare-folders',
  summary: 'Compare the folders under a prefix with those expected, or with those of an earlier one',
  effect: 'read',
  params: z.object({
    ...place,
    expected: z.string().max(10_000).default('').describe('Folders that must be there, separated by commas'),
    before: z.string().max(900).default('').describe('Folder to compare with, such as that of the day before'),
  }),
  async read({ connection, bucket, prefix, expected, before }, ctx) {
    const { client, settings } = await ctx.connect(s3, connection)
    for (const one of [prefix, ...(before ? [before] : [])])
      if (!isAllowed(settings, bucket, one))
        throw new Refused(
          `The connection "${connection}" may not read s3://${bucket}/${one}. Allowed: ${settings.buckets.join(', ')}.`,
        )
    const named = expected
      .split(',')
      .map((name) => name.trim().replace(/\/$/, ''))
      .filter(Boolean)
    if (named.length === 0 && before === '')
      throw new Refused('Say which folders are expected, or what to compare with.')
    const look = async (where: string) => {
      const { folders, more } = await foldersUnder(client, bucket, where, ctx.signal)
      if (more) throw new Refused(`There are more than ${MOST_KEYS} objects under s3://${bucket}/${where}: too many.`)
      folders.delete(HERE)
      return new Map([...folders].map(([name, totals]) => [name.slice(0, -1), totals]))
    }
    const now = await look(prefix)
    const then = before ? await look(before) : new Map<string, Totals>()
    const stateOf = (name: string) => {
      const here = now.get(name)
      if (!here) return 'missing'
      if (here.bytes === 0) return 'empty'
      return named.includes(name) || then.has(name) ? 'there' : 'not expected'
    }
    const order = ['missing', 'empty', 'not expected', 'there']
    const rows = [...new Set([...named, ...then.keys(), ...now.keys()])]
      .map((name) => ({ name, state: stateOf(name) }))
      .sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state) || (a.name < b.name ? -1 : 1))
    const gone = rows.filter((row) => row.state === 'missing' || row.state === 'empty')
    const wanted = rows.filter((row) => row.state !== 'not expected').length
    const show = (totals: Totals | undefined) => (totals ? `${totals.objects}, ${sizeOf(totals.bytes)}` : '–')
    return {
      summary: `${wanted - gone.length} of ${wanted} expected folders are under s3://${bucket}/${prefix}${
        gone.length > 0
          ? `; missing or empty: ${gone
              .map((row) => row.name)
              .slice(0, 10)
              .join(', ')}${gone.length > 10 ? ` and ${gone.length - 10} more` : ''}`
          : ''
      }.`,
      blocks: [
        {
          type: 'table',
          columns: ['Folder', 'State', 'Objects and size', ...(before ? ['Before'] : []), 'Newest'],
          rows: rows.slice(0, ROWS).map(({ name, state }) => {
            const here = now.get(name)
            return [
              name,
              state,
              show(here),
              ...(before ? [show(then.get(name))] : []),
              here ? timeOf(here.newest) : '–',
            ]
          }),
          omitted: Math.max(0, rows.length - ROWS),
        },
      ],
    }
  },
})
