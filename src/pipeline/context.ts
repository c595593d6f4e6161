import { type ConnectionKind, type ReadContext, Refused, type Right } from '../domain/command.ts'
import type { Clock } from '../domain/ports.ts'

/** A configured connection; `settings` has passed its kind's schema. */
export type ConnectionConfig = Readonly<{ kind: string; environment: string; settings: unknown }>

/** Gives a job its connections, each opened once, and closes them when the job is over. */
export function createContext(deps: {
  connections: Readonly<Record<string, ConnectionConfig>>
  secret: (environmentVariable: string) => string
  clock: Clock
  signal: AbortSignal
  requestedAt: string
  origin: ReadContext['origin']
}): { ctx: ReadContext; environment(): string; close(): Promise<void> } {
  const opened = new Map<string, { value: Promise<unknown>; close: () => Promise<void> }>()
  const environments = new Set<string>()

  async function connect<S, C>(kind: ConnectionKind<S, C>, name: string, rights?: readonly Right[]) {
    const config = Object.hasOwn(deps.connections, name) ? deps.connections[name] : undefined
    if (!config) throw new Refused(`There is no connection named ${JSON.stringify(name)} in the configuration.`)
    if (config.kind !== kind.kind)
      throw new Refused(
        `The connection ${JSON.stringify(name)} is of kind ${config.kind}; this command needs ${kind.kind}.`,
      )
    environments.add(config.environment)
    const settings = config.settings as S
    const key = JSON.stringify([name, rights])
    let entry = opened.get(key)
    if (!entry) {
      const value = Promise.resolve(kind.open(settings, deps.secret, rights))
      entry = { value, close: async () => kind.close(await value) }
      opened.set(key, entry)
    }
    return { name, environment: config.environment, settings, client: (await entry.value) as C }
  }

  return {
    ctx: {
      connect,
      signal: deps.signal,
      now: () => new Date(deps.clock()),
      requestedAt: new Date(deps.requestedAt),
      origin: deps.origin,
    },
    environment: () => [...environments].sort().join(' + ') || 'none',
    async close() {
      await Promise.allSettled([...opened.values()].map((o) => o.close()))
    },
  }
}
