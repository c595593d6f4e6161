import { z } from 'zod'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { settled } from '../settle.ts'
import { postgres } from './connection.ts'
import { endedChecks, namedPids, pidsParam, refuseMany, stepOf } from './pids.ts'
import { type Identity, readBlocking, type Session, terminate } from './sessions.ts'
import { identityOf, targetOf } from './target.ts'
import { roots, waitersOf } from './tree.ts'

const Params = z.object({
  connection: z.string().describe('Postgres connection'),
  pids: pidsParam('every session that blocks others and waits for nobody'),
})

type Data = { connection: string; sessions: Identity[] }

/** Why a session that a person named is not the one to terminate; null if it may be. */
function refusal(pid: number, sessions: readonly Session[]): string | null {
  const s = sessions.find((one) => one.pid === pid)
  if (!s) return `There is no session ${pid}.`
  if (s.protectedBecause) return `Session ${pid} is left alone: it is ${s.protectedBecause}.`
  if (s.blockedBy.length > 0 && !roots(sessions).includes(s))
    return `Session ${pid} is not at the root: it waits for ${s.blockedBy.map((b) => (b === 0 ? 'a prepared transaction' : b)).join(' and ')}.`
  if (waitersOf(pid, sessions).length === 0 && s.state === 'idle')
    return `Session ${pid} is idle and blocks nobody: there is nothing to end.`
  if (!s.maySignal) return `The connection's role may not end the session of ${s.user}: grant it pg_signal_backend.`
  return null
}

async function choose(pids: string, client: Parameters<typeof readBlocking>[0], connection: string) {
  const named = namedPids(pids) ?? []
  const sessions = await readBlocking(client, named)
  if (named.length > 0) {
    const no = named.map((pid) => refusal(pid, sessions)).filter((sentence) => sentence !== null)
    if (no.length > 0) throw new Refused(no.join(' '))
    return { chosen: sessions.filter((s) => named.includes(s.pid)), spared: [] }
  }
  const all = roots(sessions)
  const spared = all.filter((s) => refusal(s.pid, sessions) !== null).map((s) => refusal(s.pid, sessions)!)
  const chosen = all.filter((s) => refusal(s.pid, sessions) === null)
  if (chosen.length > 0) return { chosen, spared }
  if (spared.length > 0) throw new Refused(`No session at the root may be terminated. ${spared.join(' ')}`)
  if (sessions.some((s) => s.blockedBy.includes(0)))
    throw new Refused(
      `A prepared transaction on ${connection} holds the lock: commit or roll it back (see pg_prepared_xacts).`,
    )
  throw new Refused(`Nothing to do: no session on ${connection} blocks another one.`)
}

/** Whether `s` is the process that was approved. A role that lost the right to see its start cannot say no. */
const same = (s: Session, it: Identity) =>
  s.pid === it.pid && (s.backendStart === it.backendStart || s.backendStart === '')

/** Terminates the sessions that hold everybody else up, each one only while it is still in the transaction shown. */
export const terminateSessions = defineChange<typeof Params, Data>({
  id: 'postgres.terminate-sessions',
  summary: 'Terminate the sessions at the root of the blocking tree',
  effect: 'once',
  risk: 'medium',
  params: Params,

  async plan({ connection, pids }, ctx) {
    const { client } = await ctx.connect(postgres, connection)
    const { chosen, spared } = await choose(pids, client, connection)
    refuseMany(chosen)
    return {
      summary: `Terminate ${chosen.length === 1 ? `session ${chosen[0]!.pid}` : `${chosen.length} sessions`} on ${connection}`,
      targets: chosen.map((s) => targetOf(connection, s)),
      steps: chosen.map((s) => ({
        id: stepOf(s.pid),
        title: `Terminate session ${s.pid} of ${s.user}`,
        detail: `pg_terminate_backend(${s.pid}), if it began at ${s.backendStart} and its transaction at ${s.transactionStart || '(none)'}`,
      })),
      warnings: [
        'What these sessions have not committed is rolled back; their applications lose the connection.',
        ...spared,
      ],
      data: { connection, sessions: chosen.map(identityOf) },
    }
  },

  async run({ data }, ctx) {
    const { client } = await ctx.connect(postgres, data.connection)
    const ended: number[] = []
    const rest: string[] = []
    for (const [i, it] of data.sessions.entries()) {
      const result = await ctx.step(stepOf(it.pid), () => terminate(client, it))
      if (result === 'ended') ended.push(it.pid)
      else if (result === 'signalled') rest.push(`${it.pid} got the signal and has not ended yet`)
      else rest.push(`${it.pid} was left alone: it ended or moved on by itself`)
      ctx.progress(i + 1, data.sessions.length)
    }
    const said = ended.length > 0 ? [`Terminated ${ended.join(', ')}.`] : []
    return [...said, ...rest.map((line) => `${line}.`)].join(' ')
  },

  async verify({ data }, ctx) {
    const { client } = await ctx.connect(postgres, data.connection)
    const look = async () => {
      const sessions = await readBlocking(
        client,
        data.sessions.map((s) => s.pid),
      )
      return {
        alive: sessions.filter((s) =>
          data.sessions.some((it) => same(s, it) && s.transactionStart === it.transactionStart),
        ),
        waiting: sessions.filter((s) => s.blockedBy.length > 0),
        tops: roots(sessions),
      }
    }
    // The sessions that waited need a moment to take their locks and finish.
    const seen = await settled(look, (now) => now.alive.length + now.waiting.length === 0, ctx.signal)
    return endedChecks(seen, 'a prepared transaction')
  },

  async probe({ data }, step, ctx) {
    const it = data.sessions.find((s) => stepOf(s.pid) === step)
    if (!it) return { landed: 'cannot_tell', detail: `The plan has no step ${step}.` }
    const { client } = await ctx.connect(postgres, data.connection)
    const s = (await readBlocking(client, [it.pid])).find((one) => same(one, it))
    if (!s) return { landed: 'yes', detail: `Session ${it.pid} that began at ${it.backendStart} is gone.` }
    if (s.backendStart === '') return { landed: 'cannot_tell', detail: `Session ${it.pid} is ${s.protectedBecause}.` }
    const moved =
      s.transactionStart === it.transactionStart
        ? ''
        : ' The transaction that was shown has ended, so it will be left alone.'
    return { landed: 'no', detail: `Session ${it.pid} is still there, ${s.state} since ${s.stateSince}.${moved}` }
  },
})
