import { DescribeInstanceInformationCommand, type InstanceInformation, type SSMClient } from '@aws-sdk/client-ssm'
import { type ReadContext, Refused } from '../../src/domain/command.ts'
import { type Group, groupOf, machines, type Settings } from './connection.ts'
import { look, type Result } from './send.ts'

/** A machine as Systems Manager knows it. */
export type Machine = Readonly<{
  id: string
  name: string
  online: boolean
  /** As Systems Manager says it: Online, ConnectionLost, or another word. */
  ping: string
  platform: string
  address: string
}>

/** SendCommand takes at most 50 instances. */
const MOST = 50

/**
 * Every machine of a group, by name. Refused when there are none, or more than one command reaches. One that was terminated
 * stays listed for a while, as ConnectionLost.
 */
export async function machinesOf(
  client: SSMClient,
  group: Group,
  name: string,
  signal: AbortSignal,
): Promise<Machine[]> {
  const found: InstanceInformation[] = []
  let NextToken: string | undefined
  do {
    const Filters = [{ Key: `tag:${group.tag.name}`, Values: [group.tag.value] }]
    const page = await client.send(new DescribeInstanceInformationCommand({ Filters, NextToken, MaxResults: 50 }), {
      abortSignal: signal,
    })
    found.push(...(page.InstanceInformationList ?? []))
    NextToken = page.NextToken
  } while (NextToken)
  if (found.length === 0)
    throw new Refused(
      `Systems Manager knows no machine of the group "${name}" (tag ${group.tag.name}=${group.tag.value}).`,
    )
  const online = found.filter((one) => one.PingStatus === 'Online').length
  if (online > MOST)
    throw new Refused(`The group "${name}" has ${online} machines; at most ${MOST} can be looked at in one go.`)
  return found
    .map((one) => ({
      id: one.InstanceId ?? '',
      name: one.ComputerName || one.Name || one.InstanceId || '',
      online: one.PingStatus === 'Online',
      ping: one.PingStatus ?? 'unknown',
      platform: [one.PlatformName, one.PlatformVersion].filter(Boolean).join(' ') || 'unknown',
      address: one.IPAddress ?? 'unknown',
    }))
    .sort((a, b) => a.name.localeCompare(b.name) || a.id.localeCompare(b.id))
}

/**
 * The machines that a change is about: those of the group that are reached, or the named ones, and a warning for each that is
 * left out. Refused when a named one is not reached, or none is.
 */
export async function chosen(
  client: SSMClient,
  group: Group,
  name: string,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<{ picked: Machine[]; leftOut: string[] }> {
  const all = await machinesOf(client, group, name, signal)
  const strange = ids.filter((id) => !all.some((one) => one.id === id))
  if (strange.length > 0) throw new Refused(`${strange.join(', ')} is no machine of the group "${name}".`)
  const asked = all.filter((one) => ids.length === 0 || ids.includes(one.id))
  const lost = asked.filter((one) => !one.online)
  const picked = asked.filter((one) => one.online)
  if (picked.length === 0 || (ids.length > 0 && lost.length > 0))
    throw new Refused(
      `Systems Manager does not reach ${lost.map(described).join(', ')}. A full root disk stops its agent, too. Leave it out or cycle it.`,
    )
  return {
    picked,
    leftOut: lost.map(
      (one) =>
        `${described(one)} is left out: it was terminated, or its agent is down (a full root disk stops it, too).`,
    ),
  }
}

const described = (one: Machine): string => `${one.name} (${one.id}, ${one.ping})`

export type Answer = Readonly<{ machine: Machine; result: Result | null }>

/** Runs a script that only looks on every machine of a group; null for one that is not reached. */
export async function ask(
  connection: string,
  name: string,
  script: (group: Group) => readonly string[],
  ctx: ReadContext,
): Promise<{ answers: Answer[]; group: Group; environment: string; settings: Settings }> {
  const { client, settings, environment } = await ctx.connect(machines, connection)
  const group = groupOf(settings, name)
  const lines = script(group)
  const all = await machinesOf(client.reads, group, name, ctx.signal)
  const instances = all.filter((one) => one.online).map((one) => one.id)
  const results =
    instances.length === 0
      ? new Map<string, Result>()
      : await look(client, settings, { instances, script: lines }, ctx.signal)
  const answers = all.map((machine) => ({ machine, result: results.get(machine.id) ?? null }))
  return { answers, group, environment, settings }
}

/** What every plan shows of a machine; its id is the same for all commands, so that they lock each other out. */
export const machineTarget = (
  connection: string,
  machine: Machine,
  fingerprint: string,
  details: Record<string, string>,
) => ({
  id: `machines:${connection}/${machine.id}`,
  name: machine.name,
  fingerprint,
  details: { Instance: machine.id, Address: machine.address, Platform: machine.platform, ...details },
})
