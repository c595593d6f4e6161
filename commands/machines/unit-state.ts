import type { ReadContext } from '../../src/domain/command.ts'
import { machines } from './connection.ts'
import { look, outputOf } from './send.ts'
import { quote } from './shell.ts'

/** A unit as systemd shows it. `invocation` is another one after every start. */
export type UnitState = Readonly<{
  unit: string
  load: string
  active: string
  sub: string
  /** When it last became active, ISO; empty when it never was. */
  since: string
  restarts: string
  invocation: string
}>

const PROPERTIES = ['LoadState', 'ActiveState', 'SubState', 'InvocationID', 'ActiveEnterTimestamp', 'NRestarts']

export const showScript = (units: readonly string[]): string[] => [
  `env TZ=UTC LC_ALL=C systemctl show --no-pager --property=${PROPERTIES.join(',')} -- ${units.map(quote).join(' ')}`,
]

/** The states in the order asked for. Throws unless there is one for each unit. */
export function parseUnits(units: readonly string[], out: string): UnitState[] {
  const blocks = out.trim().split(/\n\s*\n/)
  if (blocks.length !== units.length) throw new Error(`systemctl showed ${blocks.length} of ${units.length} units`)
  return blocks.map((block, i) => {
    const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(block)?.[1]?.trim().slice(0, 60) ?? ''
    return {
      unit: units[i]!,
      load: value('LoadState'),
      active: value('ActiveState'),
      sub: value('SubState'),
      since: value('ActiveEnterTimestamp').replace(/^\w+ (\S+) (\S+) UTC$/, '$1T$2Z'),
      restarts: value('NRestarts'),
      invocation: value('InvocationID'),
    }
  })
}

const STEADY_MS = 60_000

/**
 * A unit as a plan holds on to it. One that was not up for a minute when the plan was asked for is only called unsteady:
 * a unit that crashes and is started over and over would never be the one that was shown.
 */
export function steadiness(state: UnitState, requestedAt: Date): string {
  const steady = isUp(state) && Date.parse(state.since) <= requestedAt.getTime() - STEADY_MS
  return steady ? `active since ${state.since} (${state.invocation})` : 'unsteady'
}

export const isUp = (state: UnitState): boolean => state.active === 'active'
export const described = (state: UnitState): string =>
  `${state.unit} is ${state.load === 'loaded' ? `${state.active} (${state.sub})` : state.load}`

/** The units of each of these machines now, in one command. */
export async function lookAt(
  connection: string,
  instances: readonly string[],
  units: readonly string[],
  ctx: ReadContext,
  note?: (text: string) => void,
): Promise<UnitState[][]> {
  const { client, settings } = await ctx.connect(machines, connection)
  const order = { instances, script: showScript(units) }
  const results = await look(client, settings, order, ctx.signal, note)
  return instances.map((instance) => parseUnits(units, outputOf(instance, results.get(instance))))
}
