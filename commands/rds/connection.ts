import { RDSClient } from '@aws-sdk/client-rds'
import { z } from 'zod'
import { defineConnection } from '../../src/domain/command.ts'
import { awsClient, awsSettings } from '../aws/client.ts'

const Settings = z.strictObject({
  ...awsSettings,
  /** Every export of this connection goes there, written with this role and encrypted with this key; left out, none starts. */
  bucket: z.string().min(3).optional(),
  /** RDS takes no prefix with a colon. */
  s3Prefix: z
    .string()
    .regex(/^[^:\\`" ]*$/, 'no colon, backslash, backtick, quote or space')
    .default(''),
  iamRoleArn: z.string().startsWith('arn:').optional(),
  kmsKeyId: z.string().min(1).optional(),
  /** The instances that may get another class, and the classes that they may get. */
  resize: z
    .strictObject({
      instances: z.array(z.string().min(1)).default([]),
      classes: z.array(z.string().regex(/^db\./, 'a class such as db.r6g.large')).default([]),
    })
    .prefault({}),
  /** How often something is looked at that takes RDS minutes. */
  pollSeconds: z.number().positive().max(300).default(15),
})
export type Settings = z.output<typeof Settings>

/** Requests that change something are sent once: StartExportTask has no token that would make a second one harmless. */
export type RdsClients = Readonly<{ reads: RDSClient; writes: RDSClient }>

/** One AWS account and region, and where its exports go. */
export const rds = defineConnection<Settings, RdsClients>({
  kind: 'rds',
  settings: Settings,
  open: (settings, secret, rights) => ({
    reads: awsClient(RDSClient, settings, secret, 3, { rights }),
    writes: awsClient(RDSClient, settings, secret, 1, { rights }),
  }),
  close: ({ reads, writes }) => {
    reads.destroy()
    writes.destroy()
  },
})
