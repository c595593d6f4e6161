import { once } from 'node:events'
import type { Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import type { CreateTableCommandInput } from '@aws-sdk/client-dynamodb'
import {
  CreateTableCommand,
  DescribeTableCommand,
  DynamoDBClient,
  UpdateTableCommand,
  waitUntilTableExists,
} from '@aws-sdk/client-dynamodb'

const dynalite = createRequire(import.meta.url)('dynalite') as (options: Record<string, unknown>) => Server

/** A real DynamoDB server in this process whose tables stay in UPDATING for a while, and short words to make tables. */
export async function startDynamo(updateTableMs: number) {
  const server = dynalite({ createTableMs: 0, updateTableMs })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = new DynamoDBClient({
    region: 'us-east-1',
    endpoint,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  })
  return {
    endpoint,
    async create(name: string, read: number, write: number, more: Partial<CreateTableCommandInput> = {}) {
      await client.send(
        new CreateTableCommand({
          TableName: name,
          AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
          KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
          ...(more.BillingMode !== 'PAY_PER_REQUEST' && {
            ProvisionedThroughput: { ReadCapacityUnits: read, WriteCapacityUnits: write },
          }),
          ...more,
        }),
      )
      await waitUntilTableExists({ client, maxWaitTime: 10, minDelay: 0.02, maxDelay: 0.05 }, { TableName: name })
    },
    set: (name: string, read: number, write: number) =>
      client.send(
        new UpdateTableCommand({
          TableName: name,
          ProvisionedThroughput: { ReadCapacityUnits: read, WriteCapacityUnits: write },
        }),
      ),
    async describe(name: string) {
      return (await client.send(new DescribeTableCommand({ TableName: name }))).Table
    },
    async close() {
      client.destroy()
      await new Promise((done) => server.close(done))
    },
  }
}
