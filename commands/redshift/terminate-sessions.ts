import { z } from 'zod'
import { defineChange, type ReadContext, Refused } from '../../src/domain/command.ts'
import { endedChecks, namedPids, pidsParam, refuseMany, stepOf } from '../postgres/pids.ts'
import { roots, waitersOf } from '../postgres/tree.ts'
import { settled } from '../settle.ts'
import { placeOf, redshift } from './connection.ts'
import { type Identity, type Locker, readLockers, terminate } from './locks.ts'

const Params = z.object({
  connection: z.string().describe('Redshift connection'),
  pids: pidsParam('every session that others wait for and that waits for nobody'),
})

type Data = { connection: string; sessions: Identity[] }

const identityOf = ({ pid, began, user, xid, view }: Locker): Identity => ({ pid, began, user, xid, view })

/** Why a session is not the one to terminate; null if it may be. */
function refusal(pid: number, sessions: readonly Locker[]): string | null {
  const s = sessions.find((one) => one.pid === pid)
  if (!s) return `There is no session ${pid}.`
  if (s.protectedBecause) return `Session ${pid} is left alone: it is ${s.protectedBecause}.`
  if (s.blockedBy.length > 0 && !roots(sessions).includes(s))
    return `Session ${pid} is not at the root: it waits for ${s.blockedBy.join(' and ')}.`
  if (waitersOf(pid, sessions).length === 0 && s.state === 'idle')
    return `Session ${pid} is idle and blocks nobody: there is nothing to end.`
  return null
}

function choose(pids: string, all: readonly Locker[], connection: string) {
  const named = namedPids(pids)
  const wanted = named ?? roots(all).map((s) => s.pid)
  const no = wanted.map((pid) => refusal(pid, all)).filter((sentence) => sentence !== null)
  if (named && no.length > 0) throw new Refused(no.join(' '))
  const chosen = all.filter((s) => wanted.includes(s.pid) && refusal(s.pid, all) === null)
  if (chosen.length === 0 && no.length > 0)
    throw new Refused(`No session at the root may be terminated. ${no.join(' ')}`)
  if (chosen.length === 0) throw new Refused(`Nothing to do: no session on ${connection} waits for another one.`)
  refuseMany(chosen)
  return { chosen, spared: no }
}

/** Terminates the sessions that hold the locks, each only while its pid is the session and transaction that was shown. */
export const terminateSessions = defineChange<typeof Params, Data>({
  id: 'redshift.terminate-sessions',
  summary: 'Terminate the Redshift sessions that hold the locks',
  effect: 'once',
  risk: 'medium',
  params: Params,

  async plan({ connection, pids }, ctx) {
    const { client, settings } = await ctx.connect(redshift, connection)
    const sessions = await readLockers(await client.sql(), ctx.now())
    const { chosen, spared } = choose(pids, sessions, connection)
    return {
      summary: `Terminate ${chosen.length === 1 ? `session ${chosen[0]!.pid}` : `${chosen.length} sessions`} on ${connection}`,
      targets: chosen.map((s) => ({
        id: `redshift:${connection}/pid/${s.pid}`,
        name: `session ${s.pid} of ${s.user}`,
        fingerprint: `${s.began} ${s.xid}`,
        details: {
          ...placeOf(settings),
          database: s.database,
          user: s.user,
          'session began': s.backendStart,
          'transaction began': s.transactionStart,
          transaction: s.xid,
          state: `${s.state} since ${s.stateSince}`,
          query: s.query,
        },
      })),
      steps: chosen.map((s) => ({
        id: stepOf(s.pid),
        title: `Terminate session ${s.pid} of ${s.user}`,
        detail: `pg_terminate_backend(${s.pid}), if it began at ${s.backendStart} and is in transaction ${s.xid || '(none)'}`,
      })),
      warnings: [
        'What these sessions have not committed is rolled back; their applications lose the connection.',
        ...spared,
      ],
      data: { connection, sessions: chosen.map(identityOf) },
    }
  },

  async run({ data }, ctx) {
    const { client } = await ctx.connect(redshift, data.connection)
    const sql = await client.sql()
    const ended: number[] = []
    const rest: string[] = []
    for (const [i, it] of data.sessions.entries()) {
      const result = await ctx.step(stepOf(it.pid), () => terminate(sql, it))
      if (result === 'signalled') ended.push(it.pid)
      else rest.push(`${it.pid} was left alone: it ended or moved on by itself.`)
      ctx.progress(i + 1, data.sessions.length)
    }
    return [...(ended.length > 0 ? [`Terminated ${ended.join(', ')}.`] : []), ...rest].join(' ')
  },

  async verify({ data }, ctx) {
    // The sessions that waited need a moment to take their locks and finish.
    const seen = await settled(
      () => look(data, ctx),
      (now) => now.alive.length + now.waiting.length === 0,
      ctx.signal,
    )
    return endedChecks(seen)
  },

  async probe({ data }, step, ctx) {
    const it = data.sessions.find((s) => stepOf(s.pid) === step)
    if (!it) return { landed: 'cannot_tell', detail: `The plan has no step ${step}.` }
    const { alive } = await look({ ...data, sessions: [it] }, ctx)
    if (alive.length === 0)
      return { landed: 'yes', detail: `Session ${it.pid} is gone, or no longer in transaction ${it.xid || '(none)'}.` }
    return {
      landed: 'no',
      detail: `Session ${it.pid} is still there, ${alive[0]!.state} since ${alive[0]!.stateSince}.`,
    }
  },
})

async function look({ connection, sessions }: Data, ctx: ReadContext) {
  const { client } = await ctx.connect(redshift, connection)
  const all = await readLockers(await client.sql(), ctx.now())
  return {
    alive: all.filter((s) => sessions.some((it) => s.pid === it.pid && s.began === it.began && s.xid === it.xid)),
    waiting: all.filter((s) => s.blockedBy.length > 0),
    tops: roots(all),
  }
}
