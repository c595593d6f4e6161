import { z } from 'zod'
import { defineRead, type EvidenceBlock } from '../../src/domain/command.ts'
import { postgres } from './connection.ts'
import { type Estimate, estimate } from './estimate.ts'
import { readConnections, readHolders, readLocks, readRunning, readTimeouts } from './sessions.ts'
import { clean, duration } from './text.ts'

/** Planning is bounded: only the longest queries are explained. */
const EXPLAINED = 3
const MOST_HOLDERS = 5

/** The longest running queries with the planner's estimates, the locks they hold, and how full the server is. */
export const longestQueries = defineRead({
  id: 'postgres.longest-queries',
  summary: 'Show the longest running queries with their estimates, their locks and the connections in use',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Postgres connection'),
    limit: z.coerce.number().int().min(1).max(20).default(5).describe('How many queries to show'),
  }),
  async read({ connection, limit }, ctx) {
    const { client, settings } = await ctx.connect(postgres, connection)
    const sessions = await readRunning(client, limit)
    const states = await readConnections(client)
    const holders = await readHolders(client, MOST_HOLDERS)
    const timeoutOf = await readTimeouts(client)
    const locks = await readLocks(
      client,
      sessions.map((s) => s.pid),
    )
    const estimates = new Map<number, Estimate>()
    for (const s of sessions.filter((one) => one.state === 'active').slice(0, EXPLAINED)) {
      ctx.signal.throwIfAborted()
      if (settings.explain && s.database === settings.database) estimates.set(s.pid, await estimate(client, s.rawQuery))
    }
    const used = states.reduce((sum, row) => sum + row.sessions, 0)
    const longest = sessions[0]
    const blocks: EvidenceBlock[] = []
    if (longest)
      blocks.push({
        type: 'table',
        columns: [
          'pid',
          'age',
          'user',
          'state',
          'waits for',
          'estimated rows',
          'estimated cost',
          'statement_timeout',
          'query',
          'never ended',
        ],
        rows: sessions.map((s) => [
          String(s.pid),
          duration(s.ageSeconds),
          s.user,
          s.state,
          s.waitsFor,
          estimates.get(s.pid)?.rows ?? '',
          estimates.get(s.pid)?.cost ?? '',
          timeoutOf(s.user, s.database) || 'none of its role',
          s.query,
          s.protectedBecause,
        ]),
        omitted: 0,
      })
    if (longest && !settings.explain)
      blocks.push({
        type: 'text',
        text: 'Estimates are off: with "explain: true" the connection shows the plans of running queries.',
      })
    for (const [pid, found] of estimates)
      blocks.push({ type: 'code', text: `plan of ${pid}\n${found.plan || `none: ${found.problem}`}` })
    if (locks.length > 0)
      blocks.push({
        type: 'table',
        columns: ['pid', 'lock', 'count', 'waits', 'tables'],
        rows: locks.map((l) => [String(l.pid), l.mode, String(l.locks), l.waits ? 'yes' : '', clean(l.tables, 200)]),
        omitted: 0,
      })
    blocks.push({
      type: 'chart',
      title: `Connections: ${used} of ${states[0]?.most ?? '?'}`,
      unit: 'sessions',
      points: states.map((row) => ({ label: row.state, value: row.sessions })),
    })
    blocks.push({
      type: 'table',
      columns: ['user', 'application', 'sessions', 'idle'],
      rows: holders.map((one) => [
        clean(one.user, 63),
        clean(one.application, 63),
        String(one.sessions),
        String(one.idle),
      ]),
      omitted: 0,
    })
    const summary = longest
      ? `The longest on ${connection}: session ${longest.pid} of ${longest.user}, ${longest.state} for ${duration(longest.ageSeconds)}.`
      : `No query runs on ${connection}.`
    return { summary: `${summary} ${used} of ${states[0]?.most ?? '?'} connections are in use.`, blocks }
  },
})
