import {
  CancelCommandCommand,
  GetCommandInvocationCommand,
  type GetCommandInvocationCommandOutput,
  InvalidInstanceId,
  InvocationDoesNotExist,
  paginateListCommands,
  SendCommandCommand,
  type SSMClient,
} from '@aws-sdk/client-ssm'
import { type Finding, Refused, Unanswered } from '../../src/domain/command.ts'
import { answered } from '../aws/answered.ts'
import { outlive } from '../aws/outlive.ts'
import { rest, settled } from '../settle.ts'

/** How to reach machines by Systems Manager: a change is sent once. */
export type Clients = Readonly<{ reads: SSMClient; writes: SSMClient }>
type Settings = Readonly<{ pollSeconds: number; commandSeconds: number }>

/** What a script left on one machine. `out` and `err` are untrusted. Systems Manager keeps 24,000 characters of `out`. */
export type Result = Readonly<{ status: string; code: number; out: string; err: string }>

/** A script ends with this code when the machine is not as it was shown and it has changed nothing. */
export const MOVED = 75

const OVER = new Set(['Success', 'Cancelled', 'TimedOut', 'Failed'])
const UNDER_WAY = new Set(['Pending', 'InProgress', 'Delayed', 'Cancelling'])
/** How long Systems Manager tries to reach a machine, in seconds; no less is allowed. */
const DELIVERY = 30
/** What GetCommandInvocation keeps of an output, in characters: API reference, StandardOutputContent. */
export const MOST_OUT = 24_000
/** Looks for which a command may be unknown to Systems Manager, or in a state that is unknown here. */
const STRANGE_LOOKS = 24

type Order = Readonly<{ instances: readonly string[]; script: readonly string[]; comment: string }>

/** Runs a script that only looks on machines, and waits for all of them; too many requests are outlived. */
export async function look(
  { reads }: Clients,
  settings: Settings,
  order: Omit<Order, 'comment'>,
  signal: AbortSignal,
  note: Note = () => {},
): Promise<Map<string, Result>> {
  const pace = paceOf(settings, signal, note)
  const ask = async (instances: readonly string[]): Promise<Map<string, Result>> => {
    const input = inputOf(settings, { ...order, instances, comment: LOOKS })
    try {
      // A second one of these does no harm.
      const { Command } = await outlive(() => reads.send(new SendCommandCommand(input), { abortSignal: signal }), pace)
      return await untilOver(reads, pace, Command?.CommandId, instances, true)
    } catch (error) {
      // One that was just terminated has the whole command refused: the others are asked without it.
      if (!(error instanceof InvalidInstanceId)) throw error
      if (instances.length === 1) return new Map()
      const half = Math.ceil(instances.length / 2)
      return new Map([...(await ask(instances.slice(0, half))), ...(await ask(instances.slice(half)))])
    }
  }
  return ask(order.instances)
}

/** Says in the thread why something takes longer. */
export type Note = (text: string) => void
type Pace = Readonly<{ signal: AbortSignal; pauseMs: number; onPause: Note }>
export const paceOf = ({ pollSeconds }: Pick<Settings, 'pollSeconds'>, signal: AbortSignal, onPause: Note): Pace => ({
  signal,
  pauseMs: pollSeconds * 1000,
  onPause,
})

const inputOf = (settings: Settings, { instances, script, comment }: Order) => ({
  DocumentName: 'AWS-RunShellScript',
  InstanceIds: [...instances],
  Comment: comment,
  TimeoutSeconds: DELIVERY,
  Parameters: { commands: [...script], executionTimeout: [String(settings.commandSeconds)] },
})

/**
 * Waits for a command on all its machines. An abort asks Systems Manager to stop it, too. With `onlyLooks`, a machine on which
 * nobody knows what became of it is told as that beside the others.
 */
async function untilOver(
  client: SSMClient,
  pace: Pace,
  id: string | undefined,
  instances: readonly string[],
  onlyLooks = false,
): Promise<Map<string, Result>> {
  if (!id) throw new Error('machines: Systems Manager gave no id for the command')
  const results = new Map<string, Result>()
  const lost = new Map<string, Result>()
  try {
    for (const instance of instances) {
      const now = () => outlive(() => invocation(client, id, instance, pace.signal), pace)
      let seen = await now()
      for (let strange = 0; !OVER.has(seen?.Status ?? ''); ) {
        if (!UNDER_WAY.has(seen?.Status ?? '') && ++strange > STRANGE_LOOKS) {
          const says = seen ? `unknown: ${seen.Status}` : 'there is none'
          if (!onlyLooks) throw new Error(`machines: Systems Manager says of the command ${id} on ${instance}: ${says}`)
          lost.set(instance, { status: `a state that nobody knows (${says})`, code: -1, out: '', err: '' })
          break
        }
        await rest(pace.pauseMs / 1000, pace.signal)
        seen = await now()
      }
      results.set(
        instance,
        lost.get(instance) ?? {
          status: seen?.StatusDetails ?? seen?.Status ?? '',
          code: seen?.ResponseCode ?? -1,
          out: seen?.StandardOutputContent ?? '',
          err: seen?.StandardErrorContent ?? '',
        },
      )
    }
  } catch (error) {
    // Not by the signal of the run, which has ended. Whether it stopped in time is for the probe to find out.
    if (pace.signal.aborted)
      await client
        .send(new CancelCommandCommand({ CommandId: id }), { abortSignal: AbortSignal.timeout(5_000) })
        .catch(() => {})
    throw error
  }
  return results
}

/** Undefined as long as Systems Manager does not know its own command yet. */
async function invocation(
  client: SSMClient,
  CommandId: string,
  InstanceId: string,
  signal: AbortSignal,
): Promise<GetCommandInvocationCommandOutput | undefined> {
  try {
    return await client.send(new GetCommandInvocationCommand({ CommandId, InstanceId }), { abortSignal: signal })
  } catch (error) {
    if (error instanceof InvocationDoesNotExist) return undefined
    throw error
  }
}

/** What a change's command has as its comment: how the probe finds it again, since a command has no token. */
export const commentOf = (data: Readonly<{ token: string }>, step: string): string => `keyturn ${data.token} ${step}`

/** Runs one step of a change on one machine, once. Throws with what the machine said unless it succeeded. */
export async function perform(
  clients: Clients,
  settings: Settings,
  order: { instance: string; script: readonly string[]; comment: string },
  signal: AbortSignal,
  note: Note = () => {},
): Promise<string> {
  const { instance, script, comment } = order
  const input = inputOf(settings, { instances: [instance], script, comment })
  const sent = await answered(`SendCommand ${instance}`, signal, () =>
    clients.writes.send(new SendCommandCommand(input), { abortSignal: signal }),
  )
  const pace = paceOf(settings, signal, note)
  const results = await untilOver(clients.reads, pace, sent.Command?.CommandId, [instance]).catch((error: unknown) => {
    if (signal.aborted) throw error
    // It was taken, and may run still.
    throw new Unanswered(`What became of the command on ${instance} is not known: ${(error as Error).message}`, {
      cause: error,
    })
  })
  const { status, code, out, err } = results.get(instance)!
  if (status === 'Success') return out
  const said = lastLines(err, 300)
  if (code === MOVED)
    throw new Refused(`${instance}: ${said || 'it is no longer as it was shown'}. Make the plan again.`)
  throw new Error(`${instance}: the command ended with ${status}, exit code ${code}${said && `: ${said}`}`)
}

/** The comment of commands that only look. */
const LOOKS = 'keyturn looks'

/** The output of a script that only looks; throws with what the machine said if it failed. */
export function outputOf(machine: string, result: Result | null | undefined): string {
  const { out, fault } = saidOf(result)
  if (fault !== null) throw new Error(`machines: ${machine} ${fault}`)
  return out
}

/** What a script that only looks has said on one machine, or why it has said nothing, to be shown beside the others. */
export function saidOf(result: Result | null | undefined): { out: string; fault: string | null } {
  const said = lastLines(result?.err ?? '', 300)
  if (!result) return { out: '', fault: 'is not reached' }
  if (result.status !== 'Success') return { out: '', fault: `ended with ${result.status}${said && `: ${said}`}` }
  if (result.out.length >= MOST_OUT)
    return { out: '', fault: `said more than the ${MOST_OUT} characters that Systems Manager keeps` }
  return { out: result.out, fault: null }
}

/** One line of the end of what a machine said. */
export const lastLines = (text: string, most: number): string =>
  text
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
    .slice(-most)

/**
 * Finds the command of a step by its comment among those that were sent to the machine since `since` (ISO time). Its end
 * says whether the script ran to its own end, not more; `over` is false while it may still run.
 */
export async function probeCommand(
  clients: Clients,
  order: { instance: string; comment: string; since: string },
  signal: AbortSignal,
): Promise<Finding & { over: boolean }> {
  const { instance, comment, since } = order
  const listed = async () => {
    // In whole seconds, as in the examples of the API reference of CommandFilter.
    const value = since.replace(/\.\d+Z$/, 'Z')
    const query = { InstanceId: instance, Filters: [{ key: 'InvokedAfter' as const, value }] }
    for await (const page of paginateListCommands({ client: clients.reads }, query, { abortSignal: signal }))
      for (const command of page.Commands ?? []) if (command.Comment === comment) return command
    return null
  }
  // A command that was just taken may not be listed yet.
  const found = await settled(listed, (seen) => seen !== null, signal)
  if (!found?.CommandId)
    return { landed: 'no', over: true, detail: `No command to ${instance} has the comment "${comment}".` }
  const seen = await invocation(clients.reads, found.CommandId, instance, signal)
  const status = seen?.StatusDetails ?? found.Status ?? 'unknown'
  const detail = `The command ${found.CommandId} on ${instance}: ${status}`
  const over = OVER.has(seen?.Status ?? '')
  if (status === 'Success') return { landed: 'yes', over, detail }
  const never = status === 'Undeliverable' || status === 'DeliveryTimedOut' || seen?.ResponseCode === MOVED
  return { landed: never ? 'no' : 'cannot_tell', over, detail }
}
