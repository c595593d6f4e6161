import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { z } from 'zod'
import { defineConnection } from '../../src/domain/command.ts'
import { awsClient, awsSettings } from '../aws/client.ts'

const Settings = z.strictObject({
  ...awsSettings,
  /** The tables that may be looked at and changed, with the highest capacity that any approval can set. */
  tables: z.record(
    z.string().regex(/^[A-Za-z0-9_.-]{3,255}$/),
    z.strictObject({ maxRead: z.number().int().min(1), maxWrite: z.number().int().min(1) }),
  ),
  /** Dollars. Defaults: list price of the Standard table class in us-east-1, https://aws.amazon.com/dynamodb/pricing/provisioned/ */
  pricePerReadUnitHour: z.number().nonnegative().default(0.00013),
  pricePerWriteUnitHour: z.number().nonnegative().default(0.00065),
  /** Named beside every cost that is shown. */
  priceSource: z.string().default('AWS list price, Standard class, us-east-1'),
  /** How often a change is looked at until the table is ACTIVE again. */
  pollSeconds: z.number().positive().max(60).default(2),
})
export type Settings = z.output<typeof Settings>

/** One DynamoDB endpoint with its tables and their ceilings. Capacities are set as absolute values: safe to send again. */
export const dynamodb = defineConnection<Settings, DynamoDBClient>({
  kind: 'dynamodb',
  settings: Settings,
  open: (settings, secret) => awsClient(DynamoDBClient, settings, secret, 3),
  close: (client) => client.destroy(),
})
