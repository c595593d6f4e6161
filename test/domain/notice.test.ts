import { describe, expect, it } from '@jest/globals'
import type { Happening } from '../../src/domain/event.ts'
import { type Incident, slotValues } from '../../src/domain/incident.ts'
import { notice, request } from '../../src/domain/notice.ts'
import { ambiguous, applies, fill, type Matcher, matchPlaybook } from '../../src/domain/playbook.ts'
import { matchesWhole } from '../../src/markdown/regex.ts'
import { place } from '../../src/pipeline/ingest.ts'
import { alertOf, incidentOf, openWith, playbook, STATES, subjectOf } from '../slack/cards.ts'

const opening = { group: 'g', title: 't', severity: 's', channel: 'default', playbook }
const events = (incident: Incident | null, ...alerts: ReturnType<typeof alertOf>[]) => {
  const ruling = notice(incident, alerts, 0, opening)
  if (!ruling.ok) throw new Error(ruling.reason)
  return ruling.events
}
const types = (all: readonly Happening[]) => all.map((e) => e.type)
const resolved = (patch = {}) => alertOf({ status: 'resolved', endsAt: '2026-11-21T03:05:00.000Z', ...patch })
const open = () => incidentOf(...openWith(subjectOf()))

describe('alerts that come in', () => {
  it('open an incident, look at everything that can be looked at, and plan the first change only', () => {
    const all = events(null, alertOf())
    expect(types(all)).toEqual(['incident.opened', 'alerts.changed', 'evidence.requested', 'proposal.requested'])
    expect(all.at(-1)).toMatchObject({ step: 'end', params: { connection: 'warehouse' }, by: null })
  })
  it('plan nothing by themselves when a parameter is missing', () => {
    const bare = alertOf({ labels: { alertname: 'Blocked' } })
    expect(types(events(null, bare))).toEqual(['incident.opened', 'alerts.changed'])
  })
  it('open nothing when they only say that something is over', () => {
    expect(events(null, resolved())).toEqual([])
  })
  it('open nothing when the same batch also says that it is over, and something when it fires again after that', () => {
    expect(events(null, alertOf(), resolved())).toEqual([])
    const again = alertOf({ startsAt: '2026-11-21T03:06:00.000Z' })
    expect(types(events(null, alertOf(), resolved(), again))).toContain('incident.opened')
    expect(types(events(null, again, resolved()))).toContain('incident.opened')
  })
  it('resolve, though the same batch says first that it fires', () => {
    const worse = alertOf({ annotations: { summary: 'worse' } })
    expect(types(events(open(), worse, resolved()))).toContain('incident.resolved')
  })
  it('may have the fingerprint of something that every object has', () => {
    for (const fingerprint of ['__proto__', 'constructor', 'toString']) {
      const one = alertOf({ fingerprint })
      const incident = incidentOf(...events(null, one))
      expect(Object.values(incident.alerts)).toEqual([one])
      expect(events(incident, one)).toEqual([])
      expect(types(events(incident, resolved({ fingerprint })))).toContain('incident.resolved')
    }
  })
  it('say nothing new when they are sent again', () => {
    expect(events(open(), alertOf())).toEqual([])
  })
  it('update, when the same fingerprint says something else', () => {
    expect(types(events(open(), alertOf({ annotations: { summary: 'worse' } })))).toEqual(['alerts.changed'])
  })
  it('resolve, and withdraw what waits for a decision', () => {
    expect(types(events(open(), resolved()))).toEqual(['alerts.changed', 'incident.resolved', 'proposal.withdrawn'])
  })
  it('resolve, but leave a run alone that goes on or whose end is not known', () => {
    for (const name of ['running', 'unknown'])
      expect(types(events(incidentOf(...STATES[name]!), resolved()))).toEqual(['alerts.changed', 'incident.resolved'])
  })
  it('do not resolve while another alert of the incident fires', () => {
    const two = incidentOf(...openWith(subjectOf()), {
      type: 'alerts.changed',
      alerts: [alertOf({ fingerprint: 'b' })],
      truncated: 0,
    })
    expect(types(events(two, resolved()))).toEqual(['alerts.changed'])
  })
  it('are dropped when they are the late end of an earlier firing', () => {
    const old = resolved({ startsAt: '2026-11-21T01:00:00.000Z', endsAt: '2026-11-21T02:00:00.000Z' })
    expect(events(open(), old)).toEqual([])
  })
  it('resolve, though they have learned that the firing began earlier', () => {
    const same = resolved({ startsAt: '2026-11-21T02:54:59.000Z' })
    expect(types(events(open(), same))).toContain('incident.resolved')
  })
  it('open again with fresh evidence and no plan', () => {
    const over = incidentOf(...STATES.withdrawn!, { type: 'alerts.changed', alerts: [resolved()], truncated: 0 })
    const again = alertOf({ startsAt: '2026-11-21T03:20:00.000Z' })
    expect(types(events(over, again))).toEqual(['alerts.changed', 'incident.reopened', 'evidence.requested'])
  })
  it('keep how many the source left out', () => {
    const ruling = notice(open(), [alertOf()], 7, opening)
    expect(ruling.ok && ruling.events).toEqual([{ type: 'alerts.changed', alerts: [], truncated: 7 }])
  })
})

describe('what people ask for', () => {
  const by = { user: 'U0', name: 'n' }
  const ask = (incident: Incident, step: string, params = {}) => {
    const ruling = request(incident, { step, params, by })
    return ruling.ok ? types(ruling.events) : ruling.reason
  }
  it('is planned only when the rung before has run', () => {
    expect(ask(open(), 'reboot')).toBe('not_offered_yet')
    expect(ask(incidentOf(...STATES['run-failed']!), 'reboot')).toEqual(['proposal.requested'])
  })
  it('is not planned twice at once', () => {
    expect(ask(open(), 'end')).toEqual([])
  })
  it('is not planned after the alert has resolved, but may still be looked at', () => {
    const over = incidentOf(...STATES.withdrawn!)
    expect(ask(over, 'end')).toBe('incident_resolved')
    expect(ask(over, 'look')).toEqual(['evidence.requested'])
  })
  it('is refused while a parameter is missing', () => {
    const bare = incidentOf(...openWith(subjectOf()).slice(0, 1), {
      type: 'alerts.changed',
      alerts: [alertOf({ labels: {} })],
      truncated: 0,
    })
    expect(ask(bare, 'end')).toBe('params_invalid')
    expect(ask(bare, 'end', { connection: 'x' })).toEqual(['proposal.requested'])
  })
  it('is refused when the playbook has no such step', () => {
    expect(ask(open(), '__proto__')).toBe('no_such_step')
  })
})

describe('which playbook an alert belongs to', () => {
  const with_ = (id: string, match: Record<string, Matcher>) => ({ ...playbook, id, match })
  const equals = (value: string): Matcher => ({ kind: 'equals', value })
  const regex = (pattern: string): Matcher => ({ kind: 'regex', pattern })
  const present: Matcher = { kind: 'present' }

  it('is the most specific one: exact labels, then patterns, then presence', () => {
    const all = [
      with_('c', { topic: present }),
      with_('b', { topic: regex('ord.+') }),
      with_('a', { topic: equals('orders') }),
      with_('d', { topic: equals('orders'), group: present }),
    ]
    const found = (labels: Record<string, string>) => matchPlaybook(all, labels, matchesWhole)?.id ?? null
    expect(found({ topic: 'orders' })).toBe('a')
    expect(found({ topic: 'orders', group: 'g' })).toBe('d')
    expect(found({ topic: 'ordinary' })).toBe('b')
    expect(found({ topic: 'x' })).toBe('c')
    expect(found({})).toBeNull()
  })
  it('is none when a label has the name of something that every object has', () => {
    for (const name of ['__proto__', 'constructor', 'toString'])
      expect(applies(with_('a', { [name]: present }), {}, matchesWhole)).toBe(false)
  })
  it('is a fault when two could match with neither more specific', () => {
    expect(ambiguous(with_('a', { x: equals('1') }), with_('b', { y: equals('1') }), matchesWhole)).toBe(true)
    expect(ambiguous(with_('a', { x: equals('1') }), with_('b', { x: equals('2') }), matchesWhole)).toBe(false)
    expect(ambiguous(with_('a', { x: equals('1') }), with_('b', { x: regex('.') }), matchesWhole)).toBe(false)
  })
  it('groups alerts by the labels that it names, and by the name alone without a playbook', () => {
    const group = (labels: Record<string, string>, playbooks = [playbook]) =>
      place(alertOf({ labels }), playbooks, matchesWhole).group
    const one = { alertname: 'Blocked', connection: 'a' }
    expect(group({ ...one, host: '1' })).toBe(group({ ...one, host: '2' }))
    expect(group(one)).not.toBe(group({ ...one, connection: 'b' }))
    expect(group({ alertname: 'X', host: '1' }, [])).toBe(group({ alertname: 'X', host: '2' }, []))
  })
  it('groups by a label that is missing as by an empty one, not by what every object has', () => {
    const odd = { ...playbook, match: { alertname: present }, groupBy: ['constructor', '__proto__'] }
    expect(place(alertOf(), [odd], matchesWhole).group).toContain('["constructor",""],["__proto__",""]')
  })
})

describe('slots', () => {
  const call = { params: { a: `\${labels.a}`, b: `x-\${annotations.b}`, c: [`\${labels.a}`, 'y'] }, fields: [] }
  it('are filled from labels and annotations, once: what they bring is not looked at again', () => {
    const values = { labels: { a: `\${annotations.b}` }, annotations: { b: '$&' } }
    expect(fill(call, values).params).toEqual({ a: `\${annotations.b}`, b: 'x-$&', c: [`\${annotations.b}`, 'y'] })
  })
  it('leave a parameter out that nothing fills', () => {
    expect(fill(call, { labels: {}, annotations: { b: '1' } }).params).toEqual({ b: 'x-1' })
  })
  it('take no parameter from the prototype of what a form gave', () => {
    const given = JSON.parse('{"__proto__":{"connection":"x"},"constructor":"y"}')
    const { params } = fill({ params: {}, fields: [] }, { labels: {}, annotations: {} }, given)
    expect(params.connection).toBeUndefined()
    expect(Object.getPrototypeOf(params)).toBe(Object.prototype)
  })
  it('are filled by labels with the names of what every object has, if they are there', () => {
    const labels = JSON.parse('{"__proto__":"p","constructor":"c"}')
    const odd = { params: { a: `\${labels.constructor}`, b: `\${labels.__proto__}` }, fields: [] }
    expect(fill(odd, slotValues({ alerts: { x: alertOf({ labels }) } })).params).toEqual({ a: 'c', b: 'p' })
  })
  it('are filled only by what all firing alerts agree on', () => {
    const one = (fingerprint: string, host: string, status: 'firing' | 'resolved' = 'firing') =>
      alertOf({ fingerprint, status, labels: { topic: 't', host } })
    const values = (...all: ReturnType<typeof alertOf>[]) =>
      slotValues({ alerts: Object.fromEntries(all.map((a) => [a.fingerprint, a])) }).labels
    expect(values(one('a', '1'), one('b', '2'))).toEqual({ topic: 't' })
    expect(values(one('a', '1'), one('b', '2', 'resolved'))).toEqual({ topic: 't', host: '1' })
    expect(
      slotValues({ alerts: { a: alertOf({ labels: {} }), b: alertOf({ labels: { toString: 'x' } }) } }).labels,
    ).toEqual({})
  })
  it('are not filled by what every object has', () => {
    const odd = { params: { a: `\${labels.constructor}`, b: `\${labels.__proto__}` }, fields: [] }
    expect(fill(odd, { labels: {}, annotations: {} }).params).toEqual({})
  })
})
