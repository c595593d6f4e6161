import { defineFacts } from '../../harness/facts.ts'

const model = (type: string) => `@aws-sdk/client-cloudformation 3.1169.0, models_0.d.ts, ${type}`
const read = '2026-11-28'

export const facts = defineFacts({
  of: 'AWS CloudFormation',
  enforcedBy: ['test/commands/cloudformation/server.ts', 'test/commands/aws/query-server.ts'],
  facts: [
    {
      says: 'An update is taken once for each ClientRequestToken, which stands on the events of that update.',
      source: model('UpdateStackInput.ClientRequestToken, StackEvent'),
      read,
    },
    {
      says: 'A parameter keeps its value only where UsePreviousValue says so; what is neither given nor kept has to have a default.',
      source: model('Parameter.UsePreviousValue'),
      read,
    },
    {
      says: 'A parameter of a Systems Manager type has a ResolvedValue besides the key that it was given.',
      source: model('Parameter.ResolvedValue'),
      read,
    },
    { says: 'A parameter with NoEcho is not shown.', source: model('ParameterDeclaration.NoEcho'), read },
    {
      says: 'An update that changes nothing is refused: "No updates are to be performed."',
      source: 'boto/boto3#1609',
      read,
    },
    {
      says: 'LastUpdatedTime is there only once a stack was updated.',
      source: model('Stack.LastUpdatedTime'),
      read,
    },
  ],
  unchecked: [
    {
      says: 'What stands in its place is ****.',
      why: 'The pages show asterisks, and not all of them as many. Nothing rests on how many there are.',
    },
    {
      says: 'ssm:GetParameters is asked of whoever sends an update, though a service role is named.',
      why: 'Reported so in https://github.com/aws/aws-cdk/issues/20959, where the deploying role lacked it. No account to try it on.',
    },
    {
      says: 'With UsePreviousValue a parameter of a Systems Manager type is read anew.',
      why: 'Known from practice, written on no page that could be read here; the plan warns of it.',
    },
    {
      says: 'How many looks an update takes, and that a stack may look untouched right after UpdateStack was taken.',
      why: 'No page says how soon a change is read back. No account to try it on.',
    },
  ],
})
