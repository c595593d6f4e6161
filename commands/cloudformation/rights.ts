import type { Right } from '../../src/domain/command.ts'
import type { Own } from '../aws/narrow.ts'
import type { RollBack } from './colours.ts'
import type { Service } from './connection.ts'
import { stackNames } from './look.ts'

/** Names of Systems Manager's parameters, in characters, that a session policy has room for beside three stacks and a role. */
const ROOM = 300

/**
 * All that a run needs which updates the stacks of a service. Null without a service role: then CloudFormation may change the
 * stack's resources with the session's own rights, and these can be any. A service role is handed over by iam:PassRole.
 */
export function updating(
  own: Own,
  service: Service | undefined,
  { deploy, traffic, drain, held = [] }: RollBack,
): readonly Right[] | null {
  const roles = [deploy, traffic, drain].flatMap((update) => (update ? [update.role] : []))
  const [role] = roles
  if (!service || !role || roles.includes(null)) return null
  const stacks = stackNames(service).map((name) => own('cloudformation', `stack/${name}/*`))
  const all = held.map((name) => parameterOf(own, name))
  const parameters = all.join().length > ROOM ? [own('ssm', 'parameter/*')] : all
  return [
    {
      actions: ['cloudformation:UpdateStack', 'cloudformation:DescribeStacks', 'cloudformation:DescribeStackEvents'],
      resources: stacks,
    },
    { actions: ['iam:PassRole'], resources: [role] },
    // CloudFormation reads these for whoever sends the update.
    ...(parameters.length > 0 ? [{ actions: ['ssm:GetParameters'], resources: parameters }] : []),
  ]
}

/** A name may begin with a slash, which is there once in an ARN, and end in a version; one of another account is an ARN. */
const parameterOf = (own: Own, name: string): string =>
  name.startsWith('arn:') ? name : own('ssm', `parameter/${name.replace(/^\//, '').replace(/:\d+$/, '')}`)
