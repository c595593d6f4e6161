import { describe, expect, it } from '@jest/globals'
import { coverage } from '../src/coverage.ts'
import type { Incident } from '../src/domain/incident.ts'
import { alertOf, incidentOf, playbook, STATES } from './slack/cards.ts'

const SINCE = '2026-11-01T00:00:00.000Z'
const at = (state: string, openedAt = '2026-11-21T03:00:00.000Z'): Incident => ({
  ...incidentOf(...STATES[state]!),
  openedAt,
})
const told = (incidents: readonly Incident[], playbooks = [playbook]) => coverage(incidents, playbooks, SINCE)

describe('what the journals say of the playbooks', () => {
  it('counts the alerts that no playbook matched, the most frequent first', () => {
    const disk = {
      ...at('no-playbook', '2026-11-20T01:00:00.000Z'),
      alerts: { a: alertOf({ labels: { alertname: 'Disk' } }) },
    }
    const lines = told([disk, at('no-playbook'), at('no-playbook', '2026-11-19T01:00:00.000Z'), at('open')])
    expect(lines[0]).toBe('Since 2026-11-01: 4 incidents, 1 of them with a playbook.')
    expect(lines.slice(2, 5)).toEqual([
      'No playbook matched:',
      '  Blocked: 2, the last on 2026-11-21',
      '  Disk: 1, the last on 2026-11-20',
    ])
  })

  it('leaves out what is older, and names the playbooks that nothing needed since then', () => {
    expect(told([at('succeeded', '2026-10-31T23:59:59.000Z')])).toEqual([
      'Since 2026-11-01: 0 incidents, 0 of them with a playbook.',
      '',
      'Not used since then:',
      '  postgres/blocked-sessions',
    ])
  })

  it('says how each one fared', () => {
    expect(told([at('succeeded'), at('run-failed'), at('open')])).toContain(
      '  postgres/blocked-sessions: 3 incidents, 2 runs (1 succeeded, 1 failed)',
    )
  })

  it.each([
    [
      'whose last run did not succeed',
      ['succeeded', 'run-failed'],
      playbook.hash,
      'the last run, of end on 2026-11-21: failed',
    ],
    ['that has changed since it last worked', ['succeeded'], 'sha256:1', 'changed since it last worked, on 2026-11-21'],
    [
      'whose plan could not be made',
      ['plan-failed'],
      playbook.hash,
      'end could not be looked up or planned on 2026-11-21',
    ],
    [
      'whose evidence could not be found',
      ['evidence-failed'],
      playbook.hash,
      'look could not be looked up or planned on 2026-11-21',
    ],
  ])('doubts a playbook %s', (_which, states, hash, doubt) => {
    const later = (n: number, incident: Incident): Incident => ({
      ...incident,
      proposals: incident.proposals.map((p) =>
        p.run ? { ...p, run: { ...p.run, startedAt: `2026-11-21T0${n}:00:00.000Z` } } : p,
      ),
    })
    const lines = told(
      states.map((state, n) => later(n, at(state))),
      [{ ...playbook, hash }],
    )
    expect(lines.slice(lines.indexOf('May be stale:') + 1)).toEqual([`  postgres/blocked-sessions: ${doubt}`])
  })

  it('doubts nothing that worked as it is, and a playbook that is gone', () => {
    expect(told([at('succeeded')])).not.toContain('May be stale:')
    expect(told([at('succeeded')], [])).toContain('  postgres/blocked-sessions: is not there any more')
  })

  it('prints no control character of an alert', () => {
    const sly = { ...at('no-playbook'), alerts: { a: alertOf({ labels: { alertname: 'A\u001b[2J\nUsed:' } }) } }
    const text = told([sly]).join('\n')
    expect(text).not.toContain('\u001b')
    expect(text).not.toMatch(/^Used:/m)
  })
})
