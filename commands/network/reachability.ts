import { z } from 'zod'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { network } from './connection.ts'
import { type Found, reach } from './reach.ts'

const DAY = 86_400_000

/** Whether the worker reaches each configured endpoint: name, connection, TLS, and until when its certificate is good. */
export const reachability = defineRead({
  id: 'network.reachability',
  summary: 'Look up, connect to and shake hands with each configured endpoint',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Network connection'),
    endpoints: z.array(z.string()).default([]).describe('Names of endpoints in the settings; none for all'),
  }),
  async read({ connection, endpoints }, ctx) {
    const { settings } = await ctx.connect(network, connection)
    const known = Object.keys(settings.endpoints)
    const unknown = endpoints.filter((name) => !known.includes(name))
    if (unknown.length > 0)
      throw new Refused(
        `The connection ${connection} has no endpoint ${JSON.stringify(unknown[0]!.slice(0, 60))}; it has ${known.join(', ')}.`,
      )
    const names = known.filter((name) => endpoints.length === 0 || endpoints.includes(name))
    const found = await Promise.all(names.map((name) => reach(settings.endpoints[name]!, settings, ctx.signal)))
    const soon = ({ until }: Found) =>
      until !== null && until.getTime() < ctx.now().getTime() + settings.expiryDays * DAY
    const ending = (one: Found) =>
      one.until ? `${soon(one) ? '⚠ ' : ''}${one.until.toISOString().slice(0, 16).replace('T', ' ')} UTC` : ''
    const rows = names.map((name, i) => {
      const one = found[i]!
      const { host, port } = settings.endpoints[name]!
      return { one, cells: [one.ok ? '✓' : '✗', name, `${host}:${port}`, one.dns, one.tcp, one.tls, ending(one)] }
    })
    const faulty = names.flatMap((name, i) => (found[i]!.ok ? [] : [`${name} (${found[i]!.fault})`]))
    const ends = names.filter((_, i) => soon(found[i]!))
    const answer =
      faulty.length === 0
        ? `All ${names.length} endpoints of ${connection} answer`
        : `${faulty.length} of ${names.length} endpoints of ${connection} do not answer as they should: ${faulty.join(', ')}`
    return {
      summary: `${answer}${ends.length > 0 ? `; certificates that have ended or end within ${settings.expiryDays} days: ${ends.join(', ')}` : ''}.`,
      blocks: [
        {
          type: 'table',
          columns: ['', 'endpoint', 'address', 'DNS', 'TCP', 'TLS', 'certificate until'],
          // What is wrong first.
          rows: rows.toSorted((a, b) => Number(a.one.ok) - Number(b.one.ok)).map((r) => r.cells),
          omitted: 0,
        },
      ],
    }
  },
})
