import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { alertmanager } from '../../src/sources/alertmanager.ts'
import { LIMITS, WARNING } from '../../src/sources/normalise.ts'
import { NOW, outcome, SOURCES, startEdge } from './edge.ts'

const FOLDER = new URL('../fixtures/alertmanager/', import.meta.url)
const recorded = readdirSync(FOLDER).filter((name) => name.endsWith('.json') && !name.endsWith('.headers.json'))
const read = (name: string) => JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'))

function decode(body: unknown) {
  const decoded = outcome(alertmanager.decode(body, SOURCES.am as never, { source: 'am', receivedAt: NOW }))
  if (!decoded.ok) throw new Error(decoded.reason)
  return decoded.batch
}
const one = (alert: Record<string, unknown>, rest: Record<string, unknown> = {}) =>
  decode({ ...rest, alerts: [{ status: 'firing', labels: { alertname: 'A' }, ...alert }] }).alerts[0]!

describe('recorded Alertmanager requests', () => {
  let edge: Awaited<ReturnType<typeof startEdge>>
  beforeAll(async () => {
    edge = await startEdge()
  })
  afterAll(() => edge.close())

  it('are all here', () => expect(recorded).toHaveLength(5))

  it.each(recorded)('%s is stored whole', async (name) => {
    const { headers } = read(name.replace('.json', '.headers.json'))
    const text = JSON.stringify(read(name))
    const { host: _host, 'content-length': _length, ...sent } = headers
    // A recording without credentials comes from a receiver that had none; the edge wants them.
    const reply = await edge.post(text, { authorization: 'Bearer s3cret', ...sent })
    expect(reply.status).toBe(200)
    const { batch, source } = edge.stored.at(-1)!
    const payload = read(name)
    expect(source).toBe('am')
    expect(await reply.json()).toEqual({ stored: payload.alerts.length })
    expect(batch.truncated).toBe(payload.truncatedAlerts)
    expect(batch.alerts.map((a) => [a.fingerprint, a.status, a.labels, a.annotations])).toEqual(
      payload.alerts.map((a: Record<string, unknown>) => [a.fingerprint, a.status, a.labels, a.annotations]),
    )
    for (const alert of batch.alerts) {
      expect(alert.startsAt).toMatch(/^2026-11-20T23:0[23]:\d\d\.\d{3}Z$/)
      expect(alert.endsAt === null).toBe(alert.status === 'firing')
    }
  })
})

describe('an Alertmanager alert', () => {
  it('is normalised with its links', () => {
    const { alerts, truncated } = decode(read('05-annotations-runbook-url.json'))
    expect(truncated).toBe(0)
    expect(alerts[0]).toMatchObject({
      source: 'am',
      fingerprint: 'c8eca08886b11391',
      startsAt: '2026-11-20T23:03:32.222Z',
      endsAt: null,
      links: [
        { title: 'Runbook', url: 'https://runbooks.example.com/rds/export-stuck#restart' },
        { title: 'Dashboard', url: 'https://grafana.example.com/d/abc?var-db=orders-1' },
        { title: 'Source', url: 'http://prometheus:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1' },
        { title: 'Alertmanager', url: 'http://vm:21600/' },
      ],
    })
  })

  it('keeps its own status in a group of another', () => {
    const labels = { alertname: 'A' }
    const batch = decode({
      status: 'firing',
      alerts: [
        { status: 'firing', labels },
        { status: 'resolved', labels },
      ],
    })
    expect(batch.alerts.map((a) => a.status)).toEqual(['firing', 'resolved'])
  })

  it.each([
    'javascript:alert(1)',
    'data:text/html,x',
    '//example.com',
    'runbook',
    'https://grafana.example.com@evil.example/',
    '',
    `https://x.example/${'a'.repeat(3000)}`,
  ])('gets no link from %s', (url) => {
    const alert = one(
      { generatorURL: url, annotations: { runbook_url: url, dashboard_url: url } },
      { externalURL: url },
    )
    expect(alert.links).toEqual([])
    expect(alert.annotations.runbook_url).toBe(url)
  })

  it.each([
    ['2026-11-20T23:03:30.204417027Z', '2026-11-20T23:03:30.204Z'],
    ['2026-11-21T00:03:30+01:00', '2026-11-20T23:03:30.000Z'],
    ['0001-01-01T00:00:00Z', NOW.toISOString()],
    [undefined, NOW.toISOString()],
    [null, NOW.toISOString()],
  ])('that starts at %s started at %s', (startsAt, expected) => expect(one({ startsAt }).startsAt).toBe(expected))

  it('without a fingerprint is told apart by its labels in any order, and by nothing else', () => {
    const a = one({ labels: { a: '1', b: '2' } })
    expect(a.fingerprint).toMatch(/^sha256:/)
    expect(one({ labels: { b: '2', a: '1' }, status: 'resolved', annotations: { x: 'y' } }).fingerprint).toBe(
      a.fingerprint,
    )
    expect(one({ labels: { a: '1', b: '3' } }).fingerprint).not.toBe(a.fingerprint)
  })

  it('with too long an annotation is kept, the text cut with a mark and a warning', () => {
    const alert = one({ annotations: { description: '😀'.repeat(10_000), short: 'x' } })
    expect(LIMITS.annotation - alert.annotations.description!.length).toBeLessThan(2)
    expect(alert.annotations.description!.length).toBeLessThanOrEqual(LIMITS.annotation)
    expect(alert.annotations.description).toMatch(/😀… \(cut, 20000 characters\)$/)
    expect(alert.annotations.short).toBe('x')
    expect(alert.annotations[WARNING]).toBe('Cut to fit: 1 annotation shortened.')
  })

  it('with too long a label value or name is kept, and told apart from one that differs at the end', () => {
    const long = 'x'.repeat(5_000)
    const [a, b] = [one({ labels: { [long]: `${long}a` } }), one({ labels: { [`${long}2`]: `${long}b` } })]
    const [[nameA, valueA], [nameB, valueB]] = [Object.entries(a.labels)[0]!, Object.entries(b.labels)[0]!]
    expect([nameA.length, valueA.length]).toEqual([LIMITS.name, LIMITS.label])
    expect(nameA).not.toBe(nameB)
    expect(valueA).not.toBe(valueB)
    expect(one({ labels: { [long]: `${long}a` } })).toEqual(a)
    expect(a.annotations[WARNING]).toBe('Cut to fit: 1 label shortened.')
  })

  it('of far more names than anybody reads counts the rest unread', () => {
    const flood = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`n${i}`, 'v']))
    const alert = one({ labels: flood })
    expect(Object.keys(alert.labels)).toHaveLength(64)
    expect(alert.annotations[WARNING]).toBe('Cut to fit: 9936 labels left out (64 are kept).')
    const wrong = { alerts: [{ status: 'firing', labels: { ...flood, n1: 7 } }] }
    expect(() => decode(wrong)).toThrow('alerts[0].labels.n1: expected string, received number')
  })

  it('with more than 64 labels or annotations keeps the first by name, says so, and stays distinct', () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`n${String(i).padStart(3, '0')}`, 'v']))
    const alert = one({ labels: many, annotations: many })
    expect(Object.keys(alert.labels)).toEqual(Object.keys(many).slice(0, 64))
    expect(alert.annotations[WARNING]).toBe(
      'Cut to fit: 36 labels left out (64 are kept), 36 annotations left out (64 are kept).',
    )
    expect(one({ labels: { ...many, n099: 'w' } }).fingerprint).not.toBe(alert.fingerprint)
  })

  it('cannot bring the warning itself', () => {
    expect(one({ annotations: { [WARNING]: 'all is well' } }).annotations).toEqual({})
  })

  it('holds no NUL and no half of a surrogate pair', () => {
    const alert = one({ labels: { 'a\0b': 'c\0d\ud800' }, fingerprint: 'f\0' })
    expect(alert).toMatchObject({ labels: { ab: 'cd\ufffd' }, fingerprint: 'f' })
  })
})
