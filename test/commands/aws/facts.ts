import { defineFacts } from '../../harness/facts.ts'

const MODEL = '@aws-sdk/client-sts 3.1177.0, models_0.d.ts, AssumeRoleRequest'
const read = '2026-11-28'

export const facts = defineFacts({
  of: 'AWS STS, and the errors that all AWS services have',
  enforcedBy: ['test/commands/aws/sts-server.ts', 'test/commands/aws/client.test.ts', 'test/harness/mischief.ts'],
  facts: [
    { says: 'A session lasts 900 seconds at least, 43,200 at most, 3,600 by default.', source: MODEL, read },
    {
      says: 'A session policy has at most 2,048 characters: U+0020 to U+00FF, tab, line feed and carriage return.',
      source: `${MODEL}.Policy`,
      read,
    },
    {
      says: 'What a session may do is what both the role and the session policy allow.',
      source: MODEL,
      read,
    },
    {
      says: 'The name of a role session is of letters, digits and _+=,.@-, of at most 64 of them.',
      source: `${MODEL}.RoleSessionName; the length: mozilla/sops#741`,
      read,
    },
    {
      says: 'JSON services refuse an expired token with 400 ExpiredTokenException, Query services with 403 ExpiredToken, S3 with 400 ExpiredToken; the pages of common errors say 403 of all.',
      source:
        'guregu/dynamo#68, cfn-sphere/cfn-sphere#55, ibi-group/datatools-ui#10; https://docs.aws.amazon.com/awsconsolehelpdocs/latest/gsg/common-errors.html',
      read,
    },
    {
      says: 'Query services refuse what is too much with 400 Throttling “Rate exceeded”, JSON services with 400 ThrottlingException, S3 with 503 SlowDown.',
      source:
        'ansible/ansible-modules-core#224; https://docs.aws.amazon.com/autoscaling/ec2/APIReference/CommonErrors.html; https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html',
      read,
    },
    {
      says: 'The codes of a throttled request are ThrottlingException, RequestLimitExceeded, SlowDown, TooManyRequestsException and others.',
      source: '@smithy/core 3.41.1, submodules/retry/service-error-classification/constants.js, THROTTLING_ERROR_CODES',
      read,
    },
    {
      says: 'A request that was throttled counts as safe to send again, whatever it changes.',
      source: '@smithy/core 3.41.1, submodules/retry/util-retry/StandardRetryStrategy.js',
      read,
    },
  ],
  unchecked: [
    {
      says: 'LimitExceededException is not sent again here, though the SDK counts it as throttling.',
      why: 'Each service means another limit by it. DynamoDB’s is one of table operations at once or of tables (see there); what others mean was not read.',
    },
    {
      says: 'A role session’s name has two characters at least.',
      why: 'From knowledge: the model in the SDK has no lengths, and the page of AssumeRole could not be opened here.',
    },
    {
      says: 'AccessDenied of STS names sts:AssumeRole and the role.',
      why: 'The text is not documented; without it the sentence names the right all the same.',
    },
  ],
})
