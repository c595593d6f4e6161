import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { parseExact } from '../../src/domain/exact.ts'
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
    expect(one({ labels: { ...flood, n1: 7 } }).labels.n1).toBe('7')
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

describe('an odd field', () => {
  const labels = { alertname: 'Y' }
  it.each([
    [3, '3'],
    [true, 'true'],
    [false, 'false'],
    [1.5, '1.5'],
    [parseExact('9007199254740993'), '9007199254740993'],
    [['a', 1], '["a",1]'],
    [{ id: parseExact('12345678901234567890') }, '{"id":12345678901234567890}'],
  ])('that is a label %p becomes its text', (value, text) =>
    expect(one({ labels: { ...labels, n: value } }).labels.n).toBe(text),
  )

  it.each([null, '', undefined])('that is a label %p is one that is not there', (value) =>
    expect(one({ labels: { ...labels, n: value } }).labels).toEqual(labels),
  )

  it.each([null, [], 'text', 7])('that is annotations %p costs nothing', (annotations) =>
    expect(one({ annotations })).toMatchObject({ annotations: {}, labels: { alertname: 'A' } }),
  )

  it.each([null, 7, {}, ['http://x']])('that is an address %p is no link', (url) =>
    expect(one({ generatorURL: url }, { externalURL: url }).links).toEqual([]),
  )

  it.each([
    [null, 0],
    ['7', 7],
    [-1, 0],
    ['many', 0],
    [1.5, 0],
  ])('that is a count %p left out says %p', (truncatedAlerts, count) =>
    expect(decode({ truncatedAlerts, alerts: [{ status: 'firing', labels }] }).truncated).toBe(count),
  )

  it('that is a fingerprint keeps its digits', () => {
    expect(one({ fingerprint: parseExact('9007199254740993') }).fingerprint).toBe('9007199254740993')
    expect(one({ fingerprint: null }).fingerprint).toMatch(/^sha256:/)
  })

  it('that is a time is answered with the time of receipt', () => {
    const alert = one({ startsAt: 'yesterday', endsAt: true })
    expect(alert).toMatchObject({ startsAt: NOW.toISOString(), endsAt: null })
    expect(alert.annotations[WARNING]).toContain('startsAt: no time could be read from “yesterday”')
  })

  it('that is a status is that of the group, or is written otherwise', () => {
    expect(one({ status: null }, { status: 'resolved' }).status).toBe('resolved')
    expect(one({ status: 'FIRING' }).status).toBe('firing')
  })

  it('that is all labels leaves the fingerprint to say which alert it is', () => {
    expect(one({ labels: null, fingerprint: 'f1' })).toMatchObject({ fingerprint: 'f1', labels: {} })
  })
})

describe('a group', () => {
  const labels = { alertname: 'A' }
  const alerts = [{ status: 'resolved', labels }]
  const of = (rest: Record<string, unknown>) => decode({ groupKey: '{}:{}', status: 'resolved', alerts, ...rest }).group

  it('is kept with each of its alerts, with its length bounded', () => {
    expect(one({}, { groupKey: '{}:{alertname="A"}' }).group).toBe('{}:{alertname="A"}')
    expect(one({}, { groupKey: 'x'.repeat(5000) }).group).toHaveLength(LIMITS.name)
    expect(one({}).group).toBeUndefined()
  })

  it('is over in capital letters too', () => expect(of({ status: 'RESOLVED' })!.over).toBe(true))

  it('is not over while one of its alerts is said to fire', () =>
    expect(of({ alerts: [...alerts, { status: 'Firing', labels }] })!.over).toBe(false))

  it('is told apart by Grafana’s organisation', () => expect(of({ orgId: 2 })!.key).toBe('2 {}:{}'))

  it.each([
    [{}, true],
    [{ status: 'firing' }, false],
    [{ truncatedAlerts: 10 }, true],
    [{ truncatedAlerts: 10, notification_reason: 'all alerts resolved' }, true],
    [{ truncatedAlerts: 10, notification_reason: 'some alerts resolved' }, false],
    [{ truncatedAlerts: 10, notification_reason: 'repeat interval elapsed' }, false],
    [{ truncatedAlerts: 0, notification_reason: 'some alerts resolved' }, true],
  ])('that comes with %j is over: %p', (rest, over) => expect(of(rest)!.over).toBe(over))
})

it('reads what Grafana sends: more members, nulls, and values that are numbers', () => {
  const { alerts, truncated, group } = decode({
    receiver: 'keyturn',
    status: 'firing',
    alerts: [
      {
        status: 'firing',
        labels: { alertname: 'Lag', grafana_folder: 'Data', empty: '' },
        annotations: null,
        startsAt: '2026-11-20T23:03:30Z',
        endsAt: '0001-01-01T00:00:00Z',
        generatorURL: '?orgId=1',
        fingerprint: 'c6eadffa33fcdf37',
        silenceURL: 'https://grafana.example.com/alerting/silence/new',
        dashboardURL: '',
        panelURL: '',
        values: null,
        valueString: "[ var='A' labels={} value=9007199254740993 ]",
        orgId: 1,
      },
    ],
    groupLabels: {},
    commonLabels: null,
    commonAnnotations: null,
    externalURL: null,
    appVersion: '13.0.0',
    version: '1',
    groupKey: '{}/{}:{}',
    truncatedAlerts: null,
    orgId: 1,
    title: '[FIRING:1]',
    state: 'alerting',
    message: '',
  })
  expect([truncated, group?.key]).toEqual([0, '1 {}/{}:{}'])
  expect(alerts).toMatchObject([{ fingerprint: 'c6eadffa33fcdf37', labels: { alertname: 'Lag' }, links: [] }])
})
