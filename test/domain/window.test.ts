import { describe, expect, it } from '@jest/globals'
import { Policy } from '../../src/domain/policy.ts'
import { type Doing, FreezeWindow, windowOf } from '../../src/domain/window.ts'

const doing: Doing = {
  command: 'airflow.resume-dag',
  environment: 'production',
  params: { dag: 'backfill_orders', tasks: ['a', 'b'] },
}
const inside = (window: unknown, at: string, patch: Partial<Doing> = {}) =>
  windowOf([FreezeWindow.parse(window)], { ...doing, ...patch }, Date.parse(at)) !== null
const night = { name: 'nightly', commands: ['airflow.*'], from: '22:00', to: '06:00' }

describe('a freeze window', () => {
  it.each([
    ['2026-11-20T21:59:59Z', false],
    ['2026-11-20T22:00:00Z', true],
    ['2026-11-21T05:59:59Z', true],
    ['2026-11-21T06:00:00Z', false],
  ])('of each night holds at %s: %s', (at, holds) => expect(inside(night, at)).toBe(holds))

  it('of some days belongs to the day that it begins on', () => {
    const friday = { ...night, days: ['fri'] }
    expect(inside(friday, '2026-11-20T23:00:00Z')).toBe(true)
    expect(inside(friday, '2026-11-21T05:00:00Z')).toBe(true)
    expect(inside(friday, '2026-11-21T23:00:00Z')).toBe(false)
    expect(inside(friday, '2026-11-20T05:00:00Z')).toBe(false)
    const monday = { ...night, days: ['mon'] }
    expect(inside(monday, '2026-11-24T01:00:00Z')).toBe(true)
    expect(inside(monday, '2026-11-23T01:00:00Z')).toBe(false)
    expect(inside({ ...night, days: ['sun'] }, '2026-11-23T01:00:00Z')).toBe(true)
  })

  it('is by the clock of its time zone, in winter and in summer', () => {
    const paris = { ...night, from: '09:00', to: '10:00', timeZone: 'Europe/Paris' }
    expect([inside(paris, '2026-01-15T08:30:00Z'), inside(paris, '2026-07-15T08:30:00Z')]).toEqual([true, false])
    expect(inside(paris, '2026-07-15T07:30:00Z')).toBe(true)
  })

  it('of the whole day begins and ends at the same time', () => {
    expect(inside({ ...night, from: '00:00', to: '00:00' }, '2026-11-20T12:00:00Z')).toBe(true)
  })

  it('may be once', () => {
    const once = { name: 'sale', commands: ['*'], start: '2026-11-27T00:00:00Z', end: '2026-11-30T00:00:00+01:00' }
    expect(inside(once, '2026-11-26T23:59:59Z')).toBe(false)
    expect(inside(once, '2026-11-29T22:59:59Z')).toBe(true)
    expect(inside(once, '2026-11-29T23:00:00Z')).toBe(false)
  })

  it('concerns only its commands, environments and parameters', () => {
    const at = '2026-11-20T23:00:00Z'
    expect(inside(night, at, { command: 'airflowx.resume' })).toBe(false)
    expect(inside({ ...night, commands: ['airflow.resume-dag'] }, at)).toBe(true)
    expect(inside({ ...night, commands: ['*.resume-*'] }, at)).toBe(true)
    expect(inside({ ...night, commands: ['a*a*a*zz'] }, at)).toBe(false)
    expect(inside({ ...night, environments: ['staging'] }, at)).toBe(false)
    expect(inside({ ...night, params: { dag: 'backfill_*' } }, at)).toBe(true)
    expect(inside({ ...night, params: { dag: 'daily_*' } }, at)).toBe(false)
    expect(inside({ ...night, params: { tasks: 'b' } }, at)).toBe(true)
    expect(inside({ ...night, params: { constructor: '*' } }, at)).toBe(false)
  })

  it('that cannot be is a fault of the policy', () => {
    for (const wrong of [
      { from: '25:00' },
      { timeZone: 'Mars/Base' },
      { commands: [] },
      { days: [] },
      { to: undefined },
    ])
      expect(Policy.safeParse({ freezeWindows: [{ ...night, ...wrong }] }).success).toBe(false)
  })

  it('is overridden by its own name only, also when another one is open at the same time', () => {
    const windows = ['the sale', 'the audit'].map((name) =>
      FreezeWindow.parse({ name, commands: ['*'], from: '00:00', to: '00:00' }),
    )
    const left = (overridden: string | null) => windowOf(windows, doing, 0, overridden)
    const both = left(null)
    expect(both).toBe('the sale” and “the audit')
    expect([left('the sale'), left('the audit'), left(both)]).toEqual([both, both, null])
    expect(windowOf(windows.slice(1), doing, 0, both)).toBeNull()
  })

  it('of one environment concerns what changes another one too', () => {
    const production = { ...night, environments: ['production'] }
    expect(inside(production, '2026-11-20T23:00:00Z', { environment: 'production + staging' })).toBe(true)
  })
})
