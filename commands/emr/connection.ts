import { EMRClient } from '@aws-sdk/client-emr'
import { SSMClient } from '@aws-sdk/client-ssm'
import { z } from 'zod'
import { defineConnection } from '../../src/domain/command.ts'
import { awsClient, awsSettings } from '../aws/client.ts'

const Settings = z.strictObject({
  ...awsSettings,
  /** Names of the clusters that may be changed; the others can only be read. */
  clusters: z.array(z.string().min(1)).default([]),
  /** No instance group or fleet is made larger than this: machines of a group, units of a fleet. */
  maxInstances: z.number().int().positive().default(20),
  /** May scripts run on the primary node by Systems Manager, to see YARN's applications and to kill one? */
  primaryNode: z.boolean().default(false),
  /** Like `endpoint`, for Systems Manager. */
  ssmEndpoint: z.url().optional(),
  /** How often something is looked at that takes EMR a while. */
  pollSeconds: z.number().positive().max(300).default(10),
  /** How long EMR may take to end steps that it was asked to cancel. */
  cancelMinutes: z.number().positive().max(120).default(15),
  /** How long one script may run on the primary node. */
  commandSeconds: z.number().int().min(30).max(3_600).default(120),
})
export type Settings = z.output<typeof Settings>

/** A change is sent once: its probe says whether it landed. */
export type EmrClients = Readonly<{
  reads: EMRClient
  writes: EMRClient
  /** To the primary nodes, as commands/machines/send.ts takes it. */
  primary: Readonly<{ reads: SSMClient; writes: SSMClient }>
}>

/** The EMR clusters of one AWS account and region. */
export const emr = defineConnection<Settings, EmrClients>({
  kind: 'emr',
  settings: Settings,
  open: ({ ssmEndpoint, ...settings }, secret, rights) => {
    const ssm = { ...settings, ...(ssmEndpoint && { endpoint: ssmEndpoint }) }
    return {
      reads: awsClient(EMRClient, settings, secret, 3, { rights }),
      writes: awsClient(EMRClient, settings, secret, 1, { rights }),
      primary: {
        reads: awsClient(SSMClient, ssm, secret, 3, { rights }),
        writes: awsClient(SSMClient, ssm, secret, 1, { rights }),
      },
    }
  },
  close: ({ reads, writes, primary }) => {
    for (const client of [reads, writes, primary.reads, primary.writes]) client.destroy()
  },
})
