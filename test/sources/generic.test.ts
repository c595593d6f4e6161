import { describe, expect, it } from '@jest/globals'
import { parseExact } from '../../src/domain/exact.ts'
import { parseBody } from '../../src/sources/body.ts'
import { generic } from '../../src/sources/generic.ts'
import { WARNING } from '../../src/sources/normalise.ts'
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
    ['no status', { events: [{ ...event, state: undefined }] }, 'alert 0: status: there is nothing at "/state"'],
    [
      'nothing that tells it from others',
      { events: [{ state: 'alert' }] },
      'alert 0: fingerprint: there is nothing at "/check/id"',
    ],
    [
      '2,001 alerts',
      { events: Array(2001).fill(event) },
      'alerts: 2001 alerts in one request, at most 2000 are read; send fewer at a time',
    ],
  ])('refuses %s and says where', (_title, body, expected) => expect(reason(body)).toBe(expected))

  it.each([['acknowledged'], ['Renotify'], [{ is: 'open' }]])(
    'leaves out what is in a state that nobody listed (%p), tells it, and reads the others',
    (state) => {
      const decoded = decode({ events: [event, { ...event, state }, event] })
      expect(decoded).toMatchObject({
        ok: true,
        batch: {
          alerts: [{ fingerprint: '17' }, { fingerprint: '17' }],
          unread: [expect.stringMatching(/^alert 1: /)],
        },
      })
      expect(decode({ events: [{ ...event, state }] })).toMatchObject({ ok: true, batch: { alerts: [] } })
    },
  )

  it('takes a list that is null for an empty one', () =>
    expect(decode({ events: null })).toEqual({ ok: true, batch: { alerts: [], truncated: 0 } }))

  it('reads on in a text that holds JSON, as SNS wraps an alarm, and keeps the digits of its numbers', () => {
    const alarm = '{"AlarmName":"Lag","NewStateValue":"ALARM","Trigger":{"id":9007199254740993}}'
    const settings = {
      alerts: undefined,
      fingerprint: '/Message/Trigger/id',
      status: { pointer: '/Message/NewStateValue', firing: ['ALARM'], resolved: ['OK'] },
      labels: { alertname: '/Message/AlarmName' },
    }
    expect(decode({ Type: 'Notification', Message: alarm }, settings)).toMatchObject({
      ok: true,
      batch: { alerts: [{ fingerprint: '9007199254740993', status: 'firing', labels: { alertname: 'Lag' } }] },
    })
    expect(decode({ alarms: `[${alarm}]` }, { ...settings, alerts: '/alarms/0/Message' })).toMatchObject({ ok: false })
    for (const text of ['ALARM', '{"NewStateValue":', `{"NewStateValue":${'['.repeat(100)}`, '7'])
      expect(reason({ Message: text }, settings)).toBe('alert 0: status: there is nothing at "/Message/NewStateValue"')
  })

  it('reads a body with what Python writes for no number', () => {
    const body = parseBody(
      Buffer.from('{"events":[{"check":{"id":NaN},"state":"alert","message":"a NaN \\" NaN","at":-Infinity}]}'),
    )
    expect(body.ok && body.value).toEqual({
      events: [{ check: { id: null }, state: 'alert', message: 'a NaN " NaN', at: null }],
    })
    expect(parseBody(Buffer.from('{"a":NaN1}')).ok).toBe(false)
  })

  it('leaves out the one alert that cannot be read', () => {
    expect(decode({ events: [event, { ...event, state: null }, 'x', null, []] })).toMatchObject({
      ok: true,
      batch: { alerts: [{ fingerprint: '17' }], unread: { length: 4 } },
    })
  })

  it('tells ids above 2^53 apart, in every place', () => {
    const wire = (id: string) =>
      `{"events":[{"check":{"id":${id},"name":${id}},"host/name":${id},"state":"alert","message":{"run":${id}}}]}`
    const of = (id: string, changes = {}) => {
      const body = parseBody(Buffer.from(wire(id)))
      const decoded = decode(body.ok && body.value, changes)
      return decoded.ok ? decoded.batch.alerts[0]! : null
    }
    expect(of('9007199254740993')).toMatchObject({
      fingerprint: '9007199254740993',
      labels: { alertname: '9007199254740993', host: '9007199254740993' },
      annotations: { summary: '{"run":9007199254740993}' },
    })
    expect(of('9007199254740992')!.fingerprint).toBe('9007199254740992')
    expect(of('123456789012345678901234567890')!.fingerprint).toBe('123456789012345678901234567890')
    const bare = { fingerprint: undefined }
    expect(of('9007199254740993', bare)!.fingerprint).not.toBe(of('9007199254740992', bare)!.fingerprint)
  })

  it('takes the labels for an identity that is missing, and the JSON of a label that has parts, and says so', () => {
    const decoded = decode({ events: [{ ...event, check: { name: 'x' }, 'host/name': ['a'] }] })
    expect(decoded.ok && decoded.batch.alerts[0]).toMatchObject({
      fingerprint: expect.stringMatching(/^sha256:/),
      labels: { host: '["a"]' },
      annotations: {
        [WARNING]:
          'labels.host: there is an array at "/host~1name"; its JSON was taken. ' +
          'fingerprint: there is nothing at "/check/id"; the labels tell this alert from others.',
      },
    })
  })

  it('with a time that cannot be read is stored with the time of receipt, and says so', () => {
    const decoded = decode({ events: [{ ...event, at: 'noon', until: { at: 1 } }] })
    expect(decoded.ok && decoded.batch.alerts[0]).toMatchObject({
      startsAt: NOW.toISOString(),
      endsAt: null,
      annotations: {
        [WARNING]:
          'startsAt: no time could be read from “noon”. The time of receipt stands in its place. ' +
          'endsAt: no time could be read from “{"at":1}”.',
      },
    })
  })

  it('has a label only if it is not empty', () => {
    const decoded = decode({ events: [{ ...event, 'host/name': '' }] })
    expect(decoded.ok && decoded.batch.alerts[0]!.labels).toEqual({ alertname: 'Queue too long', team: 'data' })
  })

  it('refuses an alert that nothing tells from another', () => {
    expect(reason([{ state: 'ok' }], { alerts: '', fingerprint: undefined, labels: { a: '/a' } })).toBe(
      'alert 0: labels: none of the pointers finds anything, so nothing tells this alert from another',
    )
  })
})

describe('a pointer', () => {
  const document = { a: [{ b: 1 }], '': 0, 'x/y': 2, 'm~n': 3, big: parseExact('9007199254740993') }
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
    ['/big/rawJSON', undefined],
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
