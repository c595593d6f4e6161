import { describe, expect, it } from '@jest/globals'
import { generic } from '../../src/sources/generic.ts'
import { follow, Pointer } from '../../src/sources/pointer.ts'
import { SourceSettings } from '../../src/sources/registry.ts'
import { NOW, outcome } from './edge.ts'

const base = {
  kind: 'generic',
  auth: { bearerFrom: 'CI_TOKEN' },
  alerts: '/events',
  fingerprint: '/check/id',
  status: { pointer: '/state', firing: ['alert', 2], resolved: ['ok', false] },
  labels: { alertname: '/check/name', host: '/host~1name', team: { value: 'data' } },
  annotations: { summary: '/message' },
  startsAt: '/at',
  endsAt: '/until',
  links: { Dashboard: '/url' },
}
const decode = (body: unknown, changes: Record<string, unknown> = {}) =>
  outcome(generic.decode(body, generic.settings.parse({ ...base, ...changes }), { source: 'ci', receivedAt: NOW }))
const event = {
  check: { id: 17, name: 'Queue too long' },
  'host/name': 'mq-1',
  state: 'alert',
  message: '9,000 waiting',
  at: 1_795_000_000,
  url: 'https://grafana.example.com/d/1',
}
const reason = (body: unknown, changes = {}) => {
  const decoded = decode(body, changes)
  return decoded.ok ? 'decoded' : decoded.reason
}

describe('a mapped source', () => {
  it('reads every alert of the array by the pointers', () => {
    const second = { ...event, state: 'ok', at: '2026-11-21T01:00:00+01:00', until: 1_795_000_000_500, url: 'ftp://x' }
    expect(decode({ events: [event, second] })).toEqual({
      ok: true,
      batch: {
        truncated: 0,
        alerts: [
          {
            source: 'ci',
            fingerprint: '17',
            status: 'firing',
            labels: { alertname: 'Queue too long', host: 'mq-1', team: 'data' },
            annotations: { summary: '9,000 waiting' },
            startsAt: '2026-11-18T11:06:40.000Z',
            endsAt: null,
            links: [{ title: 'Dashboard', url: 'https://grafana.example.com/d/1' }],
          },
          expect.objectContaining({
            status: 'resolved',
            startsAt: '2026-11-21T00:00:00.000Z',
            endsAt: '2026-11-18T11:06:40.500Z',
            links: [],
          }),
        ],
      },
    })
  })

  it('reads the body as one alert when no array is named', () => {
    expect(decode(event, { alerts: undefined })).toMatchObject({ ok: true, batch: { alerts: [{ fingerprint: '17' }] } })
  })

  it('tells alerts apart by their labels when no fingerprint is named', () => {
    const of = (e: unknown) => {
      const decoded = decode({ events: [e] }, { fingerprint: undefined })
      return decoded.ok && decoded.batch.alerts[0]!.fingerprint
    }
    expect(of(event)).toMatch(/^sha256:/)
    expect(of({ ...event, state: 'ok', message: 'fine' })).toBe(of(event))
    expect(of({ ...event, 'host/name': 'mq-2' })).not.toBe(of(event))
  })

  it.each([
    [2, 'firing'],
    [false, 'resolved'],
  ])('compares the status %p as text', (state, status) => {
    expect(decode({ events: [{ ...event, state }] })).toMatchObject({ batch: { alerts: [{ status }] } })
  })

  it('leaves out a label that the alert has not, and writes an annotation that is an object as JSON', () => {
    expect(decode({ events: [{ ...event, 'host/name': null, message: { a: [1] } }] })).toMatchObject({
      batch: {
        alerts: [{ labels: { alertname: 'Queue too long', team: 'data' }, annotations: { summary: '{"a":[1]}' } }],
      },
    })
  })

  it.each([
    ['no array', { events: {} }, 'alerts: an array is expected at "/events", there is an object'],
    ['nothing', null, 'alerts: an array is expected at "/events", there is nothing'],
    ['no status', { events: [event, { ...event, state: undefined }] }, 'alert 1: status: there is nothing at "/state"'],
    [
      'a status that is unknown',
      { events: [{ ...event, state: 'odd' }] },
      'alert 0: status: "odd" at "/state" is neither in firing nor in resolved',
    ],
    ['no fingerprint', { events: [{ ...event, check: {} }] }, 'alert 0: fingerprint: there is nothing at "/check/id"'],
    [
      'a label that is an object',
      { events: [{ ...event, 'host/name': {} }] },
      'alert 0: labels.host: a text, number or boolean is expected at "/host~1name", there is an object',
    ],
    [
      'a time that is none',
      { events: [{ ...event, at: 'noon' }] },
      'alert 0: startsAt: a time (RFC 3339, or Unix seconds or milliseconds) is expected at "/at"',
    ],
    [
      '2,001 alerts',
      { events: Array(2001).fill(event) },
      'alerts: 2001 alerts in one request, at most 2000 are read; send fewer at a time',
    ],
  ])('refuses %s and says where', (_title, body, expected) => expect(reason(body)).toBe(expected))

  it('refuses an alert that nothing tells from another', () => {
    expect(reason([{ state: 'ok' }], { alerts: '', fingerprint: undefined, labels: { a: '/a' } })).toBe(
      'alert 0: labels: none of the pointers finds anything, so nothing tells this alert from another',
    )
  })
})

describe('a pointer', () => {
  const document = { a: [{ b: 1 }], '': 0, 'x/y': 2, 'm~n': 3 }
  it.each([
    ['', document],
    ['/a/0/b', 1],
    ['/', 0],
    ['/x~1y', 2],
    ['/m~0n', 3],
    ['/a/1', undefined],
    ['/a/00', undefined],
    ['/a/-', undefined],
    ['/a/length', undefined],
    ['/constructor', undefined],
    ['/__proto__/toString', undefined],
    ['/x~1y/0', undefined],
  ])('%p finds what is there, own values only', (pointer, expected) => {
    expect(follow(document, Pointer.parse(pointer))).toEqual(expected)
  })

  it.each(['a', 'a/b', '/~', '/~2'])('%p is not one', (text) => expect(Pointer.safeParse(text).success).toBe(false))
})

describe('the settings of a source', () => {
  const faults = (settings: unknown) =>
    SourceSettings.safeParse(settings).error?.issues.map((i) => `${i.path.join('.')}: ${i.message}`) ?? []
  const { auth: _auth, ...open } = base
  it.each([
    ['no auth', open, 'auth: must be { bearerFrom: ENV_NAME } or'],
    ['auth: none', { ...base, auth: 'none' }, 'auth: must be { bearerFrom: ENV_NAME } or'],
    ['two kinds of auth', { ...base, auth: { bearerFrom: 'A', basic: { user: 'a', passwordFrom: 'A' } } }, 'auth: '],
    ['a secret in the file', { ...base, auth: { bearerFrom: 's3cret-value' } }, 'auth'],
    [
      'a key that is unknown',
      { kind: 'alertmanager', auth: { bearerFrom: 'A' }, token: 'x' },
      ': Unrecognized key: "token"',
    ],
    ['a kind that is unknown', { ...base, kind: 'pagerduty' }, 'kind: '],
    [
      'one value for both ends',
      { ...base, status: { pointer: '/s', firing: [1], resolved: ['1'] } },
      'status: a value is both in firing and in resolved',
    ],
    ['no labels', { ...base, labels: {} }, 'labels: needs at least one label'],
    ['a pointer that is none', { ...base, labels: { a: '$.x' } }, 'labels.a: must be a JSON Pointer'],
  ])('with %s are a fault', (_title, settings, expected) => {
    expect(faults(settings).join('\n')).toContain(expected)
  })
})
