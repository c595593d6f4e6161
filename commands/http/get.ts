import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { http } from './connection.ts'
import { within } from './within.ts'

/** What a GET below the connection's base answers: status and the beginning of the body. */
export const httpGet = defineRead({
  id: 'http.get',
  summary: 'Read one path of a web service',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('HTTP connection'),
    path: z.string().describe('Path below the base URL, beginning with "/"'),
  }),
  async read({ connection, path }, ctx) {
    const { client, settings } = await ctx.connect(http, connection)
    const answer = await client.send({ method: 'GET', url: within(settings, 'GET', path), signal: ctx.signal })
    const to = answer.location ? `, a redirect to ${answer.location.slice(0, 200)} (not followed)` : ''
    const body = answer.cut ? `${answer.body}\n… cut at ${settings.maxResponseBytes} bytes` : answer.body
    return {
      summary: `GET ${path} on ${connection} answered ${answer.status}${to}.`,
      blocks: body ? [{ type: 'code', text: body }] : [],
    }
  },
})
