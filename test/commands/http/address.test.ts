import type { LookupAddress } from 'node:dns'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { guardedLookup, Networks, outOfBounds, type Reachable } from '../../../commands/http/address.ts'
import { exchange } from '../../../commands/http/exchange.ts'
import { Refused } from '../../../src/domain/command.ts'
import { type Service, startService } from './server.ts'

const family = (address: string) => (address.includes(':') ? 6 : 4)
const at = (...found: string[]): LookupAddress[] => found.map((address) => ({ address, family: family(address) }))
const verdict = (address: string, reachable: Reachable, name = 'jobs.example') =>
  outOfBounds(name, { address, family: family(address) }, reachable)

describe('an address that a name stands for', () => {
  it.each(['93.184.215.14', '2606:2800:21f:cb07:6820:80da:af6b:8b2c', '172.32.0.1'])('%s is public', (address) => {
    expect(verdict(address, [])).toBeNull()
  })
  it.each(['10.1.2.3', '172.31.255.255', '192.168.0.1', '100.64.0.1', 'fd12::1', '::ffff:10.1.2.3'])(
    '%s is private, and needs to be listed',
    (address) => {
      expect(verdict(address, [])).toContain('is private')
      expect(verdict(address, ['10.9.0.0/16'])).toContain('is private')
      expect(verdict(address, 'private')).toBeNull()
      const listed = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fd12::/16']
      expect(verdict(address, listed)).toBeNull()
    },
  )
  it.each([
    ...['127.0.0.1', '127.8.8.8', '0.0.0.0', '169.254.169.254', '224.0.0.1', '255.255.255.255', '::1', '::'],
    ...['fe80::1', 'fd00:ec2::254', 'ff02::1', '::ffff:127.0.0.1', '::ffff:169.254.169.254', '64:ff9b::a9fe:a9fe'],
  ])('%s is never asked because of a name', (address) => {
    expect(verdict(address, [])).toContain('of this machine')
    expect(verdict(address, 'private')).toContain('of this machine')
  })
  it('is of this machine for localhost, and nothing else is', () => {
    expect(verdict('127.0.0.1', [], 'localhost')).toBeNull()
    expect(verdict('::1', [], 'jobs.localhost')).toBeNull()
    expect(verdict('10.0.0.1', 'private', 'localhost')).toBe('is not this machine')
    expect(verdict('127.0.0.1', [], 'notlocalhost')).toContain('of this machine')
  })
  it('is refused if any of several is', () => {
    const found = at('93.184.215.14', '169.254.169.254')
    let given: unknown
    guardedLookup([], (_name, then) => then(null, found))('jobs.example', { all: true }, (error) => (given = error))
    expect(given).toBeInstanceOf(Refused)
  })
})

it.each(['10.0.0.0', '10.0.0.0/33', 'fd00::/129', 'jobs.example/8', '10.0.0.0/8/8', '10.0.0.0/-1'])(
  '%s is no network to list',
  (text) => {
    expect(Networks.safeParse([text]).success).toBe(false)
  },
)

describe('a request', () => {
  let service: Service
  beforeEach(async () => {
    service = await startService((_seen, _incoming, outgoing) => outgoing.end('here'))
  })
  afterEach(() => service.stop())

  const ask = (answers: string[], reachable: Reachable, host = 'jobs.example') => {
    let asked = 0
    // Another answer each time, as a name server that means harm would give.
    const resolve = (_name: string, then: (error: null, found: LookupAddress[]) => void) =>
      then(null, at(answers[asked++ % answers.length]!))
    const url = new URL(service.origin)
    url.hostname = host
    const signal = AbortSignal.timeout(5000)
    return exchange({ method: 'POST', url, headers: {}, signal, maxBytes: 256, reachable, resolve })
  }

  it('is not sent to this machine because a name has come to stand for it', async () => {
    await expect(ask(['127.0.0.1'], [])).rejects.toThrow(
      new Refused(
        'Nothing was sent: jobs.example stands for 127.0.0.1, which is of this machine, of its link, or of no single host.',
      ),
    )
    expect(service.seen).toEqual([])
  })
  it('goes to the very address that was checked', async () => {
    expect(await ask(['127.0.0.1', '10.0.0.1'], ['127.0.0.0/8'])).toMatchObject({ status: 200, body: 'here' })
    expect(service.seen).toHaveLength(1)
  })
  it('goes to an address that is configured as one', async () => {
    expect(await ask(['10.0.0.1'], [], '127.0.0.1')).toMatchObject({ status: 200 })
  })
})
