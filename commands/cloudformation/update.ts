import {
  type CloudFormationClient,
  paginateDescribeStackEvents,
  type Stack,
  type StackEvent,
  UpdateStackCommand,
} from '@aws-sdk/client-cloudformation'
import type { Finding } from '../../src/domain/command.ts'
import { Refused } from '../../src/domain/command.ts'
import { answered } from '../aws/answered.ts'
import { outlive } from '../aws/outlive.ts'
import { maskSecrets } from '../mask.ts'
import { rest } from '../settle.ts'
import { findStack, isBusy, parameterOf } from './look.ts'

/** Some parameters of one stack with their new values; all others, and the template, stay as they are. */
export type Update = Readonly<{
  stack: string
  set: Readonly<Record<string, string>>
  /** CloudFormation takes an update once for each token, and writes it on the events of that update. */
  token: string
  /** When it was asked for, ISO: events from long before are not this update's. */
  asked: string
  /** The service role that it goes with; null for the stack's own. */
  role: string | null
}>

/** Sends the update. An update that is under way, or one of the same token, is refused by CloudFormation itself. */
export async function sendUpdate(
  client: CloudFormationClient,
  stack: Stack,
  { set, token, role }: Update,
  signal: AbortSignal,
): Promise<void> {
  const Parameters = (stack.Parameters ?? []).map(({ ParameterKey = '' }) =>
    Object.hasOwn(set, ParameterKey)
      ? { ParameterKey, ParameterValue: set[ParameterKey] }
      : { ParameterKey, UsePreviousValue: true },
  )
  const input = {
    StackName: stack.StackId,
    UsePreviousTemplate: true,
    Parameters,
    // What the template may create has to be acknowledged again with each update.
    Capabilities: stack.Capabilities,
    ClientRequestToken: token,
    ...(role && { RoleARN: role }),
  }
  try {
    const update = () => client.send(new UpdateStackCommand(input), { abortSignal: signal })
    await answered(`UpdateStack ${stack.StackName}`, signal, update)
  } catch (error) {
    if (error instanceof Error && error.name === 'ValidationError' && /_IN_PROGRESS state/.test(error.message))
      throw new Refused(`A deploy of the stack "${stack.StackName}" has begun meanwhile. Nothing was changed.`)
    throw error
  }
}

/** Whether the stack holds the values that the update sets. */
export const holds = (stack: Stack, { set }: Pick<Update, 'set'>): boolean =>
  Object.entries(set).every(([name, value]) => parameterOf(stack, name) === value)

/** How often a stack may look untouched after CloudFormation has taken its update. */
const STALE_LOOKS = 5

/** Waits until nothing is going on in the stack any more, and throws unless it is then as the update wants it. */
export async function untilUpdated(
  client: CloudFormationClient,
  update: Update,
  look: { everySeconds: number; note: (status: string) => void },
  signal: AbortSignal,
): Promise<string> {
  const pace = { signal, pauseMs: look.everySeconds * 1000, onPause: look.note }
  for (let stale = 0; ; ) {
    const stack = await outlive(() => findStack(client, update.stack, signal), pace)
    if (!isBusy(stack)) {
      if (stack.StackStatus === 'UPDATE_COMPLETE' && holds(stack, update)) return stack.StackStatus
      const { events } = await outlive(() => eventsOf(client, update, signal), pace)
      const over = events.some((event) => /ROLLBACK|FAILED/.test(event.ResourceStatus ?? ''))
      if (over || ++stale > STALE_LOOKS)
        throw new Error(`"${update.stack}" is ${stack.StackStatus} without the new values: ${whyNot(events)}`)
    }
    look.note(`${update.stack} is ${stack.StackStatus}`)
    await rest(look.everySeconds, signal)
  }
}

/** The first thing that failed in an update, in CloudFormation's words. */
function whyNot(events: readonly StackEvent[]): string {
  const first = events.findLast((event) => event.ResourceStatus?.endsWith('_FAILED'))
  return first
    ? `${first.LogicalResourceId}: ${maskSecrets(first.ResourceStatusReason ?? '').slice(0, 300)}`
    : 'no reason given'
}

const PAGES = 50
/** Clocks that do not agree. */
const SLACK_MS = 5 * 60_000

/** The events of this update, newest first, and whether all that may be its own were looked at. */
async function eventsOf(
  client: CloudFormationClient,
  update: Update,
  signal: AbortSignal,
): Promise<{ events: StackEvent[]; whole: boolean }> {
  const events: StackEvent[] = []
  const since = Date.parse(update.asked) - SLACK_MS
  let pages = 0
  const all = paginateDescribeStackEvents({ client }, { StackName: update.stack }, { abortSignal: signal })
  for await (const { StackEvents = [] } of all) {
    events.push(...StackEvents.filter((event) => event.ClientRequestToken === update.token))
    if (StackEvents.some((event) => (event.Timestamp?.getTime() ?? since) < since)) break
    if (++pages >= PAGES) return { events, whole: false }
  }
  return { events, whole: true }
}

/** Whether an update has reached CloudFormation: its token is on an event, or the stack holds its values. */
export async function probeUpdate(client: CloudFormationClient, update: Update, signal: AbortSignal): Promise<Finding> {
  const { events, whole } = await eventsOf(client, update, signal)
  if (events.length > 0)
    return { landed: 'yes', detail: `An event of "${update.stack}" has the token ${update.token}.` }
  const stack = await findStack(client, update.stack, signal)
  if (isBusy(stack))
    return { landed: 'cannot_tell', detail: `"${update.stack}" is ${stack.StackStatus}, and no event has the token.` }
  const done = holds(stack, update)
  if (!done && !whole)
    return { landed: 'cannot_tell', detail: `"${update.stack}" has more events than were looked through.` }
  return { landed: done ? 'yes' : 'no', detail: `"${update.stack}" ${done ? 'has' : 'does not have'} the new values.` }
}
