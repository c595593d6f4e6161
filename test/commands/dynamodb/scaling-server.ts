import { Fault, startJson } from '../emr/json-server.ts'

type Limits = { MinCapacity: number; MaxCapacity: number; suspended?: boolean }

/** Application Auto Scaling with targets of DynamoDB, by `resource dimension`. Facts: facts.ts beside it. */
export async function startScaling() {
  const targets = new Map<string, Limits>()
  const state = { denied: false }
  const allow = (action: string) => {
    if (state.denied)
      throw new Fault(
        'AccessDeniedException',
        `User: u is not authorized to perform: application-autoscaling:${action}`,
      )
  }
  const server = await startJson('application-autoscaling', 'AnyScaleFrontendService', {
    DescribeScalableTargets(input) {
      allow('DescribeScalableTargets')
      if (input.ServiceNamespace !== 'dynamodb') throw new Fault('ValidationException', 'ServiceNamespace')
      const asked = (input.ResourceIds ?? []) as string[]
      if (asked.length > 50) throw new Fault('ValidationException', 'ResourceIds')
      const found = [...targets].filter(([key]) => asked.length === 0 || asked.includes(key.split(' ')[0]!))
      const from = Number(input.NextToken ?? 0)
      // Two a page, as a service may.
      const page = found.slice(from, from + 2)
      return {
        ScalableTargets: page.map(([key, { MinCapacity, MaxCapacity, suspended }]) => ({
          ServiceNamespace: 'dynamodb',
          ResourceId: key.split(' ')[0],
          ScalableDimension: key.split(' ')[1],
          ...{
            MinCapacity,
            MaxCapacity,
            RoleARN: 'arn:aws:iam::1:role/aws-service-role/dynamodb',
            CreationTime: 1_700_000_000,
          },
          SuspendedState: { DynamicScalingOutSuspended: suspended ?? false },
        })),
        ...(from + 2 < found.length && { NextToken: String(from + 2) }),
      }
    },
    RegisterScalableTarget(input) {
      allow('RegisterScalableTarget')
      const key = `${input.ResourceId} ${input.ScalableDimension}`
      const { MinCapacity: min, MaxCapacity: max } = input as unknown as Limits
      if (min > max) throw new Fault('ValidationException', 'Maximum capacity cannot be less than minimum capacity')
      targets.set(key, { ...targets.get(key), MinCapacity: min, MaxCapacity: max })
      return { ScalableTargetARN: 'arn:aws:application-autoscaling:us-east-1:1:scalable-target/1' }
    },
  })
  return { ...server, targets, state }
}
