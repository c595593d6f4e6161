import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { createLog } from '../src/log.ts'
import { createSecrets } from '../src/secrets.ts'
import { alertmanager } from '../src/sources/alertmanager.ts'
import { type Found, LIMITS, normalise } from '../src/sources/normalise.ts'
import { strikeBatch } from '../src/strike.ts'
import { outcome } from './sources/edge.ts'

const SECRET = 'p@ss "word"\\&=/5'
const env = { A: SECRET, REDIS_URL: 'rediss://u:h%40rd-one@h:1/0', SHORT: 'abc' }
const { secret, strike } = createSecrets(env, ['A', 'REDIS_URL', 'SHORT'])

describe('a secret', () => {
  it('is read from the environment, or named when it is not there', () => {
    expect(secret('A')).toBe(SECRET)
    expect(() => secret('B')).toThrow('the environment variable B is not set')
  })

  it.each([
    ['as it is', `x ${SECRET} y`],
    ['in JSON', JSON.stringify({ a: SECRET })],
    ['in an address', `http://h/?q=${encodeURIComponent(SECRET)}`],
    ['as a password in the address of Redis', 'h@rd-one h%40rd-one'],
    ['in JSON in JSON', JSON.stringify({ a: JSON.stringify({ b: SECRET }) })],
    ['in base64', Buffer.from(SECRET).toString('base64')],
    ['in the basic authorization of a user', `Basic ${Buffer.from(`user:${SECRET}`).toString('base64')}`],
    ['in JSON as Go writes it', JSON.stringify({ a: SECRET }).replaceAll('&', '\\u0026')],
    ['in JSON as PHP writes it', JSON.stringify({ a: SECRET }).replaceAll('/', '\\/')],
    ['in an address with small digits', encodeURIComponent(SECRET).replace(/%../g, (digits) => digits.toLowerCase())],
    ['in an address that keeps its slashes', encodeURIComponent(SECRET).replaceAll('%2F', '/')],
    ['in a form', new URLSearchParams({ a: SECRET }).toString()],
  ])('is struck out %s', (_how, text) => {
    const struck = strike(text)
    for (const form of [SECRET, 'h@rd-one', encodeURIComponent(SECRET), JSON.stringify(SECRET).slice(1, -1)])
      expect(struck).not.toContain(form)
    expect(struck).not.toMatch(/word/)
    expect(struck).toContain('[secret]')
  })

  it('is struck out where a text was cut in the middle of it, as far as half of it is left', () => {
    const own = createSecrets({ X: 'correct-horse-battery' }, ['X'])
    const text = 'said correct-horse-battery, twice'
    for (let end = 'said correct-hor'.length + 1; end < text.length; end++)
      expect(own.strike(`${text.slice(0, end)}…`)).toMatch(/^said \[secret\]/)
    for (let start = 1; start <= 'said correct-ho'.length; start++)
      expect(own.strike(`…${text.slice(start)}`)).toMatch(/^…(said|aid|id|d)? ?\[secret\], twice$/)
    expect(own.strike('correct, and a horse; battery')).toBe('correct, and a horse; battery')
  })

  it('cut off by the limits of an alert is struck out all the same', async () => {
    const own = createSecrets({ X: 'correct-horse-battery' }, ['X'])
    const found: Found = {
      fingerprint: 'f',
      status: 'firing',
      labels: { alertname: 'A', error: `${'x'.repeat(LIMITS.label - 30)} correct-horse-battery` },
      annotations: { summary: `${'x'.repeat(LIMITS.annotation - 43)} correct-horse-battery, and more of it` },
      startsAt: null,
      endsAt: null,
      links: [],
    }
    const alert = normalise(found, { source: 's', receivedAt: new Date(0) })
    expect(JSON.stringify(alert)).toMatch(/correct-hors.*correct-hors/)
    const { alerts } = await strikeBatch(own.strike, { alerts: [alert], truncated: 0 })
    expect(JSON.stringify(alerts)).not.toMatch(/correct-h/)
  })

  it('is struck out of what could not be read of a body, and of the names of groups', async () => {
    const own = createSecrets({ X: 'correct-horse-battery' }, ['X'])
    const sent = `${'x'.repeat(40)} correct-horse-battery`
    const body = {
      groupKey: sent,
      status: 'firing',
      alerts: [
        { status: sent, labels: { alertname: 'A' } },
        { status: 'firing', labels: { alertname: 'A' }, startsAt: sent },
      ],
    }
    const decoded = outcome(alertmanager.decode(body, {} as never, { source: 's', receivedAt: new Date(0) }))
    if (!decoded.ok) throw new Error(decoded.reason)
    expect(JSON.stringify(decoded.batch)).toMatch(/correct-h.*correct-h/)
    const batch = await strikeBatch(own.strike, decoded.batch)
    expect(JSON.stringify(batch)).not.toMatch(/correct-h/)
    expect(batch.alerts[0]!.group).toBe(batch.group!.key)
  })

  it.each([
    [
      'the password in an address',
      'at postgres://app:hunter22@db.example:5432/x',
      'at postgres://app:[secret]@db.example:5432/x',
    ],
    ['a token of Slack', 'said xoxb-1234567890-abcdef.', 'said [secret].'],
    ['a private key', 'x -----BEGIN RSA PRIVATE KEY-----\nMIIE+/=\n-----END RSA PRIVATE KEY----- y', 'x [secret] y'],
    ['nothing else', 'see https://h/a:b@c?x=y:z@w and a:b@c, 10:30', 'see https://h/a:b@c?x=y:z@w and a:b@c, 10:30'],
  ])('that nobody told us of is known by its shape: %s', (_what, text, expected) => {
    expect(strike(text)).toBe(expected)
  })

  it('is searched for in time, whatever the text', () => {
    const start = performance.now()
    for (const text of ['a'.repeat(1e6), 'a://'.repeat(250_000), `${'-----BEGIN PRIVATE KEY-----'.repeat(30_000)}`])
      strike(text)
    expect(performance.now() - start).toBeLessThan(5000)
  })

  it('does not take ordinary words with it when it is short', () => {
    expect(strike('abcdef')).toBe('abcdef')
  })

  it('never reaches the log: not in messages, fields, errors with their causes, or addresses', () => {
    const lines: string[] = []
    const log = createLog({ level: 'debug', strike, destination: { write: (l) => void lines.push(l) } })
    const cause = new Error(`cannot log in with ${SECRET}`)
    log.info({ url: `http://u:${encodeURIComponent(SECRET)}@h`, a: { b: { c: SECRET } } }, `said ${SECRET}`)
    log.error({ err: new Error('outer', { cause }), headers: { authorization: `Bearer ${SECRET}` } }, 'failed')
    log.info({ token: 'another', password: 'another', nested: { botToken: 'another' } }, 'keys')
    expect(lines).toHaveLength(3)
    const all = lines.join('')
    for (const form of [SECRET, JSON.stringify(SECRET).slice(1, -1), encodeURIComponent(SECRET), 'another'])
      expect(all).not.toContain(form)
  })

  it('whatever it is, does not survive a log line', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 6, maxLength: 40, unit: 'grapheme' }), fc.string(), (value, around) => {
        fc.pre(!around.includes(value) && value.trim().length >= 6)
        const own = createSecrets({ X: value }, ['X'])
        const line: string[] = []
        createLog({ level: 'info', strike: own.strike, destination: { write: (l) => void line.push(l) } }).info(
          { k: `${around}${value}` },
          value,
        )
        expect(line.join('')).not.toContain(JSON.stringify(value).slice(1, -1))
      }),
      { numRuns: 300 },
    )
  })
})
