import { AutoScalingClient } from '@aws-sdk/client-auto-scaling'
import { SSMClient } from '@aws-sdk/client-ssm'
import { z } from 'zod'
import { defineConnection, Refused } from '../../src/domain/command.ts'
import { awsClient, awsSettings } from '../aws/client.ts'
import { Folder, Package, Unit } from './shell.ts'

const Name = z.string().regex(/^[\w-]{1,64}$/)

const Executable = z.string().regex(/^(\/[\w.-]+)+$/, 'an absolute path')

const Group = z
  .strictObject({
    /** The machines that have this tag. */
    tag: z.strictObject({ name: z.string().min(1).max(128), value: z.string().min(1).max(256) }),
    /** Set where machines may be cycled. */
    autoScalingGroup: z.string().min(1).max(255).optional(),
    /** The connection of kind airflow whose workers these machines are: no machine is taken away on which its tasks run. */
    airflow: z.string().min(1).optional(),
    /** Set where the group may be given more machines: never more than this. */
    maxMachines: z.number().int().positive().optional(),
    /** Where py-spy is, set where the stacks of running Python processes may be looked at. */
    pySpy: Executable.optional(),
    /** What may be looked at and restarted, in this order. */
    units: z.array(Unit).max(20).default([]),
    /** What may be pinned. */
    packages: z.array(Package).default([]),
    packageManager: z.enum(['dpkg', 'rpm', 'pip']).default('dpkg'),
    /** Whose packages pip manages: that of a virtual environment, since pip does not change the system's. */
    python: Executable.optional(),
    /** Where files may be deleted, and for how long they are kept in any case. */
    folders: z.record(Folder, z.strictObject({ keepHours: z.number().positive() })).default({}),
    /** Web pages of the group, by what they are called. */
    urls: z.record(z.string().min(1).max(64), z.url({ protocol: /^https?$/ })).default({}),
  })
  .refine((group) => group.packageManager !== 'pip' || group.python !== undefined, {
    message: 'packageManager pip takes "python", the one of a virtual environment such as /opt/airflow/bin/python',
    path: ['python'],
  })
export type Group = z.output<typeof Group>

const Settings = z.strictObject({
  ...awsSettings,
  /** Like `endpoint`, for Auto Scaling. */
  autoScalingEndpoint: z.url().optional(),
  groups: z.record(Name, Group).default({}),
  /** How often a command or a group is looked at: all who ask share the account's rate. */
  pollSeconds: z.number().positive().max(60).default(5),
  /** How long a unit may take to come back after its restart. */
  comeBackSeconds: z.number().positive().max(1_800).default(120),
  /** How long one command may run on a machine. */
  commandSeconds: z.number().int().min(30).max(3_600).default(600),
  /** How long a new machine may take to be in service. */
  replaceMinutes: z.number().positive().max(120).default(20),
})
export type Settings = z.output<typeof Settings>

/** A change is sent once: its probe says whether it landed. */
export type Clients = Readonly<{
  reads: SSMClient
  writes: SSMClient
  scalingReads: AutoScalingClient
  scalingWrites: AutoScalingClient
}>

/** Machines of one AWS account and region, reached by Systems Manager and Auto Scaling; nobody logs in. */
export const machines = defineConnection<Settings, Clients>({
  kind: 'machines',
  settings: Settings,
  open: (settings, secret, rights) => {
    const { autoScalingEndpoint: endpoint, ...own } = settings
    const scaling = { ...own, ...(endpoint && { endpoint }) }
    return {
      reads: awsClient(SSMClient, own, secret, 3, { rights }),
      writes: awsClient(SSMClient, own, secret, 1, { rights }),
      scalingReads: awsClient(AutoScalingClient, scaling, secret, 3, { rights }),
      scalingWrites: awsClient(AutoScalingClient, scaling, secret, 1, { rights }),
    }
  },
  close: (clients) => {
    for (const client of Object.values(clients)) client.destroy()
  },
})

/** What the connection says of a group; Refused if it does not list it. */
export function groupOf(settings: Settings, name: string): Group {
  const found = Object.hasOwn(settings.groups, name) ? settings.groups[name] : undefined
  if (found) return found
  const names = Object.keys(settings.groups).sort().join(', ')
  throw new Refused(`The connection does not list the group "${name}". It lists: ${names || 'none'}.`)
}

/** Refuses what is not in a list of the group's settings. */
export function refuseUnlisted(asked: readonly string[], listed: readonly string[], what: string, group: string): void {
  const strange = asked.filter((one) => !listed.includes(one))
  if (strange.length > 0)
    throw new Refused(
      `The group "${group}" does not list the ${what} ${strange.join(', ')}. It lists: ${listed.join(', ') || 'none'}.`,
    )
}
