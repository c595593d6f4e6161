import { defineFacts } from '../../harness/facts.ts'

const SDK = '@aws-sdk/client-dynamodb 3.1162.0'
const SCALING = '@aws-sdk/client-application-auto-scaling 3.1141.0'
const WATCH = '@aws-sdk/client-cloudwatch 3.1162.0'
const GUIDE = 'https://docs.aws.amazon.com/amazondynamodb/latest/developerguide'
const KEYS = `${GUIDE}/contributorinsights_HowItWorks.html`
const METRICS = `${GUIDE}/metrics-dimensions.html`
const LOCAL = 'DynamoDB Local 1.25.1 of npm amplify-dynamodb-simulator 2.9.30, in test/commands/dynamodb/local.test.ts'
const read = '2026-11-28'

export const facts = defineFacts({
  of: 'Amazon DynamoDB, Application Auto Scaling and what CloudWatch measures of tables',
  enforcedBy: [
    'test/commands/dynamodb/table-server.ts',
    'test/commands/dynamodb/scaling-server.ts',
    'test/commands/dynamodb/cloudwatch-server.ts',
  ],
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
      says: 'Consumed units and throttled events of a table are without those of its indexes, which have the dimension GlobalSecondaryIndexName beside TableName.',
      source: METRICS,
      read,
    },
    {
      says: 'ThrottledRequests has the dimensions TableName and Operation: there are no figures of a table alone.',
      source: METRICS,
      read,
    },
    {
      says: 'Consumed units are summed up by minutes: the sum by the period in seconds is what compares with provisioned units.',
      source: METRICS,
      read,
    },
    {
      says: 'GetMetricData takes 500 queries and gives 100,800 points a page; StartTime is inclusive and rounded down to the minute, EndTime exclusive.',
      source: `${WATCH}, models_0.d.ts, GetMetricDataInput`,
      read,
    },
    {
      says: 'A metric is Complete, PartialData, InternalError or Forbidden; PartialData goes on by NextToken. There are as many values as timestamps.',
      source: `${WATCH}, models_0.d.ts, MetricDataResult`,
      read,
    },
    {
      says: 'Rules of Contributor Insights are named DynamoDBContributorInsights-PKC, -PKT, -SKC and -SKT by resource and time; T are the throttled keys.',
      source: KEYS,
      read,
    },
    {
      says: 'Of these rules GetInsightRuleReport names 25 keys at most, and only Maximum and MaxContributorValue mean something.',
      source: KEYS,
      read,
    },
    {
      says: 'Writes that an index holds back are not counted as throttled keys.',
      source: KEYS,
      read,
    },
    {
      says: 'Requests and answers are of the members, types and enums of the SDK.',
      source: `${SDK}, ${SCALING} and ${WATCH}, their schemas`,
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
      says: 'A minute without consumption has no figure, or 0.',
      why: 'No page was found that says which; figures that are not there are shown as that, and never as 0.',
    },
    {
      says: 'The names of the keys in KeyLabels of a report, and that OrderBy Maximum orders by the highest minute.',
      why: 'There is no account to try it on. Without labels the keys alone are shown.',
    },
    {
      says: 'cloudwatch:GetInsightRuleReport may be granted for insight-rule/DynamoDBContributorInsights-* alone.',
      why: 'The table of the service authorization reference could not be opened here. If it is refused, the card says which right is missing.',
    },
    {
      says: 'Auto scaling puts a capacity above its maximum back at its next alarm.',
      why: 'No account to try it on. The maximum is raised with the capacity in any case.',
    },
  ],
})
