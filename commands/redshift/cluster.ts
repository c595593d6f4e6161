import type { Cluster, RedshiftClient } from '@aws-sdk/client-redshift'
import { ClusterNotFoundFault, DescribeClustersCommand, paginateDescribeEvents } from '@aws-sdk/client-redshift'
import { Refused } from '../../src/domain/command.ts'
import { clean } from '../postgres/text.ts'

/** The cluster as AWS describes it; Refused if there is none of that name. */
export async function findCluster(client: RedshiftClient, name: string, signal: AbortSignal): Promise<Cluster> {
  try {
    const { Clusters = [] } = await client.send(new DescribeClustersCommand({ ClusterIdentifier: name }), {
      abortSignal: signal,
    })
    const found = Clusters.find((one) => one.ClusterIdentifier === name)
    if (found) return found
  } catch (error) {
    if (!(error instanceof ClusterNotFoundFault)) throw error
  }
  throw new Refused(`There is no Redshift cluster ${name} in this account and region.`)
}

/** Why a cluster in this state is not rebooted, and what to do; null if it may be. */
export function notNow(name: string, status: string | undefined): string | null {
  // "available, prep-for-resize" and "available, resize-cleanup" are states of their own: ClusterStatus of the API reference.
  if (status === 'available') return null
  if (status === 'paused') return `The cluster ${name} is paused: resume it first; a reboot is no use.`
  if (status === 'resuming' || status === 'rebooting')
    return `The cluster ${name} is ${status}: it comes up by itself. Wait until it is available.`
  return `The cluster ${name} is ${status ?? 'in a state that AWS does not name'}; only an available one is rebooted.`
}

/**
 * What AWS wrote about a cluster after `since`, the latest first: text for people, which nothing is decided by. AWS keeps
 * events for 14 days.
 */
export async function eventsSince(
  client: RedshiftClient,
  name: string,
  since: Date,
  signal: AbortSignal,
): Promise<string[]> {
  const pages = paginateDescribeEvents(
    { client },
    { SourceIdentifier: name, SourceType: 'cluster', StartTime: since },
    { abortSignal: signal },
  )
  const found: { at: Date; text: string }[] = []
  for await (const { Events = [] } of pages)
    for (const { Message = '', Date: at } of Events) if (at && at >= since) found.push({ at, text: Message })
  return found
    .sort((a, b) => b.at.getTime() - a.at.getTime())
    .slice(0, 3)
    .map(({ at, text }) => `${at.toISOString()} ${clean(text, 200)}`)
}
