import type { Cluster, EMRClient, InstanceGroup, StepSummary } from '@aws-sdk/client-emr'
import {
  DescribeClusterCommand,
  InvalidRequestException,
  ListInstanceGroupsCommand,
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
  if (!settings.clusters.includes(cluster.Name ?? ''))
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

/** Every instance group of the cluster, by id. */
export async function listGroups(client: EMRClient, id: string, signal: AbortSignal): Promise<InstanceGroup[]> {
  const groups: InstanceGroup[] = []
  let marker: string | undefined
  do {
    const page = await client.send(new ListInstanceGroupsCommand({ ClusterId: id, Marker: marker }), {
      abortSignal: signal,
    })
    groups.push(...(page.InstanceGroups ?? []))
    marker = page.Marker
  } while (marker)
  return groups.sort((a, b) => (a.Id ?? '').localeCompare(b.Id ?? ''))
}

export const stateOf = (thing: Readonly<{ Status?: { State?: string | undefined } | undefined }>): string =>
  thing.Status?.State ?? 'unknown'
export const createdOf = (step: StepSummary): string =>
  step.Status?.Timeline?.CreationDateTime?.toISOString() ?? 'unknown'
