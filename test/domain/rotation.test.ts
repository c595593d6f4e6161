import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { onDuty, Policy, Rotation } from '../../src/domain/policy.ts'
import { instantOf, wallOf } from '../../src/domain/zone.ts'

const [ANA, BEN] = ['U0000000ANA', 'U0000000BEN']
const rotation = (over: object = {}) =>
  Rotation.parse({ users: [ANA, BEN], start: '2026-01-05T09:00:00+01:00', timeZone: 'Europe/Paris', ...over })
const at = (iso: string, one = rotation()) => onDuty(one, Date.parse(iso))

describe('a weekly rotation in Paris hands over at nine in the morning', () => {
  it.each([
    ['in winter', '2026-01-12T08:59:59+01:00', '2026-01-12T09:00:00+01:00'],
    ['on the Monday after the clocks went forward', '2026-03-30T08:59:59+02:00', '2026-03-30T09:00:00+02:00'],
    ['in summer', '2026-07-06T08:59:59+02:00', '2026-07-06T09:00:00+02:00'],
    ['on the Monday after they were put back', '2026-10-26T08:59:59+01:00', '2026-10-26T09:00:00+01:00'],
  ])('%s', (_, before, after) => {
    expect(at(before)).not.toBe(at(after))
    // Weeks are counted from the start, so the same person has every second one.
    const weeks = Math.round((Date.parse(after) - Date.parse('2026-01-05T09:00:00+01:00')) / (7 * 86_400_000))
    expect(at(after)).toBe(weeks % 2 === 0 ? ANA : BEN)
  })

  it('and half an hour later the one of the new week may decide', () => {
    expect(at('2026-03-30T09:30:00+02:00')).toBe(ANA)
  })
})

it('a rotation without a time zone goes by hours alone, as before', () => {
  const plain = rotation({ timeZone: undefined })
  expect(at('2026-03-30T09:30:00+02:00', plain)).toBe(BEN)
  expect(at('2026-03-30T10:00:00+02:00', plain)).toBe(ANA)
})

it('nobody has a shift before the start', () => {
  expect(at('2026-01-05T08:59:59+01:00')).toBeNull()
  expect(at('2026-01-05T09:00:00+01:00')).toBe(ANA)
})

it('a start that the clocks show twice is the one that its offset names', () => {
  const second = rotation({ start: '2026-10-25T02:30:00+01:00', shiftHours: 24 })
  expect(at('2026-10-25T02:31:00+02:00', second)).toBeNull()
  expect(at('2026-10-25T02:29:00+01:00', second)).toBeNull()
  expect(at('2026-10-25T02:30:00+01:00', second)).toBe(ANA)
  expect(at('2026-10-26T02:30:00+01:00', second)).toBe(BEN)
})

describe('shifts of twelve hours', () => {
  const night = rotation({ start: '2026-10-24T02:30:00+02:00', shiftHours: 12 })
  it('do not go back to the one before when the clocks show the hand-over a second time', () => {
    expect(at('2026-10-25T02:29:00+02:00', night)).toBe(BEN)
    expect(at('2026-10-25T02:31:00+02:00', night)).toBe(ANA)
    expect(at('2026-10-25T02:29:00+01:00', night)).toBe(ANA)
  })

  it('hand over after the hour that the clocks leave out', () => {
    const spring = rotation({ start: '2026-03-28T02:30:00+01:00', shiftHours: 12 })
    expect(at('2026-03-29T01:59:00+01:00', spring)).toBe(BEN)
    expect(at('2026-03-29T03:31:00+02:00', spring)).toBe(ANA)
    expect(at('2026-03-29T14:29:00+02:00', spring)).toBe(ANA)
    expect(at('2026-03-29T14:31:00+02:00', spring)).toBe(BEN)
  })
})

it('what the clocks of a zone show leads back to the moment, or to its first showing', () => {
  const zones = ['Europe/Paris', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata', 'UTC', 'Pacific/Apia']
  const moments = fc.integer({ min: Date.parse('2015-01-01'), max: Date.parse('2035-01-01') })
  fc.assert(
    fc.property(fc.constantFrom(...zones), moments, (zone, now) => {
      const wall = wallOf(zone, now)
      const back = instantOf(zone, wall)
      expect(wallOf(zone, back)).toBe(wall)
      expect(back === now || (back < now && now - back <= 86_400_000)).toBe(true)
    }),
  )
})

it('refuses what is no time zone', () => {
  const policy = (timeZone: string) =>
    Policy.safeParse({ oncall: { primary: { users: [ANA], start: '2026-01-05T09:00:00Z', timeZone } } })
  for (const wrong of ['Europe/Pari', '+01:00', ''])
    expect(policy(wrong).error?.issues[0]?.message).toBe('is not an IANA time zone such as Europe/Paris')
  expect(policy('Europe/Paris').success).toBe(true)
})
