import { defineFacts } from '../../harness/facts.ts'

const SDK = '@aws-sdk/client-dynamodb 3.1162.0'
const SCALING = '@aws-sdk/client-application-auto-scaling 3.1141.0'
const LOCAL = 'DynamoDB Local 1.25.1 of npm amplify-dynamodb-simulator 2.9.30, in test/commands/dynamodb/local.test.ts'
const read = '2026-11-28'

export const facts = defineFacts({
  of: 'Amazon DynamoDB and Application Auto Scaling',
  enforcedBy: ['test/commands/dynamodb/table-server.ts', 'test/commands/dynamodb/scaling-server.ts'],
  facts: [
    { says: 'One UpdateTable may raise a table and its indexes together.', source: LOCAL, read },
    {
      says: 'A table that is UPDATING refuses UpdateTable with ResourceInUseException, and shows its old units until it is ACTIVE.',
      source: `${SDK}, errors.d.ts, ResourceInUseException; UpdateTableCommand.d.ts, its text and its example`,
      read,
    },
    {
      says: 'A table on demand shows 0 units of each kind.',
      source: `${SDK}, models_0.d.ts, ProvisionedThroughputDescription.ReadCapacityUnits`,
      read,
    },
    {
      says: 'A table on demand may have a maximum of request units a second; -1 or none is no maximum.',
      source: `${SDK}, models_0.d.ts, OnDemandThroughput`,
      read,
    },
    {
      says: 'LimitExceededException is a limit of table operations that run at once (500 in an account) or a quota, as of 2,500 tables; not a rate.',
      source: `${SDK}, errors.d.ts, LimitExceededException`,
      read,
    },
    {
      says: 'DescribeTable counts the decreases of the UTC day.',
      source: `${SDK}, models_0.d.ts, ProvisionedThroughputDescription.NumberOfDecreasesToday`,
      read,
    },
    {
      says: 'Scalable targets come in pages, have a minimum, a maximum and a state of suspension; at most 50 resources are asked for at once.',
      source: `${SCALING}, models_0.d.ts, DescribeScalableTargetsRequest and ScalableTarget`,
      read,
    },
    {
      says: 'RegisterScalableTarget sets minimum and maximum of a target that exists, and leaves what it is not told.',
      source: `${SCALING}, RegisterScalableTargetCommand.d.ts`,
      read,
    },
    {
      says: 'Requests and answers are of the members, types and enums of the SDK.',
      source: `${SDK} and ${SCALING}, their schemas`,
      read,
    },
  ],
  unchecked: [
    {
      says: 'The service itself takes a table and its indexes in one UpdateTable.',
      why: 'Its page lists them as operations of which one is taken at once; DynamoDB Local takes both. No account to try it on.',
    },
    {
      says: 'A switch to on demand and its maximum go into one UpdateTable.',
      why: 'The model allows it; DynamoDB Local 1.25 knows no maximum, and there is no account to try it on. Without the maximum the run fails and says so.',
    },
    {
      says: 'Four decreases at any time of a day, then one for each hour without one; four switches to on demand in 24 hours.',
      why: 'From the quotas page of the developer guide, as it is known; it could not be opened here. Nothing but a sentence rests on it.',
    },
    {
      says: 'Auto scaling puts a capacity above its maximum back at its next alarm.',
      why: 'No account to try it on. The maximum is raised with the capacity in any case.',
    },
  ],
})
