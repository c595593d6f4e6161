import type {
  ChangeCommand,
  Connected,
  ConnectionKind,
  ReadContext,
  Right,
  RunContext,
} from '../../src/domain/command.ts'
import { Refused } from '../../src/domain/command.ts'
import { digest, Plan } from '../../src/domain/plan.ts'

/** A named connection as keyturn.yaml would hold it; `settings` is parsed by its kind when it is opened. */
export type TestConnection = Readonly<{ kind: string; environment?: string; settings: unknown }>

export type WorldOptions = Readonly<{
  connections: Readonly<Record<string, TestConnection>>
  /** Environment variable to value; asking for another one throws, as the worker does. */
  secrets?: Readonly<Record<string, string>>
  now?: () => Date
  requestedAt?: Date
}>

/** What `ctx.step` and `ctx.progress` were told, in order. */
export type Recording = {
  started: string[]
  finished: { id: string; result: unknown }[]
  progress: { done: number; total: number; note?: string }[]
}

export type RunOptions = Readonly<{
  /** Steps of an earlier run that are not run again, with the results they had. */
  done?: Readonly<Record<string, unknown>>
  signal?: AbortSignal
}>

/** A place to call commands in: opens each connection once and closes all of them in `close`. */
export function createWorld(options: WorldOptions) {
  const opened = new Map<string, { connected: Promise<Connected<unknown, unknown>>; close(): Promise<void> }>()
  const now = options.now ?? (() => new Date())
  const requestedAt = options.requestedAt ?? new Date('2026-03-14T02:07:00.000Z')
  const secret = (variable: string) => {
    const value = options.secrets?.[variable]
    if (value === undefined) throw new Error(`the environment variable ${variable} is not set`)
    return value
  }

  async function connect<S, C>(
    kind: ConnectionKind<S, C>,
    name: string,
    rights?: readonly Right[],
  ): Promise<Connected<S, C>> {
    const found = Object.hasOwn(options.connections, name) ? options.connections[name] : undefined
    if (found?.kind !== kind.kind) throw new Refused(`There is no ${kind.kind} connection named "${name}".`)
    const key = JSON.stringify([name, rights])
    const known = opened.get(key)
    if (known) return (await known.connected) as Connected<S, C>
    const settings = kind.settings.parse(found.settings)
    const client = Promise.resolve(kind.open(settings, secret, rights))
    const connected = client.then((c) => ({ name, environment: found.environment ?? 'test', settings, client: c }))
    opened.set(key, { connected, close: async () => kind.close(await client) })
    return connected
  }

  const read = (signal: AbortSignal = new AbortController().signal): ReadContext => ({
    connect,
    signal,
    now,
    requestedAt,
    origin: { incident: 'e3b0c44298fc-1', by: 'Ona' },
  })

  /** A run's context over one plan, and what was recorded. A step that is not in the plan or runs twice throws. */
  function run(plan: Plan, runOptions: RunOptions = {}): { ctx: RunContext; recording: Recording } {
    const recording: Recording = { started: [], finished: [], progress: [] }
    const ctx: RunContext = {
      ...read(runOptions.signal),
      async step<T>(id: string, work: () => Promise<T>): Promise<T> {
        if (!plan.steps.some((s) => s.id === id)) throw new Error(`step "${id}" is not in the plan`)
        if (recording.started.includes(id)) throw new Error(`step "${id}" was run twice`)
        if (runOptions.done && Object.hasOwn(runOptions.done, id)) return runOptions.done[id] as T
        ctx.signal.throwIfAborted()
        recording.started.push(id)
        const result = await work()
        const stored = result === undefined ? undefined : (JSON.parse(JSON.stringify(result)) as T)
        recording.finished.push({ id, result: stored })
        return stored as T
      },
      progress: (done, total, note) =>
        recording.progress.push(note === undefined ? { done, total } : { done, total, note }),
    }
    return { ctx, recording }
  }

  return {
    read,
    run,
    /** Closes every client that was opened; forgets them, so that the next call opens new ones. */
    async close(): Promise<void> {
      const all = [...opened.values()]
      opened.clear()
      await Promise.allSettled(all.map((c) => c.close()))
    },
  }
}

export type World = ReturnType<typeof createWorld>

/** Parses the parameters as a playbook's slots would fill them, plans, and hands back what survives the journal. */
export async function propose(
  command: ChangeCommand,
  params: Readonly<Record<string, unknown>>,
  ctx: ReadContext,
): Promise<Plan> {
  const plan = await command.plan(command.params.parse(params), ctx)
  digest(plan)
  const steps = plan.steps.map((s) => s.id)
  if (new Set(steps).size !== steps.length) throw new Error(`step ids are not unique: ${steps.join(', ')}`)
  return Plan.parse(JSON.parse(JSON.stringify(plan)))
}
