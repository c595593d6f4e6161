import { defineFacts } from '../../harness/facts.ts'

const ssm = (type: string) => `@aws-sdk/client-ssm 3.1169.0, models_0.d.ts, ${type}`
const scaling = (type: string) => `@aws-sdk/client-auto-scaling 3.1169.0, models_0.d.ts, ${type}`
const read = '2026-11-28'

export const facts = defineFacts({
  of: 'AWS Systems Manager, EC2 Auto Scaling, and the programs of a Debian machine',
  enforcedBy: [
    'test/commands/machines/fleet.ts',
    'test/commands/machines/scaling.ts',
    'test/fixtures/machines/bin/apt-get',
    'test/fixtures/machines/bin/python3',
  ],
  facts: [
    { says: 'SendCommand takes up to 50 instance ids.', source: ssm('SendCommandRequest.InstanceIds'), read },
    {
      says: 'GetCommandInvocation keeps the first 24,000 characters of what a script has said.',
      source: ssm('GetCommandInvocationResult.StandardOutputContent'),
      read,
    },
    {
      says: 'A command that the service does not know (yet) on an instance is InvocationDoesNotExist.',
      source: '@aws-sdk/client-ssm 3.1169.0, errors.d.ts, InvocationDoesNotExist',
      read,
    },
    {
      says: 'A command is Pending, InProgress, Delayed, Cancelling, Success, Cancelled, TimedOut or Failed.',
      source: '@aws-sdk/client-ssm 3.1169.0, enums.d.ts, CommandInvocationStatus',
      read,
    },
    {
      says: 'DescribeInstanceInformation gives ten machines a page unless asked for more, and says by PingStatus whether the agent is connected.',
      source: ssm('DescribeInstanceInformationRequest.MaxResults, InstanceInformation.PingStatus'),
      read,
    },
    {
      says: 'A tag filter is not combined with other filters.',
      source: ssm('DescribeInstanceInformationRequest.Filters'),
      read,
    },
    {
      says: 'A lifecycle hook holds a machine until it is told to go on, or for its heartbeat, and then does what it says by default.',
      source: scaling('LifecycleHook.HeartbeatTimeout, DefaultResult'),
      read,
    },
    {
      says: 'A terminated machine of a group is replaced unless the desired capacity is taken down with it.',
      source: scaling('TerminateInstanceInAutoScalingGroupType.ShouldDecrementDesiredCapacity'),
      read,
    },
    {
      says: 'apt neither sets back nor changes a held package that was not named; it removes conflicting ones, and with --no-remove it refuses.',
      source: 'apt 2.6 and dpkg 1.21 of Debian 12, tried in a root of its own',
      read,
    },
    {
      says: 'A dry run of pip does not look at EXTERNALLY-MANAGED, nor at what installed packages require.',
      source: 'pip 23.0 of Debian 12 and pip 23.2, tried',
      read,
    },
    {
      says: 'Too many requests are a ThrottlingException with 400, also many in a row.',
      source: 'aws/aws-rfdk#1723, aws/amazon-ssm-agent#15',
      read,
    },
  ],
  unchecked: [
    {
      says: 'SendCommand takes the ARNs of the document and of each machine; GetCommandInvocation and CancelCommand take none.',
      why: 'As the service authorization reference has it, which could not be read here. No account to try a session policy on.',
    },
    {
      says: 'For how long a terminated machine stays listed as ConnectionLost.',
      why: 'The page that names it could not be read here; the command leaves it out, however long.',
    },
    {
      says: 'InvokedAfter takes milliseconds.',
      why: 'The examples of the reference have whole seconds, and so has what is sent.',
    },
    {
      says: 'A machine that is protected from scale-in can be terminated by TerminateInstanceInAutoScalingGroup.',
      why: 'Known from practice; no account to try it on. It is refused unless the machine is named.',
    },
    {
      says: 'What dnf would change besides.',
      why: 'No dnf could be run here: it is not asked beforehand, and the plan says so.',
    },
  ],
})
