import { CloudFormationClient } from '@aws-sdk/client-cloudformation'
import { z } from 'zod'
import { defineConnection, Refused } from '../../src/domain/command.ts'
import { awsClient, awsSettings } from '../aws/client.ts'
import { Repository } from '../github/connection.ts'

const Name = z.string().regex(/^[\w-]{1,64}$/)
const StackName = z.string().regex(/^[A-Za-z][A-Za-z0-9-]{0,127}$/, 'the name of a stack')
const Parameter = z.string().regex(/^[A-Za-z0-9]{1,255}$/, 'the name of a parameter of the template')

/** One of the two sides of a service; both may live in one stack. */
const Colour = z.strictObject({
  stack: StackName,
  /** The parameter that holds the commit. */
  version: Parameter,
  /** The parameter that holds how many copies run; 0 means idle. */
  capacity: Parameter,
  /** Answers the running commit: JSON with a field of the name `commitField`, or the bare text. */
  url: z.url({ protocol: /^https?$/ }),
})
export type Colour = z.output<typeof Colour>

const Service = z
  .strictObject({
    /** Where its commits are checked. */
    repository: Repository,
    colours: z
      .record(Name, Colour)
      .refine((colours) => Object.keys(colours).length === 2, 'name two colours')
      .refine(
        (colours) =>
          new Set(Object.values(colours).flatMap((c) => [`${c.stack} ${c.version}`, `${c.stack} ${c.capacity}`]))
            .size === 4,
        'the two colours share a parameter',
      ),
    commitField: z.string().min(1).default('commit'),
    /** How often in a row the version endpoint must answer the right commit. */
    healthyAnswers: z.number().int().min(2).max(60).default(5),
    healthyMinutes: z.number().positive().max(60).default(15),
    /** What moves the users from one colour to the other: one parameter of one stack, with its value for each colour. */
    traffic: z
      .strictObject({
        stack: StackName,
        parameter: Parameter,
        values: z.record(Name, z.string().min(1).max(4_096)),
        /** How long the other colour is left running afterwards: the time to live of a DNS name, requests that go on. */
        waitSeconds: z.number().min(0).max(3_600).default(60),
      })
      .optional(),
    /** Where the users come in: it answers its running commit as the colours do. */
    publicUrl: z.url({ protocol: /^https?$/ }).optional(),
    /** Parameters and outputs that may be shown besides those above; what looks like a secret stays hidden. */
    show: z.array(z.string().regex(/^[A-Za-z0-9]{1,255}$/, 'the name of a parameter or an output')).default([]),
  })
  .refine(
    ({ colours, traffic }) =>
      !traffic || Object.keys(colours).sort().join() === Object.keys(traffic.values).sort().join(),
    { message: 'traffic.values has not exactly one value for each colour', path: ['traffic', 'values'] },
  )
  .refine(({ traffic }) => !traffic || new Set(Object.values(traffic.values)).size === 2, {
    message: 'traffic.values has the same value for both colours',
    path: ['traffic', 'values'],
  })
export type Service = z.output<typeof Service>

const Settings = z.strictObject({
  ...awsSettings,
  /** The connection of kind github that says whether a commit is green. */
  checks: z.string().min(1),
  /**
   * The service role that CloudFormation changes resources with; left out, the stack's own or else this connection's
   * rights, and a run's session cannot be cut to its plan.
   */
  stackRoleArn: z
    .string()
    .regex(/^arn:aws[\w-]*:iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/, 'the ARN of a role')
    .optional(),
  /** What may be rolled back; other stacks are not even read. */
  services: z.record(Name, Service).default({}),
  pollSeconds: z.number().positive().max(60).default(5),
})
export type Settings = z.output<typeof Settings>

/** A change is sent once: its token and its probe say whether it landed. */
export type Clients = Readonly<{ reads: CloudFormationClient; writes: CloudFormationClient }>

/** Blue/green services in the stacks of one AWS account and region. */
export const cloudformation = defineConnection<Settings, Clients>({
  kind: 'cloudformation',
  settings: Settings,
  open: (settings, secret, rights) => ({
    reads: awsClient(CloudFormationClient, settings, secret, 3, { rights }),
    writes: awsClient(CloudFormationClient, settings, secret, 1, { rights }),
  }),
  close: ({ reads, writes }) => {
    reads.destroy()
    writes.destroy()
  },
})

/** What the connection says of a service; Refused if it does not list it. */
export function serviceOf(settings: Settings, name: string): Service {
  const found = Object.hasOwn(settings.services, name) ? settings.services[name] : undefined
  if (found) return found
  const names = Object.keys(settings.services).sort().join(', ')
  throw new Refused(`The connection does not list the service "${name}". It lists: ${names || 'none'}.`)
}
