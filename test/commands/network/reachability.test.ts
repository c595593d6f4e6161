import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { NetworkSettings } from '../../../commands/network/connection.ts'
import { reach } from '../../../commands/network/reach.ts'
import { reachability } from '../../../commands/network/reachability.ts'
import { type Evidence, type ReadCommand, Refused } from '../../../src/domain/command.ts'
import { createWorld } from '../context.ts'
import { type Endpoints, startEndpoints } from './endpoints.ts'

const command = reachability as ReadCommand
let there: Endpoints
beforeAll(async () => {
  there = await startEndpoints()
})
afterAll(() => there.stop())

type Wanted = Record<string, { host?: string; port: number; tls?: boolean; serverName?: string }>
const look = (
  endpoints: Wanted,
  more: { only?: string[]; ca?: string; signal?: AbortSignal; now?: string; timeoutMs?: number } = {},
) => {
  const all = Object.fromEntries(
    Object.entries(endpoints).map(([n, e]) => [
      n,
      { host: '127.0.0.1', ...e, ...(e.tls && { serverName: e.serverName ?? 'localhost' }) },
    ]),
  )
  const ca = more.ca ?? there.ca
  const settings = { endpoints: all, timeoutMs: more.timeoutMs ?? 2_000, ...(ca && { ca }) }
  const world = createWorld({
    connections: { office: { kind: 'network', settings } },
    now: () => new Date(more.now ?? '2026-11-21T02:00:00Z'),
  })
  const params = command.params.parse({ connection: 'office', endpoints: more.only ?? [] })
  return command.read(params, world.read(more.signal))
}
const rowsOf = ({ blocks: [block] }: Evidence) => (block?.type === 'table' ? block.rows : [])

describe('network.reachability', () => {
  it('shows name, connection, handshake and the end of the certificate of each endpoint, faulty ones first', async () => {
    const evidence = await look({
      warehouse: { port: there.plain },
      api: { port: there.good, tls: true },
      queue: { port: there.gone },
      lost: { host: 'nowhere.invalid', port: 443, tls: true },
    })
    expect(evidence.summary).toBe('2 of 4 endpoints of office do not answer as they should: queue (TCP), lost (DNS).')
    expect(rowsOf(evidence)).toEqual([
      ['✗', 'queue', `127.0.0.1:${there.gone}`, '127.0.0.1', '0 of 1 open; 127.0.0.1 ECONNREFUSED', '', ''],
      ['✗', 'lost', 'nowhere.invalid:443', expect.stringMatching(/^E[A-Z_]+$|no answer/), '', '', ''],
      ['✓', 'warehouse', `127.0.0.1:${there.plain}`, '127.0.0.1', 'open', '', ''],
      ['✓', 'api', `127.0.0.1:${there.good}`, '127.0.0.1', 'open', 'TLSv1.3', '2126-01-01 00:00 UTC'],
    ])
  })

  it('sends nothing to an endpoint without TLS', async () => {
    const before = there.plainBytes()
    await look({ warehouse: { port: there.plain } })
    expect(there.plainBytes()).toBe(before)
  })

  it.each([
    ['it has ended', () => ({ port: there.ended, tls: true }), /EXPIRED/, '⚠ 2025-01-01 00:00 UTC'],
    [
      'it is for another name',
      () => ({ port: there.good, tls: true, serverName: 'db.example' }),
      /ALTNAME/,
      '2126-01-01 00:00 UTC',
    ],
  ] as const)('says of a certificate that %s', async (_, endpoint, says, until) => {
    const evidence = await look({ api: endpoint() })
    expect(evidence.summary).toMatch(/1 of 1 endpoints of office do not answer as they should: api \(TLS\)/)
    expect(rowsOf(evidence)[0]?.slice(-3)).toEqual(['open', expect.stringMatching(says), until])
  })

  it('says of a certificate that nobody vouches for it', async () => {
    const evidence = await look({ api: { port: there.good, tls: true } }, { ca: '' })
    expect(rowsOf(evidence)[0]?.[5]).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
  })

  it('marks a certificate that ends soon, while it is good still', async () => {
    const evidence = await look({ api: { port: there.good, tls: true } }, { now: '2125-12-20T00:00:00Z' })
    expect(evidence.summary).toBe(
      'All 1 endpoints of office answer; certificates that have ended or end within 21 days: api.',
    )
    expect(rowsOf(evidence)[0]?.at(-1)).toBe('⚠ 2126-01-01 00:00 UTC')
  })

  it('says that a name has more addresses than were tried', async () => {
    const addresses = Array.from({ length: 8 }, (_, i) => ({ address: `127.0.0.${i + 1}` }))
    const endpoint = { host: 'many.example', port: there.plain, tls: false }
    const { dns } = await reach(endpoint, { timeoutMs: 500 }, new AbortController().signal, async () => addresses)
    expect(dns).toBe('127.0.0.1, 127.0.0.2, 127.0.0.3, 127.0.0.4, 127.0.0.5, 127.0.0.6, and 2 more that were not tried')
  })

  it('gives up on a handshake that is never answered', async () => {
    const evidence = await look({ api: { port: there.plain, tls: true } }, { timeoutMs: 500 })
    expect(rowsOf(evidence)[0]?.slice(4, 6)).toEqual(['open', 'no answer within 500 ms'])
  })

  it('ends at once when it is cancelled', async () => {
    const cancel = new AbortController()
    const looking = look({ api: { port: there.plain, tls: true } }, { signal: cancel.signal, timeoutMs: 15_000 })
    cancel.abort(new Error('cancelled'))
    await expect(looking).rejects.toThrow('cancelled')
  })

  it('looks at those only that were named, and at none that the settings do not have', async () => {
    const endpoints = { a: { port: there.plain }, b: { port: there.gone } }
    expect(rowsOf(await look(endpoints, { only: ['a'] })).map((r) => r[1])).toEqual(['a'])
    for (const name of ['10.0.0.1:22', '__proto__', 'c'])
      await expect(look(endpoints, { only: [name] })).rejects.toBeInstanceOf(Refused)
  })

  it.each([
    { host: 'a b', port: 1 },
    { host: '-x', port: 1 },
    { host: 'http://x', port: 1 },
    { host: 'x', port: 0 },
    { host: 'x', port: 70_000 },
  ])('settings refuse %j', (endpoint) => {
    expect(NetworkSettings.safeParse({ endpoints: { a: endpoint } }).success).toBe(false)
  })
})
