import { type LookupAddress, lookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { z } from 'zod'
import { Refused } from '../../src/domain/command.ts'

/** https://www.iana.org/assignments/iana-ipv4-special-registry and -ipv6-: networks of one's own. */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7']
/** The machine itself, its neighbours on the wire (where clouds keep credentials), and what is no single host. */
const NEVER = [
  ...['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '192.0.0.0/24', '198.18.0.0/15', '224.0.0.0/4', '240.0.0.0/4'],
  ...['::/128', '::1/128', 'fe80::/10', 'fec0::/10', 'ff00::/8', 'fd00:ec2::/32', '64:ff9b::/96', '2002::/16'],
]

/** A network as in `10.20.0.0/16`; a single address has /32 or /128. */
const Network = z.string().refine((text) => {
  const [address = '', bits = '', ...rest] = text.split('/')
  const most = isIP(address) === 4 ? 32 : 128
  return isIP(address) !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= most && rest.length === 0
}, 'is no network such as 10.20.0.0/16')

/** The private networks that the host of a connection may be in, when its name is looked up. */
export const Networks = z.array(Network).default([])

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    list.addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4')
  }
  return list
}
const [asPrivate, asNever, asLoopback] = [listOf(PRIVATE), listOf(NEVER), listOf(['127.0.0.0/8', '::1/128'])]

/** Looks a name up, as `dns.lookup` does with `all`. */
export type Resolve = (name: string, then: (error: Error | null, found: LookupAddress[]) => void) => void

/**
 * Where a request may go: `private` is anywhere but this machine and its link; a list names the private networks that are
 * allowed beside public ones.
 */
export type Reachable = 'private' | readonly string[]

/** Why an address that a name stands for is not connected to; null if it may be. */
export function outOfBounds(name: string, { address, family }: LookupAddress, reachable: Reachable): string | null {
  const kind = family === 6 ? 'ipv6' : 'ipv4'
  if (/(^|\.)localhost$/.test(name)) return asLoopback.check(address, kind) ? null : 'is not this machine'
  if (reachable !== 'private' && listOf(reachable).check(address, kind)) return null
  if (asNever.check(address, kind)) return 'is of this machine, of its link, or of no single host'
  if (reachable === 'private' || !asPrivate.check(address, kind)) return null
  return 'is private, and not in a network that the connection lists under networks'
}

/**
 * How `node:http` finds the address of a name: the address that is checked is the one that is connected to, so that no
 * later answer of DNS leads elsewhere. An address that stands in the URL itself is configured, and is not looked up.
 */
export function guardedLookup(
  reachable: Reachable,
  resolve: Resolve = (name, then) => lookup(name, { all: true }, then),
): LookupFunction {
  return (name, options, give) =>
    resolve(name, (error, found) => {
      if (error) return give(error, '')
      for (const one of found) {
        const no = outOfBounds(name, one, reachable)
        if (no) return give(new Refused(`Nothing was sent: ${name} stands for ${one.address}, which ${no}.`), '')
      }
      const [first] = found
      if (!first) return give(new Error(`${name} stands for no address`), '')
      return options.all ? give(null, found) : give(null, first.address, first.family)
    })
}
