import { defineFacts } from '../../harness/facts.ts'

const model = (type: string) => `@aws-sdk/client-emr 3.1089.0, models_0.d.ts, ${type}`
const read = '2026-11-28'
const PAGE = 'https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-cancel-steps.html'

export const facts = defineFacts({
  of: 'Amazon EMR',
  enforcedBy: ['test/commands/emr/server.ts', 'test/commands/emr/json-server.ts', 'test/fixtures/machines/bin/yarn'],
  facts: [
    {
      says: 'CancelSteps takes up to 256 steps and is asynchronous: a request that was taken does not promise that a step is cancelled.',
      source: '@aws-sdk/client-emr 3.1089.0, CancelStepsCommand.d.ts',
      read,
    },
    {
      says: 'Running steps can be cancelled from release 5.28.0 on, waiting ones from 4.8.0 on, but for 5.0.0.',
      source: '@aws-sdk/client-emr 3.1089.0, CancelStepsCommand.d.ts',
      read,
    },
    { says: 'That a running step is cancelled does not let a waiting one begin.', source: PAGE, read },
    {
      says: 'SEND_INTERRUPT sends SIGTERM to the step, TERMINATE_PROCESS sends SIGKILL to it and its children; asynchronous processes go on.',
      source: PAGE,
      read,
    },
    {
      says: 'A step is PENDING, RUNNING, CANCEL_PENDING, CANCELLED, INTERRUPTED, COMPLETED or FAILED.',
      source: '@aws-sdk/client-emr 3.1089.0, enums.d.ts, StepState',
      read,
    },
    { says: 'ListSteps has pages of 50, and takes at most ten ids.', source: model('ListStepsInput'), read },
    {
      says: 'A cluster has instance groups or instance fleets; asking for the other kind is refused.',
      source: 'turbot/steampipe-plugin-aws#1222',
      read,
    },
    {
      says: 'A fleet has a target on demand and one of Spot; one that is not given counts as 0 when it is made.',
      source: model('InstanceFleet.TargetOnDemandCapacity, TargetSpotCapacity'),
      read,
    },
    {
      says: 'GetManagedScalingPolicy gives nothing where there is no policy, else limits by instances, vCPUs or fleet units.',
      source: model('GetManagedScalingPolicyOutput, ComputeLimits'),
      read,
    },
    {
      says: 'yarn application -list prints padded columns between tabs, and -status says of an unknown one that it does not exist in RM or Timeline Server.',
      source:
        'https://github.com/apache/hadoop/blob/013951781169192bc6b5ccc6444ddd220c76b38e/hadoop-yarn-project/hadoop-yarn/hadoop-yarn-client/src/main/java/org/apache/hadoop/yarn/client/cli/ApplicationCLI.java',
      read,
    },
  ],
  unchecked: [
    {
      says: 'A group that is RESIZING takes no other size.',
      why: 'No page says so or the contrary; the command refuses, with the line to type by hand.',
    },
    {
      says: 'ModifyInstanceFleet takes a target that is not given for 0.',
      why: 'The model says it of making a fleet only; the command gives both, so that it does not matter.',
    },
    {
      says: 'How many looks it takes until a cancelled step has ended.',
      why: 'AWS names no time; tests wait for some looks and for none at all.',
    },
  ],
})
