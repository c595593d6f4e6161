import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'

/**
 * A wire to a server on this machine that breaks each time a request that matches comes by: whoever sent it never learns
 * whether it arrived. Here it did not, so that a look at the server finds nothing.
 */
export async function breakingWire(port: number, breaksAt: RegExp) {
  let broken = 0
  const wire = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    near.on('data', (part) => {
      if (!breaksAt.test(part.toString('latin1'))) return void far.write(part)
      broken += 1
      near.destroy()
    })
    far.on('data', (part) => near.write(part))
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const)
      one.on('close', () => other.destroy()).on('error', () => {})
  }).listen(0, '127.0.0.1')
  await once(wire, 'listening')
  return {
    port: (wire.address() as AddressInfo).port,
    /** How often it broke. */
    broken: () => broken,
    async close() {
      wire.close()
      await once(wire, 'close')
    },
  }
}
