import type { S3Client } from '@aws-sdk/client-s3'
import { z } from 'zod'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { isAllowed, s3 } from './connection.ts'
import { folderNames, listUnder, MOST_KEYS, sizeOf } from './listing.ts'

const DAY = 24 * 3_600_000
const BEFORE = 7
/** So many are shown, and so many are measured at all. */
const EVENTS = 40
const MOST_EVENTS = 400
const MIB = 1024 * 1024

/** Objects and bytes that were there by the same time of the day as now, and bytes of the whole day. */
type Volume = { day: string; objects: number; bytes: number; whole: number }

/** How much of an event, or of each, came today by now, against the seven days before by the same time. */
export const eventVolume = defineRead({
  id: 's3.event-volume',
  summary: 'Show how much of an event came today against the seven days before, heaviest event first',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('S3 connection'),
    event: z
      .string()
      .regex(/^([\w-][\w.=-]*)?$/, 'the name of a folder')
      .default('')
      .describe('Event; empty for all'),
  }),
  async read({ connection, event }, ctx) {
    const { client, settings } = await ctx.connect(s3, connection)
    if (settings.events === undefined)
      throw new Refused(`The connection "${connection}" does not say where events are. Set "events".`)
    const [bucket = '', ...path] = settings.events.split('/')
    const layout = path.join('/')
    const now = ctx.now().getTime()
    const days = Array.from({ length: BEFORE + 1 }, (_, i) => now - (BEFORE - i) * DAY)
    const check = (prefix: string) => {
      if (isAllowed(settings, bucket, prefix)) return prefix
      throw new Refused(
        `The connection "${connection}" may not read s3://${bucket}/${prefix}. Allowed: ${settings.buckets.join(', ')}.`,
      )
    }
    const names = event
      ? [event]
      : await eventsOf(client, bucket, days, (day) => check(fill(layout.split('{event}')[0]!, day, '')), ctx.signal)
    if (names.length > MOST_EVENTS)
      throw new Refused(`There are ${names.length} events, more than ${MOST_EVENTS}. Name one event.`)
    let keys = 0
    const volumeOf = async (name: string, at: number): Promise<Volume> => {
      const volume = { day: dayOf(at), objects: 0, bytes: 0, whole: 0 }
      for await (const object of listUnder(client, bucket, check(fill(layout, at, name)), ctx.signal)) {
        if (++keys > MOST_KEYS) throw new Refused(`More than ${MOST_KEYS} objects came in these days. Name one event.`)
        volume.whole += object.size
        if (object.modified > at) continue
        volume.objects += 1
        volume.bytes += object.size
      }
      return volume
    }
    // Today of all of them first: which are the heaviest is not known before.
    const today: { name: string; volume: Volume }[] = []
    for (const name of names) today.push({ name, volume: await volumeOf(name, now) })
    today.sort((a, b) => b.volume.bytes - a.volume.bytes || (a.name < b.name ? -1 : 1))
    const found: { name: string; volumes: Volume[] }[] = []
    for (const { name, volume } of today.slice(0, EVENTS)) {
      const volumes: Volume[] = []
      for (const at of days.slice(0, BEFORE)) volumes.push(await volumeOf(name, at))
      found.push({ name, volumes: [...volumes, volume] })
    }
    const heaviest = found[0]
    if (!heaviest) return { summary: `There is no event under s3://${settings.events}.`, blocks: [] }
    const by = `${new Date(now).toISOString().slice(11, 16)} UTC`
    const summary = `${heaviest.name}: ${sizeOf(heaviest.volumes[BEFORE]!.bytes)} today by ${by}, ${timesOf(heaviest.volumes)} the usual of the ${BEFORE} days before by that time.`
    if (event)
      return {
        summary,
        blocks: [
          {
            type: 'chart',
            title: `${event} by ${by} of each day`,
            unit: 'MiB',
            points: heaviest.volumes.map(({ day, bytes }) => ({
              label: day,
              value: Math.round((bytes / MIB) * 10) / 10,
            })),
          },
          {
            type: 'table',
            columns: ['Day', `Objects by ${by}`, `Size by ${by}`, 'Whole day'],
            rows: heaviest.volumes
              .toReversed()
              .map(({ day, objects, bytes, whole }) => [day, String(objects), sizeOf(bytes), sizeOf(whole)]),
            omitted: 0,
          },
        ],
      }
    return {
      summary: `${names.length} events, the heaviest first. ${summary}`,
      blocks: [
        {
          type: 'table',
          columns: ['Event', `Today by ${by}`, 'Usual by that time', 'Times the usual'],
          rows: found
            .slice(0, EVENTS)
            .map(({ name, volumes }) => [
              name,
              sizeOf(volumes[BEFORE]!.bytes),
              sizeOf(usualOf(volumes)),
              timesOf(volumes),
            ]),
          omitted: Math.max(0, names.length - EVENTS),
        },
      ],
    }
  },
})

const dayOf = (at: number) => new Date(at).toISOString().slice(0, 10)

const fill = (layout: string, at: number, event: string): string => {
  const [yyyy = '', mm = '', dd = ''] = dayOf(at).split('-')
  return layout.replace('{yyyy}', yyyy).replace('{mm}', mm).replace('{dd}', dd).replace('{event}', event)
}

/** The folders where the layout has the event: of today and of each day before, if the day comes first in it. */
async function eventsOf(
  client: S3Client,
  bucket: string,
  days: readonly number[],
  prefixOf: (day: number) => string,
  signal: AbortSignal,
): Promise<string[]> {
  const names = new Set<string>()
  for (const prefix of new Set(days.map(prefixOf)))
    for (const name of await folderNames(client, bucket, prefix, signal)) names.add(name)
  return [...names].sort()
}

/** The middle one of the days before today. */
function usualOf(volumes: readonly Volume[]): number {
  const before = volumes.slice(0, BEFORE).map((volume) => volume.bytes)
  return before.sort((a, b) => a - b)[Math.floor(BEFORE / 2)]!
}

function timesOf(volumes: readonly Volume[]): string {
  const usual = usualOf(volumes)
  return usual === 0 ? 'with nothing as' : `${Math.round((volumes[BEFORE]!.bytes / usual) * 10) / 10} times`
}
