import { z } from 'zod'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { exchange, whyNot } from '../http/exchange.ts'
import { groupOf, machines } from './connection.ts'

const PATIENCE = 10_000

/** Asks every web page of a group once: no answer is an answer here, so that one page that is down hides no other. */
export const machinesUrls = defineRead({
  id: 'machines.urls',
  summary: 'Show which web pages of a group of machines answer',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Machines connection'),
    group: z.string().describe('Group, as the connection names it'),
  }),
  async read({ connection, group: name }, ctx) {
    const { settings } = await ctx.connect(machines, connection)
    const pages = Object.entries(groupOf(settings, name).urls)
    if (pages.length === 0) throw new Refused(`The group "${name}" lists no urls.`)
    const rows = await Promise.all(
      pages.map(async ([page, url]) => {
        const signal = AbortSignal.any([ctx.signal, AbortSignal.timeout(PATIENCE)])
        try {
          const get = { method: 'GET', url: new URL(url), headers: {}, signal, maxBytes: 256 }
          const { status } = await exchange({ ...get, reachable: 'private' })
          return { page, url, up: status < 400, said: String(status) }
        } catch (error) {
          ctx.signal.throwIfAborted()
          const cause = error instanceof Error ? error.cause : undefined
          const said = signal.aborted ? `no answer within ${PATIENCE / 1000} s` : whyNot(cause)
          return { page, url, up: false, said }
        }
      }),
    )
    const names = (up: boolean) => rows.filter((row) => row.up === up).map((row) => row.page)
    return {
      summary: `Down: ${names(false).join(', ') || 'none'}. Up: ${names(true).join(', ') || 'none'}.`,
      blocks: [
        {
          type: 'table',
          columns: ['Page', 'URL', 'Answer'],
          rows: rows.map((row) => [row.page, row.url, row.said]),
          omitted: 0,
        },
      ],
    }
  },
})
