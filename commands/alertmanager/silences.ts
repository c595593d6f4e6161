import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { alertmanager } from './connection.ts'
import { readLabels, shownMatchers, silencesOf, stateOf } from './nouns.ts'

const ROWS = 100

/** The silences that stand, by when they end; of those that name one of the given labels, only ones with its value. */
export const silences = defineRead({
  id: 'alertmanager.silences',
  summary: 'Show the silences of an Alertmanager',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Alertmanager connection'),
    labels: z.array(z.string()).default([]).describe('Labels, one name=value each; none for all silences'),
  }),
  async read({ connection, labels: lines }, ctx) {
    const { client } = await ctx.connect(alertmanager, connection)
    const labels = readLabels(lines)
    const standing = (await silencesOf(client, ctx)).filter(
      (s) =>
        s.status.state !== 'expired' &&
        s.matchers.every(
          (m) => m.isRegex || !m.isEqual || !Object.hasOwn(labels, m.name) || labels[m.name] === m.value,
        ),
    )
    const rows = standing
      .slice(0, ROWS)
      .map((s) => [shownMatchers(s.matchers), stateOf(s), s.endsAt, s.createdBy, s.comment])
    const which = lines.length > 0 ? ` that may concern ${lines.join(', ')}` : ''
    return {
      summary:
        standing.length === 0
          ? `No silence stands${which}.`
          : `${standing.length} ${standing.length === 1 ? 'silence stands' : 'silences stand'}${which}.`,
      blocks:
        rows.length > 0
          ? [
              {
                type: 'table',
                columns: ['matches', 'state', 'until', 'by', 'comment'],
                rows,
                omitted: standing.length - rows.length,
              },
            ]
          : [],
    }
  },
})
