import type { Cluster, RedshiftClient } from '@aws-sdk/client-redshift'
import { ClusterNotFoundFault, DescribeClustersCommand, paginateDescribeEvents } from '@aws-sdk/client-redshift'
import { Refused } from '../../src/domain/command.ts'

/** The cluster as AWS describes it; Refused if there is none of that name. */
export async function findCluster(client: RedshiftClient, name: string, signal: AbortSignal): Promise<Cluster> {
  try {
    const { Clusters = [] } = await client.send(new DescribeClustersCommand({ ClusterIdentifier: name }), {
      abortSignal: signal,
    })
    if (Clusters[0]) return Clusters[0]
  } catch (error) {
    if (!(error instanceof ClusterNotFoundFault)) throw error
  }
  throw new Refused(`There is no Redshift cluster ${name} in this account and region.`)
}

/** When the cluster was last said to have been rebooted, after `since`; null if it was not. AWS keeps events for 14 days. */
export async function rebootedSince(
  client: RedshiftClient,
  name: string,
  since: Date,
  signal: AbortSignal,
): Promise<string | null> {
  const pages = paginateDescribeEvents(
    { client },
    { SourceIdentifier: name, SourceType: 'cluster', StartTime: since },
    { abortSignal: signal },
  )
  let last: Date | null = null
  for await (const { Events = [] } of pages)
    for (const { Message = '', Date: at } of Events)
      if (at && at >= since && /\breboot(ed)?\b/i.test(Message) && (!last || at > last)) last = at
  return last?.toISOString() ?? null
}
