import type { Right } from '../../src/domain/command.ts'
import { literal } from '../aws/credentials.ts'
import type { Own } from '../aws/narrow.ts'

/** All that scripts on one machine need. Commands are known by ids that are made when they are sent. */
export const scripting = (own: Own, region: string, instance: string): readonly Right[] => [
  {
    actions: ['ssm:SendCommand'],
    resources: [
      // AWS's own document: no account has it.
      `arn:aws:ssm:${region}::document/AWS-RunShellScript`,
      // Machines outside of EC2 are Systems Manager's own: its service authorization reference, SendCommand.
      instance.startsWith('mi-') ? own('ssm', `managed-instance/${instance}`) : own('ec2', `instance/${instance}`),
    ],
  },
  { actions: ['ssm:GetCommandInvocation', 'ssm:CancelCommand'], resources: ['*'] },
]

/** All that a run needs which changes one Auto Scaling group; a group's ARN has an id that its name does not tell. */
export const scaling = (own: Own, group: string, action: string, looks: readonly string[] = []): readonly Right[] => [
  {
    actions: [`autoscaling:${action}`],
    resources: [own('autoscaling', `autoScalingGroup:*:autoScalingGroupName/${literal(group)}`)],
  },
  { actions: ['autoscaling:DescribeAutoScalingGroups', ...looks], resources: ['*'] },
]
