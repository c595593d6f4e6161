import { describe, expect, it } from '@jest/globals'
import { ambiguous, applies, fill, type Matcher } from '../../src/domain/playbook.ts'
import { severityRank, worst } from '../../src/domain/severity.ts'
import { matchesWhole } from '../../src/markdown/regex.ts'

describe('the worst of some severities', () => {
  it.each([
    [['warning', 'critical'], 'critical'],
    [['info', 'warning', 'none'], 'warning'],
    [['error', 'page'], 'page'],
    [['High', 'medium', 'low'], 'High'],
    [['P3', 'P1', 'P2'], 'P1'],
    [['sev2', 'SEV-1', 'sev 3'], 'SEV-1'],
    [['Sev1', 'Sev0'], 'Sev0'],
    [['P1', 'warning'], 'P1'],
    [['odd', 'warning'], 'warning'],
    [['odd', 'info'], 'odd'],
    [['unknown', 'none'], 'none'],
    [['critical', 'page'], 'critical'],
    [['disaster', 'average', 'high'], 'disaster'],
    [['warning'], 'warning'],
    [['warning', 'alert'], 'alert'],
    [['3 - Moderate', '1 - Critical', '2 - High'], '1 - Critical'],
    [['P3: ticket', 'warning', 'P1 - page'], 'P1 - page'],
    [['critical/page', 'error'], 'critical/page'],
    [['warning', 'non-critical'], 'warning'],
  ])('of %j is %s', (severities, one) => expect(worst(severities)).toBe(one))

  it('of none is none', () => expect(worst([])).toBeNull())

  it('does not depend on how a word is written', () => {
    expect(severityRank(' CRITICAL ')).toBe(severityRank('critical'))
    expect(severityRank('')).toBeLessThan(severityRank('none'))
  })
})

describe('a label that is empty', () => {
  const match = (connection: Matcher) => ({ match: { connection } })
  const there = match({ kind: 'present' })
  const absent = match({ kind: 'equals', value: '' })
  const any = match({ kind: 'regex', pattern: '.*' })

  it.each<Record<string, string>>([{}, { connection: '' }])('is none: %j', (labels) => {
    expect(applies(there, labels, matchesWhole)).toBe(false)
    expect(applies(any, labels, matchesWhole)).toBe(false)
    expect(applies(absent, labels, matchesWhole)).toBe(true)
    const fields = [{ name: 'c', label: 'c', type: 'text' as const, options: [], required: true }]
    expect(fill({ params: { c: '$' + '{labels.connection}' }, fields }, { labels, annotations: {} }).missing).toEqual(
      fields,
    )
  })

  it('is told from one that is there, so two playbooks can divide the alerts', () => {
    expect(applies(absent, { connection: 'x' }, matchesWhole)).toBe(false)
    for (const other of [there, any, match({ kind: 'equals', value: 'x' })]) {
      const same = { match: { ...other.match } }
      expect(ambiguous(absent, same, matchesWhole) || ambiguous(same, absent, matchesWhole)).toBe(false)
    }
    expect(ambiguous(absent, match({ kind: 'equals', value: '' }), matchesWhole)).toBe(true)
  })
})
