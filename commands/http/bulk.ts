import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { defineChange, Refused, Unanswered } from '../../src/domain/command.ts'
import { settled } from '../settle.ts'
import {
  type Data as Changes,
  type Held,
  hold,
  inLanes,
  look,
  openOperation,
  send,
  sendInTime,
  slowed,
  survey,
  targetsOf,
  verifyAll,
} from './change.ts'
import { below } from './within.ts'

const STEP = 'change'
const MOST = 2_000
const LISTED = 20

const Params = z.object({
  connection: z.string().describe('HTTP connection'),
  operation: z.string().describe('Name of the operation in the settings'),
  args: z.array(z.string()).default([]).describe('Its parameters, one name=value each'),
  count: z.coerce.number().int().min(1).meta({
    description: 'How many will be changed? Type the count that the evidence shows',
    from: 'person',
  }),
})

type Data = Changes & Readonly<{ mayFail: number }>

/** How a bulk change went. Each item is in one of them, or was not tried. */
const Tally = z.object({ done: z.number(), failed: z.array(z.string()), why: z.string(), stopped: z.string() })

/**
 * A configured change of many things: those that the service lists now, if a person typed how many they are. So many
 * at once; stops above a share of failures. What failed stays in the list, and is tried again by another decision only.
 */
export const bulk = defineChange<typeof Params, Data>({
  id: 'http.bulk',
  summary: 'Run a configured operation of a web service on everything it lists, once its count was typed',
  effect: 'once',
  risk: 'high',
  runMinutes: 120,
  params: Params,

  async plan({ connection, operation: name, args, count }, ctx) {
    const { service, operation, list, values, items } = await survey(connection, name, args, ctx)
    if (items.length > MOST)
      throw new Refused(`${operation.list} holds ${items.length}; at most ${MOST} are changed at a time.`)
    if (count !== items.length)
      throw new Refused(
        `You typed ${count}, but ${operation.list} holds ${items.length} now. Look again, and type what you mean.`,
      )
    const { method, path } = operation.send
    const held = hold(operation, { connection, operation: name, values }, items, ctx.requestedAt)
    const mayFail = Math.floor(operation.stopAbove * items.length)
    const first = held[0]!
    const key = operation.keyHeader ? `\n${operation.keyHeader}: a key of its own for each` : ''
    return {
      summary: `${operation.summary}: ${items.length}`,
      targets: targetsOf(connection, list.noun, items),
      steps: [
        {
          id: STEP,
          title: `${method} ${path} for each of ${items.length}, ${operation.atOnce} at a time`,
          detail: `${method} ${below(service.settings, first.path).href}${first.body && `\n${first.body}`}${key}\n…\n${held.map((i) => i.id).join(' ')}`,
        },
      ],
      warnings: [`It stops when more than ${mayFail} have failed. What was changed by then stays changed.`],
      data: { connection, operation: name, values, items: held, mayFail },
    }
  },

  async run({ data }, ctx) {
    const { service, operation } = await openOperation(data.connection, data.operation, ctx)
    const total = data.items.length
    const tally = await ctx.step(STEP, async () => {
      const failed: string[] = []
      const silent: Held[] = []
      let [done, why] = [0, '']
      const bad = () => failed.length + silent.length
      // A request that is out is waited for: cut off, nobody could say whether it took effect.
      const patience = new AbortController()
      /** No request begins before it: a service that asks to be left alone is, by all lanes. */
      let calm: Promise<unknown> = Promise.resolve()
      const leaveAlone = (waitMs: number) => {
        ctx.progress(done + bad(), total, slowed(waitMs))
        calm = Promise.all([calm, pause(waitMs, undefined, { signal: ctx.signal })])
        return calm.then(() => {})
      }
      const one = async (item: Held) => {
        await calm.catch(() => {})
        if (ctx.signal.aborted) return
        await sendInTime(() => send(service, operation, item, patience.signal), leaveAlone).then(
          () => done++,
          (error: Error) => {
            // Stopped while it waited to be sent again: it was not done.
            if (ctx.signal.aborted && error.name === 'AbortError') return
            if (error instanceof Unanswered) silent.push(item)
            else failed.push(item.id)
            why ||= error.message
          },
        )
        ctx.progress(done + bad(), total, bad() > 0 ? `${bad()} failed` : undefined)
      }
      const tooMany = () => bad() > data.mayFail
      await inLanes(data.items, operation.atOnce, one, () => tooMany() || ctx.signal.aborted)
      const stopped = tooMany() ? 'too many failed' : ctx.signal.aborted ? whyOf(ctx.signal.reason) : ''
      failed.sort()
      const unseen = (error: unknown) => {
        throw new Unanswered(
          `${done} of ${total} done; no answer came for ${listed(silent.map((item) => item.id))}, which may still land, and they can't be looked at: ${error instanceof Error ? error.message : String(error)}`,
          { cause: error },
        )
      }
      const seen = await settled(
        () => look(data, silent, ctx),
        ({ changed }) => changed.length === silent.length,
        ctx.signal,
      ).catch(unseen)
      done += seen.changed.length
      const waiting = [...seen.open, ...seen.unclear].sort()
      if (waiting.length > 0)
        throw new Unanswered(
          `${done} of ${total} done; no answer came for ${listed(waiting)}, which may still land${failed.length > 0 ? `; ${failed.length} failed: ${listed(failed)}` : ''}`,
        )
      return { done, failed, why: why.slice(0, 300), stopped }
    })
    const { done, failed, why, stopped } = Tally.parse(tally)
    const left = total - done - failed.length
    const parts = [
      `${operation.summary}: ${done} of ${total} done`,
      ...(failed.length > 0 ? [`${failed.length} failed (${why}): ${listed(failed)}`] : []),
      ...(left > 0 ? [`stopped, since ${stopped}: ${left} not tried`] : []),
    ]
    return parts.join('; ')
  },

  verify: ({ data }, ctx) => verifyAll(data, ctx),

  async probe({ data }, _step, ctx) {
    const { changed, open, unclear } = await look(data, data.items, ctx)
    const all = data.items.length
    const landed = changed.length === all ? 'yes' : open.length === all ? 'no' : 'cannot_tell'
    const rest = [...open, ...unclear].sort()
    return {
      landed,
      detail: `${changed.length} of ${all} are changed.${landed === 'cannot_tell' ? ` Not, or not known: ${listed(rest)}.` : ''}`,
    }
  },
})

const whyOf = (reason: unknown) => (reason instanceof Error ? reason.message : 'it was told to')
const listed = (ids: readonly string[]) =>
  `${ids.slice(0, LISTED).join(', ')}${ids.length > LISTED ? ` and ${ids.length - LISTED} more` : ''}`
