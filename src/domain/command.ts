import { z } from 'zod'
import type { Plan } from './plan.ts'

/** One piece of what a read command found. Text in it is untrusted; the views escape it and cut it to Slack's limits. */
export const EvidenceBlock = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text: z.string() }),
  /** Shown in a fixed-width font: a log tail, a line of a file, a query. */
  z.object({ type: z.literal('code'), text: z.string() }),
  z.object({
    type: z.literal('table'),
    columns: z.array(z.string()),
    rows: z.array(z.array(z.string())),
    /** Rows that exist but are not listed here. */
    omitted: z.number().int().default(0),
  }),
  z.object({
    type: z.literal('chart'),
    title: z.string(),
    unit: z.string(),
    points: z.array(z.object({ label: z.string(), value: z.number() })),
  }),
])
export type EvidenceBlock = z.infer<typeof EvidenceBlock>

/** What a read command found: one sentence that answers the question, and the details. */
export const Evidence = z.object({ summary: z.string(), blocks: z.array(EvidenceBlock) })
export type Evidence = z.infer<typeof Evidence>

/** One answer of `verify`: did it help? */
export const Check = z.object({ title: z.string(), ok: z.boolean(), detail: z.string().default('') })
export type Check = z.infer<typeof Check>

/** The answer of `probe` after a crash: did this step land? */
export const Finding = z.object({ landed: z.enum(['yes', 'no', 'cannot_tell']), detail: z.string() })
export type Finding = z.infer<typeof Finding>

export type Risk = 'low' | 'medium' | 'high'
export type Effect = 'read' | 'idempotent' | 'once'

/** How to reach one kind of system. `settings` is the part of a connection in keyturn.yaml that is its own. */
export type ConnectionKind<Settings = unknown, Client = unknown> = Readonly<{
  kind: string
  /** A strict object; keys that name a secret end in `From` and hold the name of an environment variable. */
  settings: z.ZodType<Settings>
  /**
   * Opens a client. It is closed when the job that opened it ends. `rights` are all that it will be used for; a kind that can
   * hand out a session with fewer rights than its own cuts it to them.
   */
  open(
    settings: Settings,
    secret: (environmentVariable: string) => string,
    rights?: readonly Right[],
  ): Promise<Client> | Client
  close(client: Client): Promise<void> | void
}>

/** What a plan does to what, in the words of the system: `s3:PutObject` on `arn:aws:s3:::lake/raw/1.json.gz`. */
export type Right = Readonly<{ actions: readonly string[]; resources: readonly string[] }>

export type Connected<Settings, Client> = Readonly<{
  name: string
  environment: string
  settings: Settings
  client: Client
}>

/** What every call gets. `signal` aborts on cancel, on a deadline and on shutdown. */
export type ReadContext = Readonly<{
  /**
   * Opens the named connection of the configuration, with no more than these rights if they are named and the kind can cut them.
   * Throws Refused if there is none of that name and kind.
   */
  connect<S, C>(kind: ConnectionKind<S, C>, name: string, rights?: readonly Right[]): Promise<Connected<S, C>>
  signal: AbortSignal
  now(): Date
  /** When this was asked for. The same for a plan and for its making again before the run. */
  requestedAt: Date
  /** The incident that this is for, and who asked (null: its opening did), for systems that keep a comment. */
  origin: Readonly<{ incident: string; by: string | null }>
}>

export type RunContext = ReadContext &
  Readonly<{
    /**
     * Runs one step of the plan. Its start is stored before `work` is called and its result after it; a step that a
     * resumed run has already done is not run again, and its stored result is returned. `id` must be in `plan.steps`.
     */
    step<T extends z.core.util.JSONType | undefined>(id: string, work: () => Promise<T>): Promise<T>
    /** Shown in the thread, coalesced. */
    progress(done: number, total: number, note?: string): void
  }>

type Meta<Params extends z.ZodObject> = Readonly<{
  /** `<system>.<verb>` */
  id: string
  /** One sentence in the imperative: what it does. */
  summary: string
  /** Flat object; each field is a scalar, an enum or a list. Slots fill strings, so numbers and booleans coerce. */
  params: Params
}>

export type ReadCommand<Params extends z.ZodObject = z.ZodObject> = Meta<Params> &
  Readonly<{ effect: 'read'; read(params: z.output<Params>, ctx: ReadContext): Promise<Evidence> }>

export type ChangeCommand<Params extends z.ZodObject = z.ZodObject, Data = unknown> = Meta<Params> &
  Readonly<{
    effect: 'idempotent' | 'once'
    risk: Risk
    /** How long a run may take, in minutes; 60 unless the command says otherwise. Then its step is probed. */
    runMinutes?: number
    /** Read-only and deterministic: the same world gives the same plan, byte for byte. Refuses by throwing Refused. */
    plan(params: z.output<Params>, ctx: ReadContext): Promise<Plan<Data>>
    /** Does what the plan says, each change inside `ctx.step`. Returns one sentence for the thread. */
    run(plan: Plan<Data>, ctx: RunContext): Promise<string>
    /** Did it help? */
    verify(plan: Plan<Data>, ctx: ReadContext): Promise<Check[]>
    /** After a crash: did this step of the plan land? Read-only. */
    probe(plan: Plan<Data>, step: string, ctx: ReadContext): Promise<Finding>
  }>

export type Command = ReadCommand | ChangeCommand

/** A command says no: the sentence is shown to people as it is. Not a bug, not retried. */
export class Refused extends Error {
  override name = 'Refused'
}

/**
 * A target was asked for a change and gave no whole answer: it may have landed, or may land yet. A probe that does not
 * find it is then no proof, so the outcome is unknown.
 */
export class Unanswered extends Error {
  override name = 'Unanswered'
}

/** Types a command; returns it as it is. */
export function defineRead<P extends z.ZodObject>(command: ReadCommand<P>): ReadCommand {
  return command as unknown as ReadCommand
}

/** Types a command; returns it as it is. */
export function defineChange<P extends z.ZodObject, D>(command: ChangeCommand<P, D>): ChangeCommand {
  return command as unknown as ChangeCommand
}

/** Types a connection kind; returns it as it is. */
export function defineConnection<S, C>(kind: ConnectionKind<S, C>): ConnectionKind<S, C> {
  return kind
}
