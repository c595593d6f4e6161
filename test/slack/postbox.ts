import type { Clock, Postbox, Posted } from '../../src/domain/ports.ts'

/**
 * A postbox in memory that keeps the port's contract: one lease an incident, which lapses; one slot a second and channel;
 * a signature is new once. `down` makes every call throw, as a store does that cannot be reached.
 */
export function createMemoryPostbox(
  clock: Clock,
): Postbox & { down: boolean; posted: Map<string, Record<string, Posted>> } {
  const posted = new Map<string, Record<string, Posted>>()
  const marks = new Map<string, string>()
  const leases = new Map<string, { owner: symbol; until: number }>()
  const slots = new Map<string, number>()
  const seen = new Map<string, number>()
  const box = {
    down: false,
    posted,
    async read(incident: string) {
      reach()
      return structuredClone(posted.get(incident) ?? {})
    },
    async write(incident: string, key: string, one: Posted) {
      reach()
      posted.set(incident, { ...posted.get(incident), [key]: structuredClone(one) })
    },
    async rendered(incident: string) {
      reach()
      return marks.get(incident) ?? null
    },
    async setRendered(incident: string, mark: string) {
      reach()
      marks.set(incident, mark)
    },
    async lease(incident: string) {
      reach()
      if ((leases.get(incident)?.until ?? 0) > clock()) return null
      const owner = Symbol(incident)
      const take = () => leases.set(incident, { owner, until: clock() + 10_000 })
      const mine = () => leases.get(incident)?.owner === owner && leases.get(incident)!.until > clock()
      take()
      return {
        async renew() {
          reach()
          if (!mine()) return false
          take()
          return true
        },
        async release() {
          reach()
          if (mine()) leases.delete(incident)
        },
      }
    },
    async pace(channel: string) {
      reach()
      const slot = Math.max(clock(), slots.get(channel) ?? 0)
      slots.set(channel, slot + 1000)
      return slot - clock()
    },
    async firstTime(signature: string) {
      reach()
      if ((seen.get(signature) ?? 0) > clock()) return false
      seen.set(signature, clock() + 600_000)
      return true
    },
  }
  const reach = () => {
    if (box.down) throw new Error('the store cannot be reached')
  }
  return box
}
