import { defineFacts } from '../../harness/facts.ts'

const MODEL = '@aws-sdk/client-sts 3.1177.0, models_0.d.ts, AssumeRoleRequest'
const read = '2026-11-28'

export const facts = defineFacts({
  of: 'AWS STS, and the errors that all AWS services have',
  enforcedBy: ['test/commands/aws/sts-server.ts', 'test/commands/aws/client.test.ts'],
  facts: [
    { says: 'A session lasts 900 seconds at least, 43,200 at most, 3,600 by default.', source: MODEL, read },
    {
      says: 'A session policy has at most 2,048 characters, each from U+0020 to U+00FF.',
      source: MODEL,
      read,
    },
    {
      says: 'What a session may do is what both the role and the session policy allow.',
      source: MODEL,
      read,
    },
    {
      says: 'A role session has a name of 2 to 64 characters out of letters, digits and _+=,.@-.',
      source: `${MODEL}: the pattern stands in the API reference, https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html`,
      read,
    },
    {
      says: 'The codes of a throttled request are ThrottlingException, RequestLimitExceeded, SlowDown, TooManyRequestsException and others.',
      source: '@smithy/core in node_modules, service-error-classification/constants.js, THROTTLING_ERROR_CODES',
      read,
    },
    {
      says: 'A request that was throttled counts as safe to send again, whatever it changes.',
      source: '@smithy/core in node_modules, util-retry/StandardRetryStrategy.js',
      read,
    },
  ],
  unchecked: [
    {
      says: 'LimitExceededException means a quota and not a rate, so it is not sent again.',
      why: 'The SDK counts it as throttling; its services (DynamoDB UpdateTable) document a quota. No account to try it on.',
    },
    {
      says: 'AccessDenied of STS names sts:AssumeRole and the role.',
      why: 'The text is not documented; without it the sentence names the right all the same.',
    },
  ],
})
