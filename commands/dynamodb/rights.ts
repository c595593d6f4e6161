import type { Right } from '../../src/domain/command.ts'

/** All that a run needs which changes one table. Targets of auto scaling have no ARN of their own until they have tags. */
export const changing = (arn: string, isScaled: boolean): readonly Right[] => [
  { actions: ['dynamodb:DescribeTable', 'dynamodb:UpdateTable'], resources: [arn] },
  ...(isScaled
    ? [
        {
          actions: [
            'application-autoscaling:DescribeScalableTargets',
            'application-autoscaling:RegisterScalableTarget',
          ],
          resources: ['*'],
        },
      ]
    : []),
]
