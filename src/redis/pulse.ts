import type { Progress, Pulse } from '../domain/ports.ts'
import type { Store } from './connect.ts'
import { CHANGED, incidentKey } from './keys.ts'

/** How long after its last beat a run counts as alive, in milliseconds. */
export const BEAT_TTL = 5000

/** Signs of life in Redis: they expire by themselves. */
export function createPulse(redis: Store): Pulse {
  const beatKey = (incident: string, proposal: string) => incidentKey(incident, `beat:${proposal}`)
  const progressKey = (incident: string, proposal: string) => incidentKey(incident, `progress:${proposal}`)
  return {
    async beat(incident, proposal, worker) {
      await redis.set(beatKey(incident, proposal), worker, 'PX', BEAT_TTL)
    },
    async alive(incident, proposal) {
      return (await redis.exists(beatKey(incident, proposal))) === 1
    },
    async progress(incident, proposal, progress) {
      await redis.set(progressKey(incident, proposal), JSON.stringify(progress), 'EX', 3600)
      await redis.publish(CHANGED, incident)
    },
    async read(incident, proposal) {
      const text = await redis.get(progressKey(incident, proposal))
      return text === null ? null : (JSON.parse(text) as Progress)
    },
  }
}
