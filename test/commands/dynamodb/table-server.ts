import { Fault, type Json, startJson } from '../emr/json-server.ts'

type Units = { ReadCapacityUnits: number; WriteCapacityUnits: number }

/**
 * DynamoDB with one table `orders`, for what DynamoDB Local has not: a maximum on demand, a table that stays UPDATING for some
 * looks, quotas, Contributor Insights. Facts: facts.ts beside it.
 */
export async function startTable() {
  const state = {
    units: { ReadCapacityUnits: 10, WriteCapacityUnits: 20 } as Units,
    onDemand: false,
    max: undefined as Json | undefined,
    /** Looks that still show the table UPDATING and as it was. */
    busyFor: 0,
    next: null as (() => void) | null,
    quota: '',
    insights: 'DISABLED',
    /** The rules of Contributor Insights. */
    rules: ['DynamoDBContributorInsights-PKC-orders-1'],
    /** Global secondary indexes of 5 units each. */
    indexes: [] as string[],
    /** Errors that the next calls of DescribeTable end with. */
    faults: [] as Fault[],
    hide: false,
  }
  const need = (input: Json) => {
    if (input.TableName !== 'orders') throw new Fault('ResourceNotFoundException', `Requested resource not found`)
  }
  const show = () => ({
    TableName: 'orders',
    TableId: '11111111-2222-4333-8444-555555555555',
    TableArn: 'arn:aws:dynamodb:us-east-1:123456789012:table/orders',
    TableStatus: state.busyFor > 0 ? 'UPDATING' : 'ACTIVE',
    ...(!state.hide && {
      ProvisionedThroughput: {
        NumberOfDecreasesToday: 3,
        ...(state.onDemand ? { ReadCapacityUnits: 0, WriteCapacityUnits: 0 } : state.units),
      },
    }),
    ...(state.indexes.length > 0 && {
      GlobalSecondaryIndexes: state.indexes.map((IndexName) => ({
        ...{ IndexName, IndexStatus: 'ACTIVE' },
        ProvisionedThroughput: { ReadCapacityUnits: 5, WriteCapacityUnits: 5 },
      })),
    }),
    ...(state.onDemand && {
      BillingModeSummary: { BillingMode: 'PAY_PER_REQUEST', LastUpdateToPayPerRequestDateTime: 1_700_000_000 },
      ...(state.max && { OnDemandThroughput: state.max }),
    }),
  })
  const server = await startJson('dynamodb', 'DynamoDB_20120810', {
    DescribeTable(input) {
      need(input)
      const fault = state.faults.shift()
      if (fault) throw fault
      if (state.busyFor > 0) state.busyFor -= 1
      if (state.busyFor === 0 && state.next) {
        state.next()
        state.next = null
      }
      return { Table: show() }
    },
    UpdateTable(input) {
      need(input)
      if (state.busyFor > 0)
        throw new Fault('ResourceInUseException', 'Attempt to change a resource which is still in use')
      if (state.quota) throw new Fault('LimitExceededException', state.quota)
      const units = input.ProvisionedThroughput as Units | undefined
      const goes = input.BillingMode === 'PAY_PER_REQUEST'
      if (units && (goes || state.onDemand))
        throw new Fault(
          'ValidationException',
          'Neither ReadCapacityUnits nor WriteCapacityUnits can be specified on demand',
        )
      if (input.OnDemandThroughput && !goes && !state.onDemand)
        throw new Fault('ValidationException', 'OnDemandThroughput needs on-demand billing')
      if (
        units &&
        units.WriteCapacityUnits === state.units.WriteCapacityUnits &&
        units.ReadCapacityUnits === state.units.ReadCapacityUnits
      )
        throw new Fault('ValidationException', 'The provisioned throughput for the table will not change.')
      state.busyFor = 3
      state.next = () => {
        if (units) state.units = units
        if (goes) state.onDemand = true
        if (input.OnDemandThroughput) state.max = input.OnDemandThroughput as Json
      }
      return { TableDescription: show() }
    },
    DescribeContributorInsights(input) {
      need(input)
      if (state.insights === '') throw new Fault('AccessDeniedException', 'not authorized')
      return {
        TableName: 'orders',
        ContributorInsightsStatus: state.insights,
        ...(state.insights === 'ENABLED' && {
          ContributorInsightsRuleList: state.rules,
        }),
      }
    },
  })
  return { ...server, state }
}
