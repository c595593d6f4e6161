import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { http } from './connection.ts'
import { wordsOf } from './json.ts'
import { patiently } from './patience.ts'
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
    const url = within(settings, 'GET', path)
    const answer = await patiently(() => client.send({ method: 'GET', url, signal: ctx.signal }), ctx.signal)
    const to = answer.location ? `, a redirect to ${answer.location.slice(0, 200)} (not followed)` : ''
    const text = answer.type === 'text/html' ? wordsOf(answer) : answer.body
    const body = answer.cut ? `${text}\n… cut at ${settings.maxResponseBytes} bytes` : text
    return {
      summary: `GET ${path} on ${connection} answered ${answer.status}${to}.`,
      blocks: body ? [{ type: 'code', text: body }] : [],
    }
  },
})
