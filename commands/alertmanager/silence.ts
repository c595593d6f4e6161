import { z } from 'zod'
import { defineChange, type ReadContext, Refused } from '../../src/domain/command.ts'
import { digest } from '../../src/domain/plan.ts'
import { shaped } from '../http/shape.ts'
import { settled } from '../settle.ts'
import { alertmanager } from './connection.ts'
import { firing, isExactly, readLabels, type Silence, silencesOf, stateOf } from './nouns.ts'

const STEP = 'silence'
const SHOWN = 20

const Params = z.object({
  connection: z.string().describe('Alertmanager connection'),
  labels: z.array(z.string()).min(1).describe('Labels that an alert must have to be silenced, one name=value each'),
  minutes: z.coerce.number().int().min(1).describe('For how many minutes'),
  reason: z.string().trim().min(1).max(300).describe('Why'),
})

type Data = Readonly<{
  connection: string
  labels: Record<string, string>
  startsAt: string
  endsAt: string
  createdBy: string
  comment: string
}>

/** The silence that this plan made, known by its comment; null if there is none, not even one that has ended. */
async function find(data: Data, ctx: ReadContext): Promise<Silence | null> {
  const { client } = await ctx.connect(alertmanager, data.connection)
  const all = await silencesOf(client, ctx)
  return all.find((s) => s.comment === data.comment && isExactly(s, data.labels)) ?? null
}

/** For how many minutes of the day before `now` Keyturn has silenced; a part of one counts whole. */
const minutesOf = (silences: readonly Silence[], now: string): number => {
  const [to, from] = [Date.parse(now), Date.parse(now) - 86_400_000]
  const own = silences.filter((s) => /(^| with )Keyturn$/.test(s.createdBy))
  const spans = own.map((s) => Math.max(0, Math.min(to, Date.parse(s.endsAt)) - Math.max(from, Date.parse(s.startsAt))))
  return Math.ceil(spans.reduce((sum, span) => sum + span, 0) / 60_000)
}

/** Silences exactly the alerts with the given labels, until a fixed time. */
export const silence = defineChange<typeof Params, Data>({
  id: 'alertmanager.silence',
  summary: 'Silence alerts for a bounded time',
  effect: 'once',
  risk: 'medium',
  params: Params,

  async plan({ connection, labels: lines, minutes, reason }, ctx) {
    const { client, settings } = await ctx.connect(alertmanager, connection)
    const labels = readLabels(lines)
    const { alertname } = labels
    if (!alertname) throw new Refused('A silence needs an alertname: without one it could hide everything.')
    if (!settings.silenceable.includes(alertname))
      throw new Refused(`The connection ${connection} does not allow to silence ${alertname}.`)
    if (minutes > settings.mostMinutes)
      throw new Refused(`${minutes} minutes are more than the ${settings.mostMinutes} that ${connection} allows.`)
    // From when it was asked for, so that a late approval makes it shorter and not other than was shown.
    const startsAt = ctx.requestedAt.toISOString()
    const endsAt = new Date(ctx.requestedAt.getTime() + minutes * 60_000).toISOString()
    if (endsAt <= ctx.now().toISOString()) throw new Refused(`It would have ended already, at ${endsAt}: ask again.`)
    const all = await silencesOf(client, ctx)
    const standing = all.find(
      (s) => s.status.state === 'active' && isExactly(s, labels) && new Date(s.endsAt).toISOString() >= endsAt,
    )
    if (standing)
      throw new Refused(
        `Nothing to do: silence ${standing.id} of ${standing.createdBy} stands until ${standing.endsAt}.`,
      )
    const { mostMinutesADay: aDay } = settings
    const before = minutesOf(
      all.filter((s) => isExactly(s, labels)),
      startsAt,
    )
    if (aDay !== undefined && before + minutes > aDay)
      throw new Refused(
        `Keyturn has silenced these labels for ${before} minutes of the last day; with ${minutes} more that is above the ${aDay} that ${connection} allows. Mend the cause, or silence it in Alertmanager.`,
      )
    const alerts = await firing(client, labels, ctx)
    if (alerts.length === 0) throw new Refused('Nothing to do: no alert with these labels fires unsilenced.')

    const createdBy = ctx.origin.by ? `${ctx.origin.by} with Keyturn` : 'Keyturn'
    // What it is found by again.
    const mark = digest([connection, labels, startsAt, endsAt, ctx.origin]).slice(
      'sha256:'.length,
      'sha256:'.length + 12,
    )
    const comment = `${reason} (incident ${ctx.origin.incident}, ${mark})`
    const matches = Object.entries(labels).map(([name, value]) => `${name}="${value}"`)
    const named = alerts.slice(0, SHOWN).map(({ labels: all }) =>
      Object.entries(all)
        .filter(([name]) => !Object.hasOwn(labels, name))
        .map(([name, value]) => `${name}=${value}`)
        .sort()
        .join(' ')
        .slice(0, 200),
    )
    return {
      summary: `Silence ${alertname} until ${endsAt}`,
      targets: [
        {
          id: `alertmanager:${connection}/silence/${digest(labels).slice('sha256:'.length)}`,
          name: matches.join(', '),
          fingerprint: digest(alerts.map((a) => a.fingerprint)),
          details: {
            until: endsAt,
            'fires now': String(alerts.length),
            ...Object.fromEntries(named.map((name, i) => [`alert ${i + 1}`, name || 'no other labels'])),
          },
        },
      ],
      steps: [
        {
          id: STEP,
          title: 'Create the silence',
          detail: `POST /api/v2/silences ${matches.join(', ')} until ${endsAt}\n${comment}`,
        },
      ],
      warnings: ['Whoever relies on these alerts hears nothing of them until then, also of new ones that match.'],
      data: { connection, labels, startsAt, endsAt, createdBy, comment },
    }
  },

  async run({ data }, ctx) {
    const { client } = await ctx.connect(alertmanager, data.connection)
    const { labels, connection: _, ...rest } = data
    const matchers = Object.entries(labels).map(([name, value]) => ({ name, value, isRegex: false, isEqual: true }))
    const id = await ctx.step(STEP, async () => {
      const { status, value } = await client.ask('POST', '/api/v2/silences', ctx.signal, { matchers, ...rest })
      if (status !== 200) throw new Refused(`Alertmanager answered ${status}: ${JSON.stringify(value).slice(0, 300)}`)
      return shaped(z.object({ silenceID: z.string() }), value, 'Alertmanager, told to silence,').silenceID
    })
    return `Silence ${id} stands until ${data.endsAt}`
  },

  async verify({ data }, ctx) {
    const { client } = await ctx.connect(alertmanager, data.connection)
    const [made, left] = await settled(
      async () => [await find(data, ctx), (await firing(client, data.labels, ctx)).length] as const,
      ([seen, unsilenced]) => seen?.status.state === 'active' && unsilenced === 0,
      ctx.signal,
    )
    const until = made && new Date(made.endsAt).toISOString()
    return [
      {
        title: 'The silence stands, and ends in time',
        ok: made?.status.state === 'active' && until === data.endsAt,
        detail: made ? `${made.id}, ${stateOf(made)}, until ${until}` : 'there is none',
      },
      { title: 'No alert with these labels fires unsilenced', ok: left === 0, detail: String(left) },
    ]
  },

  async probe({ data }, _step, ctx) {
    const made = await find(data, ctx)
    return made
      ? { landed: 'yes', detail: `Silence ${made.id} has this comment; it is ${stateOf(made)}.` }
      : { landed: 'no', detail: 'No silence has this comment.' }
  },
})
