import { connect } from 'node:net'
import { CopyObjectCommand } from '@aws-sdk/client-s3'
import { airflow } from '../../commands/airflow/connection.ts'
import { commands } from '../../commands/index.ts'
import { postgres } from '../../commands/postgres/connection.ts'
import { s3 } from '../../commands/s3/connection.ts'
import { execute } from '../../commands/script/execute.ts'
import type { ChangeCommand, Command, RunContext } from '../../src/domain/command.ts'

/** A command's run in which something is wrong, and what is said when that is found. `right` is the run as it is. */
type Flaw<Data> = Readonly<{
  id: string
  found: RegExp
  run(data: Data, ctx: RunContext, right: () => Promise<string>): Promise<unknown>
}>

const flaw = <Data>(id: string, found: RegExp, run: Flaw<Data>['run']) => ({ id, found, run }) as Flaw<unknown>

type Dag = { connection: string; dag: string }
const airflowAt = async ({ connection }: Dag, ctx: RunContext) =>
  (await ctx.connect(airflow, connection)).settings.baseUrl

const FLAWS: Readonly<Record<string, Flaw<unknown>>> = {
  'a value stands in the text of a statement': flaw<{ connection: string; session: { pid: number } }>(
    'postgres.cancel-query',
    /another request than for good parameters/,
    async ({ connection, session }, ctx) => {
      const { client } = await ctx.connect(postgres, connection)
      await client.query(`select pg_cancel_backend(pid) from pg_stat_activity where pid = ${session.pid}`)
    },
  ),
  'a name stands in a path as it is': flaw<Dag>(
    'airflow.pause-dag',
    /another request than for good parameters|outside of the base/,
    async (data, ctx) => fetch(`${await airflowAt(data, ctx)}/api/v2/dags/${data.dag}`, { method: 'PATCH' }),
  ),
  'a redirect is followed': flaw<Dag>('airflow.pause-dag', /a redirect was followed/, async (data, ctx) =>
    fetch(`${await airflowAt(data, ctx)}/api/v2/dags/one`, { method: 'PATCH' }),
  ),
  'another host is connected to': flaw<Dag>(
    'airflow.pause-dag',
    /a connection to 127\.0\.0\.2:1/,
    async (data, ctx) => {
      if (data.dag !== 'etl') connect(1, '127.0.0.2').on('error', () => {})
      await fetch(`${await airflowAt(data, ctx)}/api/v2/dags/one`, { method: 'PATCH', redirect: 'error' })
    },
  ),
  'a copy is made of an object in another bucket': flaw<{ connection: string; ref: { bucket: string; key: string } }>(
    's3.quarantine-records',
    /a copy from outside of the bucket/,
    async ({ connection, ref: { bucket, key } }, ctx, right) => {
      const { client } = await ctx.connect(s3, connection)
      const copy = { Bucket: bucket, Key: 'copy', CopySource: encodeURI(key.replace(/^in/, bucket)) }
      await client.send(new CopyObjectCommand(copy))
      await right()
    },
  ),
  'an argument is taken apart at blanks': flaw<{ values: { note: string; mode: string } }>(
    'script.run',
    /the program was given/,
    async ({ values: { note, mode } }, ctx) => {
      const limits = { timeoutMs: 5_000, graceMs: 100, maxOutputBytes: 16_384, secrets: [], env: {}, cwd: '/' }
      const args = ['%s\\n%s', ...`--${note}`.split(' '), mode]
      await ctx.step('run', async () => ({
        output: (await execute({ path: '/usr/bin/printf', args, ...limits, signal: ctx.signal })).output,
      }))
    },
  ),
}

const flawed = (command: ChangeCommand, run: Flaw<unknown>['run']): ChangeCommand => ({
  ...command,
  run: async (plan, ctx) => `${await run(plan.data, ctx, () => command.run(plan, ctx))}`,
})

/** By what is wrong: the commands with that one wrong in them, which one it is, and what is said when it is found. */
export const EXECUTOR_FLAWS = Object.entries(FLAWS).map(([name, { id, found, run }]) => {
  const wrong = (command: Command): Command => (command.id === id ? flawed(command as ChangeCommand, run) : command)
  return { name, id, found, all: commands.map(wrong) }
})
