import { EMRClient } from '@aws-sdk/client-emr'
import { z } from 'zod'
import { defineConnection } from '../../src/domain/command.ts'
import { awsClient, awsSettings } from '../aws/client.ts'

const Settings = z.strictObject({
  ...awsSettings,
  /** Names of the clusters that may be changed; the others can only be read. */
  clusters: z.array(z.string().min(1)).default([]),
  /** No instance group is made larger than this. */
  maxInstances: z.number().int().positive().default(20),
})
export type Settings = z.output<typeof Settings>

/** A change is sent once: its probe says whether it landed. */
export type EmrClients = Readonly<{ reads: EMRClient; writes: EMRClient }>

/** The EMR clusters of one AWS account and region. */
export const emr = defineConnection<Settings, EmrClients>({
  kind: 'emr',
  settings: Settings,
  open: (settings, secret) => ({
    reads: awsClient(EMRClient, settings, secret, 3),
    writes: awsClient(EMRClient, settings, secret, 1),
  }),
  close: ({ reads, writes }) => {
    reads.destroy()
    writes.destroy()
  },
})
