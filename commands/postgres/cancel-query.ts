import { z } from 'zod'
import { defineChange, type ReadContext, Refused } from '../../src/domain/command.ts'
import { settled } from '../settle.ts'
import { postgres } from './connection.ts'
import { cancel, type Identity, readBlocking } from './sessions.ts'
import { identityOf, targetOf } from './target.ts'

const Params = z.object({
  connection: z.string().describe('Postgres connection'),
  pid: z.coerce.number().int().positive().max(2_147_483_647).describe('Pid of the session that runs the query'),
})

type Data = { connection: string; session: Identity }

/** Cancels one query, only while it is the one that was shown; its session stays. */
export const cancelQuery = defineChange<typeof Params, Data>({
  id: 'postgres.cancel-query',
  summary: 'Cancel the query that a session runs; the session stays',
  effect: 'once',
  risk: 'low',
  params: Params,

  async plan({ connection, pid }, ctx) {
    const { client } = await ctx.connect(postgres, connection)
    const s = (await readBlocking(client, [pid])).find((one) => one.pid === pid)
    if (!s) throw new Refused(`There is no session ${pid} on ${connection}.`)
    if (s.protectedBecause) throw new Refused(`Session ${pid} is left alone: it is ${s.protectedBecause}.`)
    if (s.state !== 'active') throw new Refused(`Session ${pid} runs no query now: it is ${s.state || 'in no state'}.`)
    if (!s.maySignal)
      throw new Refused(`The connection's role may not cancel a query of ${s.user}: grant it pg_signal_backend.`)
    const target = targetOf(connection, s)
    return {
      summary: `Cancel the query of session ${pid} on ${connection}`,
      targets: [{ ...target, fingerprint: `${s.backendStart} ${s.queryStart}` }],
      steps: [
        {
          id: `cancel-${pid}`,
          title: `Cancel the query of session ${pid}`,
          detail: `pg_cancel_backend(${pid}), if it began at ${s.backendStart} and its query at ${s.queryStart}`,
        },
      ],
      warnings: ['The transaction of this query is rolled back.'],
      data: { connection, session: identityOf(s) },
    }
  },

  async run({ data, steps }, ctx) {
    const { client } = await ctx.connect(postgres, data.connection)
    const { pid } = data.session
    const result = await ctx.step(steps[0]!.id, () => cancel(client, data.session))
    if (result === 'left_alone') return `The query of session ${pid} had ended by itself; nothing was cancelled.`
    return `Asked session ${pid} to cancel its query.`
  },

  async verify({ data }, ctx) {
    const still = await settled(
      () => running(data, ctx),
      (s) => s === undefined,
      ctx.signal,
    )
    const detail = still
      ? `It still runs, ${still.waitsFor ? `waiting for ${still.waitsFor}` : 'since the cancel has not reached it'}; terminate the session next.`
      : ''
    return [{ title: `Session ${data.session.pid} no longer runs the query`, ok: !still, detail }]
  },

  async probe({ data }, _step, ctx) {
    const still = await running(data, ctx)
    if (still)
      return { landed: 'no', detail: `Session ${data.session.pid} still runs the query of ${data.session.queryStart}.` }
    return { landed: 'yes', detail: `The query of ${data.session.queryStart} no longer runs.` }
  },
})

async function running({ connection, session }: Data, ctx: ReadContext) {
  const { client } = await ctx.connect(postgres, connection)
  return (await readBlocking(client, [session.pid])).find(
    (s) =>
      s.pid === session.pid &&
      s.backendStart === session.backendStart &&
      s.queryStart === session.queryStart &&
      s.state === 'active',
  )
}
