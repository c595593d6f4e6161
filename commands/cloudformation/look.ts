import { type CloudFormationClient, DescribeStacksCommand, type Stack } from '@aws-sdk/client-cloudformation'
import { Refused } from '../../src/domain/command.ts'
import { digest } from '../../src/domain/plan.ts'
import { exchange } from '../http/exchange.ts'
import { maskSecrets } from '../mask.ts'
import type { Service } from './connection.ts'

/** The stack as CloudFormation describes it; Refused if there is none. */
export async function findStack(client: CloudFormationClient, name: string, signal: AbortSignal): Promise<Stack> {
  try {
    const { Stacks = [] } = await client.send(new DescribeStacksCommand({ StackName: name }), { abortSignal: signal })
    const found = Stacks.find((one) => one.StackName === name)
    if (found) return found
  } catch (error) {
    if (!(error instanceof Error && error.name === 'ValidationError' && /does not exist/.test(error.message)))
      throw error
  }
  throw new Refused(`There is no stack "${name}" in this account and region.`)
}

/** The names of every stack of a service, each once. */
export const stackNames = ({ colours, traffic }: Service): string[] =>
  [...new Set([...Object.values(colours), ...(traffic ? [traffic] : [])].map((one) => one.stack))].sort()

/** Every stack of a service, by name. */
export async function stacksOf(
  client: CloudFormationClient,
  service: Service,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Stack>> {
  const found = new Map<string, Stack>()
  for (const name of stackNames(service)) found.set(name, await findStack(client, name, signal))
  return found
}

export const isBusy = (stack: Stack): boolean => stack.StackStatus?.endsWith('_IN_PROGRESS') ?? true

/** The value of a parameter, as the last update set it; Refused if the stack has none of that name. */
export function parameterOf(stack: Stack, parameter: string): string {
  const found = (stack.Parameters ?? []).find((p) => p.ParameterKey === parameter)
  if (!found) throw new Refused(`The stack "${stack.StackName}" has no parameter ${parameter}. Correct the connection.`)
  return found.ParameterValue ?? ''
}

export type Side = Readonly<{ colour: string; stack: string; version: string; capacity: number }>

/** What each colour of a service is set to, by name. */
export function sidesOf(service: Service, stacks: ReadonlyMap<string, Stack>): Side[] {
  return Object.entries(service.colours)
    .map(([colour, { stack: name, version, capacity }]) => {
      const stack = stacks.get(name)!
      const copies = parameterOf(stack, capacity)
      if (!/^\d{1,4}$/.test(copies))
        throw new Refused(`${capacity} of the stack "${name}" is ${JSON.stringify(copies)}, not a number of copies.`)
      return { colour, stack: name, version: parameterOf(stack, version), capacity: Number(copies) }
    })
    .sort((a, b) => a.colour.localeCompare(b.colour))
}

/**
 * The stack as it was shown: another update, or another value of any parameter, is another world. The values themselves may be
 * secrets, and a fingerprint is kept.
 */
export function fingerprintOf(stack: Stack): string {
  const parameters = (stack.Parameters ?? [])
    .map((p) => `${p.ParameterKey}=${p.ResolvedValue ?? p.ParameterValue}`)
    .sort()
  return `${stack.StackId} ${stack.StackStatus} ${updatedOf(stack)} ${digest(parameters)}`
}

export const updatedOf = (stack: Stack): string =>
  (stack.LastUpdatedTime ?? stack.CreationTime)?.toISOString() ?? 'unknown'

/** The colour that the traffic's parameter names; null when it names none, or the service has no such parameter. */
export function trafficOf({ traffic }: Service, stacks: ReadonlyMap<string, Stack>): string | null {
  if (!traffic) return null
  const now = parameterOf(stacks.get(traffic.stack)!, traffic.parameter)
  return Object.entries(traffic.values).find(([, value]) => value === now)?.[0] ?? null
}

/** Whose rights CloudFormation changes the stack's resources with. */
export const rightsOf = (stack: Stack, stackRoleArn: string | undefined): string =>
  stackRoleArn ?? stack.RoleARN ?? 'those of the connection itself'

/**
 * Parameters whose values Systems Manager holds, by their own name and by the one that it knows them by: CloudFormation reads them
 * anew with every update.
 */
export const readAnew = (stack: Stack): { key: string; held: string }[] =>
  (stack.Parameters ?? [])
    .filter((p) => p.ResolvedValue !== undefined)
    .map((p) => ({ key: p.ParameterKey ?? '', held: p.ParameterValue ?? '' }))

const MOST_BYTES = 16_384
const PATIENCE = 5_000

/** What the version endpoint of a colour answers: a commit, or why there is none. Text of the service, cut. */
export async function versionAt(
  service: Service,
  url: string,
  signal: AbortSignal,
): Promise<{ commit: string } | { fault: string }> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)])
  try {
    const answer = await exchange({
      method: 'GET',
      url: new URL(url),
      headers: {},
      signal: limit,
      maxBytes: MOST_BYTES,
      reachable: 'private',
    })
    if (answer.status !== 200) return { fault: `answered ${answer.status}` }
    const commit = commitIn(answer.body, service.commitField)
    return commit === null ? { fault: `answered no "${service.commitField}"` } : { commit }
  } catch (error) {
    signal.throwIfAborted()
    const cause = error instanceof Error ? ((error.cause as { code?: unknown })?.code ?? 'no answer') : 'no answer'
    return { fault: limit.aborted ? `no answer within ${PATIENCE / 1000} s` : String(cause) }
  }
}

function commitIn(body: string, field: string): string | null {
  try {
    const json: unknown = JSON.parse(body)
    if (typeof json !== 'object' || json === null || !Object.hasOwn(json, field)) return null
    return maskSecrets(String((json as Record<string, unknown>)[field])).slice(0, 80)
  } catch {
    return maskSecrets(body.trim()).slice(0, 80) || null
  }
}
