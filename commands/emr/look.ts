import type { Cluster, EMRClient, StepSummary } from '@aws-sdk/client-emr'
import {
  DescribeClusterCommand,
  InvalidRequestException,
  ListStepsCommand,
  paginateListSteps,
} from '@aws-sdk/client-emr'
import { z } from 'zod'
import { Refused } from '../../src/domain/command.ts'
import type { Settings } from './connection.ts'

/** An EMR cluster id, as in `j-3H6EATEWWRWS`. */
export const ClusterId = z
  .string()
  .regex(/^j-[A-Z0-9]{1,60}$/, 'a cluster id such as j-3H6EATEWWRWS')
  .describe('EMR cluster id')

/** The cluster as EMR describes it; Refused if there is none. */
export async function findCluster(client: EMRClient, id: string, signal: AbortSignal): Promise<Cluster> {
  try {
    const { Cluster: found } = await client.send(new DescribeClusterCommand({ ClusterId: id }), { abortSignal: signal })
    if (found) return found
  } catch (error) {
    if (!(error instanceof InvalidRequestException)) throw error
  }
  throw new Refused(`There is no EMR cluster ${id} in this account and region.`)
}

/** The cluster if it runs and may be changed; Refused otherwise. */
export async function changeable(
  client: EMRClient,
  id: string,
  settings: Settings,
  signal: AbortSignal,
): Promise<Cluster> {
  const cluster = await findCluster(client, id, signal)
  if (!cluster.Name)
    throw new Refused(
      `EMR does not say what the cluster ${id} is called, so nobody can tell whether it may be changed.`,
    )
  if (!settings.clusters.includes(cluster.Name))
    throw new Refused(`The cluster "${cluster.Name}" is not one that may be changed. Name it under "clusters".`)
  const state = stateOf(cluster)
  if (state !== 'RUNNING' && state !== 'WAITING')
    throw new Refused(`The cluster "${cluster.Name}" is ${state}; only a running or waiting one can be changed.`)
  return cluster
}

/** Every step of these states, oldest first. */
export async function listSteps(
  client: EMRClient,
  id: string,
  states: readonly ('PENDING' | 'RUNNING' | 'CANCEL_PENDING')[],
  signal: AbortSignal,
): Promise<StepSummary[]> {
  const steps: StepSummary[] = []
  const pages = paginateListSteps({ client }, { ClusterId: id, StepStates: [...states] }, { abortSignal: signal })
  for await (const page of pages) steps.push(...(page.Steps ?? []))
  return steps.sort((a, b) => createdOf(a).localeCompare(createdOf(b)) || (a.Id ?? '').localeCompare(b.Id ?? ''))
}

/** ListSteps takes at most ten ids: API reference, StepIds. */
const IDS_AT_ONCE = 10

/** The states of these steps, in their order; `gone` for one that EMR does not list. */
export async function statesOf(
  client: EMRClient,
  id: string,
  steps: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  const states = new Map<string, string>()
  for (let from = 0; from < steps.length; from += IDS_AT_ONCE) {
    const StepIds = steps.slice(from, from + IDS_AT_ONCE)
    const { Steps = [] } = await client.send(new ListStepsCommand({ ClusterId: id, StepIds }), { abortSignal: signal })
    for (const step of Steps) states.set(step.Id ?? '', stateOf(step))
  }
  return steps.map((step) => states.get(step) ?? 'gone')
}

export const stateOf = (thing: Readonly<{ Status?: { State?: string | undefined } | undefined }>): string =>
  thing.Status?.State ?? 'unknown'
export const createdOf = (step: StepSummary): string =>
  step.Status?.Timeline?.CreationDateTime?.toISOString() ?? 'unknown'
