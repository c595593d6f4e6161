import type { ReadContext } from '../../src/domain/command.ts'
import { airflow } from '../airflow/connection.ts'
import { type Group, machines } from './connection.ts'
import { machinesOf } from './fleet.ts'

/** A task that runs on one of these machines: `af-1: nightly.load (run r1)`. */
export type Tenant = Readonly<{ instance: string; said: string }>

/**
 * The tasks that Airflow runs on these machines now, where the group names the Airflow whose workers they are; null where it
 * names none. A machine is found by its name, with or without a domain, its address or its instance id.
 */
export async function tenantsOf(
  connection: string,
  group: Group,
  name: string,
  instances: readonly string[],
  ctx: ReadContext,
): Promise<Tenant[] | null> {
  if (!group.airflow) return null
  const { client } = await ctx.connect(machines, connection)
  const jobs = await ctx.connect(airflow, group.airflow)
  const known = await machinesOf(client.reads, group, name, ctx.signal)
  const running = await jobs.client.tasks('~', '~', { states: ['running'] }, ctx.signal)
  return instances.flatMap((instance) => {
    const machine = known.find((one) => one.id === instance)
    const names = [instance, machine?.name ?? '', machine?.address ?? ''].filter(
      (one) => one !== '' && one !== 'unknown',
    )
    const isHere = (host: string) => names.some((one) => host === one || bare(host) === bare(one))
    return running
      .filter((task) => task.host !== '' && isHere(task.host))
      .map((task) => ({ instance, said: `${machine?.name ?? instance}: ${task.dag}.${task.task} (run ${task.run})` }))
      .sort((a, b) => a.said.localeCompare(b.said))
  })
}

/** A host's name without its domain; an address stays as it is. */
const bare = (host: string): string => (/^[\d.]+$|:/.test(host) ? host : (host.split('.')[0] ?? '').toLowerCase())
