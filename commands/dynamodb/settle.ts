import { setTimeout as wait } from 'node:timers/promises'
import type { RunContext } from '../../src/domain/command.ts'
import { outlive } from '../aws/outlive.ts'
import type { DynamoClients, Settings } from './connection.ts'
import { describe, type Table } from './table.ts'

/** DescribeTable is eventually consistent: for a few looks the table may still seem untouched. */
const STALE_LOOKS = 15

type Settle = Readonly<{
  table: string
  /** As it shall be, and as it was. */
  isDone(now: Table): boolean
  isBefore(now: Table): boolean
  /** What is there, for people. */
  show(now: Table): string
}>

/** Looks until a table is ACTIVE as it shall be. Throws when it is ACTIVE and otherwise. Outlives what keeps DynamoDB from answering. */
export async function settle(
  { tables }: DynamoClients,
  settings: Settings,
  { table, isDone, isBefore, show }: Settle,
  ctx: RunContext,
): Promise<string> {
  const pauseMs = settings.pollSeconds * 1000
  const onPause = (note: string) => ctx.progress(1, 2, note)
  let began = false
  for (let looks = 1; ; looks++) {
    const now = await outlive(() => describe(tables, table, ctx.signal), { signal: ctx.signal, pauseMs, onPause })
    const isActive = now.status === 'ACTIVE' && now.indexes.every((index) => index.status === 'ACTIVE')
    if (isActive && isDone(now)) return show(now)
    if (isActive && !isBefore(now))
      throw new Error(`${table} has ${show(now)}: somebody else changed it meanwhile, or auto scaling did.`)
    if (isActive && (began || looks >= STALE_LOOKS))
      throw new Error(`${table} is ACTIVE and still has ${show(now)}: the change was not taken.`)
    began ||= !isActive
    ctx.progress(1, 2, `${table} is ${now.status} (look ${looks})`)
    await wait(pauseMs, undefined, { signal: ctx.signal })
  }
}
