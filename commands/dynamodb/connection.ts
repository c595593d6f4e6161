import { ApplicationAutoScalingClient } from '@aws-sdk/client-application-auto-scaling'
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch'
import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { z } from 'zod'
import { defineConnection } from '../../src/domain/command.ts'
import { awsClient, awsSettings } from '../aws/client.ts'

const Settings = z.strictObject({
  ...awsSettings,
  /** Like `endpoint`, for Application Auto Scaling. With `endpoint` alone nothing is known to scale these tables. */
  scalingEndpoint: z.url().optional(),
  /** Like `endpoint`, for CloudWatch. With `endpoint` alone CloudWatch is not asked. */
  cloudwatchEndpoint: z.url().optional(),
  /** The tables that may be looked at and changed, with the highest capacity that any approval can set. */
  tables: z.record(
    z.string().regex(/^[A-Za-z0-9_.-]{3,255}$/),
    z.strictObject({
      maxRead: z.number().int().min(1),
      maxWrite: z.number().int().min(1),
      /** Whether an approval may bill it on demand, with the ceilings as its maximum. */
      onDemand: z.boolean().default(false),
    }),
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

/** `scaling` and `cloudwatch` are null where there is none. The first two set absolute values: safe to send again. */
export type DynamoClients = Readonly<{
  tables: DynamoDBClient
  scaling: ApplicationAutoScalingClient | null
  /** It is only asked. */
  cloudwatch: CloudWatchClient | null
}>

/** One DynamoDB endpoint with its tables and their ceilings, what scales them, and who measures them. */
export const dynamodb = defineConnection<Settings, DynamoClients>({
  kind: 'dynamodb',
  settings: Settings,
  open: (settings, secret, rights) => {
    const { scalingEndpoint, cloudwatchEndpoint, ...own } = settings
    const isAws = own.endpoint === undefined
    const at = (endpoint: string | undefined) => ({ ...own, ...(endpoint && { endpoint }) })
    return {
      tables: awsClient(DynamoDBClient, own, secret, 3, { rights }),
      scaling:
        scalingEndpoint !== undefined || isAws
          ? awsClient(ApplicationAutoScalingClient, at(scalingEndpoint), secret, 3, { rights })
          : null,
      cloudwatch:
        cloudwatchEndpoint !== undefined || isAws
          ? awsClient(CloudWatchClient, at(cloudwatchEndpoint), secret, 3, { rights })
          : null,
    }
  },
  close: ({ tables, scaling, cloudwatch }) => {
    tables.destroy()
    scaling?.destroy()
    cloudwatch?.destroy()
  },
})
