import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { alterColumns } from '../../../commands/redshift/alter-columns.ts'
import { copy } from '../../../commands/redshift/copy.ts'
import { copyText, Load } from '../../../commands/redshift/load.ts'
import { loadErrors } from '../../../commands/redshift/load-errors.ts'
import { loads } from '../../../commands/redshift/loads.ts'
import { tableColumns } from '../../../commands/redshift/table-columns.ts'
import type { ChangeCommand, Command, ReadCommand } from '../../../src/domain/command.ts'
import { Refused } from '../../../src/domain/command.ts'
import { digest } from '../../../src/domain/plan.ts'
import { createWorld, propose, type World } from '../context.ts'
import { breakingWire } from '../wire.ts'
import { copyInto } from './copy.ts'
import { startRedshift } from './server.ts'
import { startWarehouse, type Warehouse } from './warehouse.ts'

const ROLE = 'arn:aws:iam::123456789012:role/load'
const CLICKS = 's3://lake/events/clicks/'
const ORDERS = 's3://exports/nightly/'

let warehouse: Warehouse
let aws: Awaited<ReturnType<typeof startRedshift>>
let world: World
let query = 100
const files = new Map<string, Buffer>()

const LOADS = {
  clicks: {
    table: 'events.clicks',
    from: CLICKS,
    iamRole: ROLE,
    format: 'csv',
    options: ['GZIP'],
    maxErrors: 2,
    keys: ['id'],
  },
  orders: { table: 'events.orders', from: ORDERS, iamRole: ROLE, format: 'parquet', external: 'spectrum.orders' },
  foreign: { table: 'events.clicks', from: CLICKS, iamRole: `${ROLE}-of-others`, format: 'csv', options: ['GZIP'] },
  lost: { table: 'events.none', from: CLICKS, iamRole: ROLE, format: 'csv' },
}

const put = (location: string, lines: readonly string[]) => files.set(location, gzipSync(lines.join('\n')))
/** A COPY as the nightly job would run it. */
const nightly = async (load: keyof typeof LOADS, source: string) => run(copyText(Load.parse(LOADS[load]), source, 0))
async function run(sql: string) {
  const session = await warehouse.session('postgres')
  try {
    query += 1
    return await copyInto(session, ROLE, sql, query, async (location) =>
      [...files].filter(([name]) => name.startsWith(location)).map(([name, bytes]) => ({ location: name, bytes })),
    )
  } finally {
    await session.end()
  }
}
const read = (command: Command, params: Record<string, unknown>) =>
  (command as ReadCommand).read(command.params.parse({ connection: 'warehouse', ...params }), world.read())
const plan = (command: ChangeCommand, params: Record<string, unknown>) =>
  propose(command, { connection: 'warehouse', add: '', widen: '', maxErrors: '0', ...params }, world.read())
const rows = async (sql: string) => (await warehouse.ask(sql)).rows

beforeAll(async () => {
  warehouse = await startWarehouse()
  aws = await startRedshift({ run, reboot: () => warehouse.reboot() })
})
afterAll(async () => {
  await aws.close()
  await warehouse.stop()
})
beforeEach(async () => {
  files.clear()
  aws.state.statements.length = 0
  await warehouse.reset(`
    create table events.clicks (id int not null, at timestamp not null, note varchar(16));
    create table events.orders (id int, title varchar(8), price real)`)
  world = createWorld({
    connections: { warehouse: { kind: 'redshift', settings: warehouse.connection(aws.endpoint, { loads: LOADS }) } },
    secrets: warehouse.secrets,
    requestedAt: new Date(),
  })
})
afterEach(() => world.close())

const GOOD = ['1,2026-11-20 01:00:00,a', '2,2026-11-20 01:00:01,b', '3,2026-11-20 01:00:02,c']
const TOO_LARGE = '2147483648,2026-11-20 01:00:03,d'

describe('redshift.load-errors', () => {
  it('shows file, line, column, value and reason of the latest load that failed', async () => {
    put(`${CLICKS}1.csv.gz`, [...GOOD, TOO_LARGE])
    await nightly('clicks', CLICKS)
    const { summary, blocks } = await read(loadErrors, { load: 'clicks' })
    expect(summary).toMatch(
      new RegExp(
        `^One error of the load ${query} at \\d{4}-.*Z: Invalid digit, Value '8', Type: Integer in column id, line 4\\.$`,
      ),
    )
    expect(blocks[0]).toMatchObject({
      rows: [
        [`${CLICKS}1.csv.gz`, '4', 'id', 'integer', '2147483648', "Invalid digit, Value '8', Type: Integer (1207)"],
      ],
    })
    expect(blocks[1]).toEqual({ type: 'code', text: `line 4 of ${CLICKS}1.csv.gz\n${TOO_LARGE}` })
  })

  it('shows what the reader of Parquet wrote, when it is asked for', async () => {
    files.set(`${ORDERS}1.parquet`, Buffer.from('{"id":1,"title":"a","price":1,"seen":"2026-11-20"}'))
    await nightly('orders', ORDERS)
    const { summary, blocks } = await read(loadErrors, { load: 'orders', s3log: 'yes' })
    expect(summary).toMatch(
      new RegExp(
        `^The load ${query} at .* is aborted; no line of it was rejected\\. .*Table columns: 3, Data columns: 4`,
      ),
    )
    expect(blocks).toMatchObject([{ type: 'code', text: expect.stringContaining('Table columns: 3, Data columns: 4') }])
  })

  it('says that there is no error, and refuses without a load or a query', async () => {
    expect((await read(loadErrors, { load: 'clicks' })).summary).toContain(
      'No load of events.clicks from s3://lake/events/clicks/ failed or passed over errors in the seven days',
    )
    await expect(read(loadErrors, {})).rejects.toThrow(new Refused('Say which load or which query.'))
    await expect(read(loadErrors, { load: 'pg_user; --' })).rejects.toThrow(
      'The connection has no load named "pg_user; --". It has: clicks, foreign, lost, orders.',
    )
  })
})

describe('redshift.loads', () => {
  it('shows what was loaded on a day, and what failed', async () => {
    put(`${CLICKS}1.csv.gz`, GOOD)
    await nightly('clicks', CLICKS)
    await warehouse.ask("update sys_load_history set start_time = '2026-11-19 23:59:59'")
    put(`${CLICKS}1.csv.gz`, [TOO_LARGE])
    await nightly('clicks', CLICKS)
    expect((await read(loads, { load: 'clicks', day: '2026-11-19' })).summary).toBe(
      `1 of 1 loads of events.clicks on 2026-11-19 (UTC) completed, with 3 rows. The latest, ${query - 1}, is completed. Whether a transaction was rolled back after its load is for superusers to see (sys_transaction_history).`,
    )
    expect((await read(loads, { load: 'clicks' })).summary).toBe(
      `1 of 2 loads of events.clicks completed, with 3 rows. The latest, ${query}, is aborted. Whether a transaction was rolled back after its load is for superusers to see (sys_transaction_history).`,
    )
    expect((await read(loads, { load: 'clicks', day: '2026-11-18' })).summary).toContain(
      'No load of events.clicks began',
    )
  })
})

describe('redshift.copy', () => {
  beforeEach(async () => {
    put(`${CLICKS}dt=1/1.csv.gz`, [...GOOD, TOO_LARGE])
    await nightly('clicks', `${CLICKS}dt=1/`)
  })

  it('loads what the latest failure was to load, once it is mended, and can be checked', async () => {
    put(`${CLICKS}dt=1/1.csv.gz`, GOOD)
    const made = await plan(copy, { load: 'clicks' })
    expect(made.steps).toEqual([
      {
        id: 'copy',
        title: 'Load into events.clicks',
        detail: `COPY "events"."clicks"\nFROM '${CLICKS}dt=1/'\nIAM_ROLE '${ROLE}'\nFORMAT AS CSV\nGZIP`,
      },
    ])
    expect(made.targets[0]?.details).toMatchObject({
      cluster: 'wh-1',
      table: 'events.clicks',
      'latest load': expect.stringContaining(`${query}, aborted`),
    })
    expect(digest(await plan(copy, { load: 'clicks' }))).toBe(digest(made))
    expect(await copy.probe(made, 'copy', world.read())).toMatchObject({ landed: 'no' })
    expect((await copy.verify(made, world.read())).map((c) => c.ok)).toEqual([false, false, false])
    await copy.run(made, world.run(made).ctx)
    expect(await rows('select id from events.clicks order by id')).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }])
    expect(await copy.verify(made, world.read())).toEqual([
      { title: 'The load completed', ok: true, detail: 'completed' },
      { title: 'Rows were loaded', ok: true, detail: '3 rows of 1 files' },
      { title: 'No error was passed over', ok: true, detail: '0 errors' },
    ])
    expect(await copy.probe(made, 'copy', world.read())).toMatchObject({ landed: 'yes' })
    await expect(plan(copy, { load: 'clicks' })).rejects.toThrow('Loading it again would double them')
  })

  it('passes over as many errors as it was allowed, and no more', async () => {
    put(`${CLICKS}dt=1/1.csv.gz`, [...GOOD, TOO_LARGE, TOO_LARGE])
    const one = await plan(copy, { load: 'clicks', maxErrors: '1' })
    await expect(copy.run(one, world.run(one).ctx)).rejects.toThrow(/is FAILED: .*stl_load_errors/)
    expect(await rows('select id from events.clicks')).toEqual([])
    const two = await plan(copy, { load: 'clicks', maxErrors: '2' })
    expect(two.steps[0]?.detail).toMatch(/\nMAXERROR AS 3$/)
    expect(two.warnings[0]).toContain('Up to 2 rows are left out')
    await copy.run(two, world.run(two).ctx)
    expect((await copy.verify(two, world.read())).map((c) => [c.ok, c.detail])).toEqual([
      [true, 'completed'],
      [true, '3 rows of 1 files'],
      [true, '2 errors'],
    ])
  })

  it('runs once when its reply is lost, and is found by its name', async () => {
    put(`${CLICKS}dt=1/1.csv.gz`, GOOD)
    const made = await plan(copy, { load: 'clicks' })
    aws.lose('ExecuteStatement')
    await copy.run(made, world.run(made).ctx)
    // Sent again with the same token: the same statement.
    expect(aws.state.statements).toHaveLength(1)
    expect(await rows('select count(*)::int as n from events.clicks')).toEqual([{ n: 3 }])
    await copy.run(made, world.run(made).ctx)
    expect(aws.state.statements).toHaveLength(1)
  })

  it('does not guess about a load that is still going on, and refuses another one beside it', async () => {
    put(`${CLICKS}dt=1/1.csv.gz`, GOOD)
    const made = await plan(copy, { load: 'clicks' })
    const letGo = aws.hold()
    const running = copy.run(made, world.run(made).ctx)
    while (aws.state.statements.length === 0) await new Promise((done) => setImmediate(done))
    expect(await copy.probe(made, 'copy', world.read())).toMatchObject({ landed: 'cannot_tell' })
    letGo()
    await running
    await warehouse.ask("update sys_load_history set status = 'running' where status = 'completed'")
    await expect(plan(copy, { load: 'clicks' })).rejects.toThrow('is being loaded now')
  })

  it('cancels the statement when it is aborted, and then knows that nothing was loaded', async () => {
    put(`${CLICKS}dt=1/1.csv.gz`, GOOD)
    const made = await plan(copy, { load: 'clicks' })
    const letGo = aws.hold()
    const stop = new AbortController()
    const running = copy.run(made, world.run(made, { signal: stop.signal }).ctx).catch((e: Error) => e.message)
    while (aws.state.statements.length === 0) await new Promise((done) => setImmediate(done))
    stop.abort(new Error('cancelled by a person'))
    // Known to be over: that is no unknown outcome.
    expect(await running).toMatch(/^The load is ABORTED/)
    letGo()
    expect(await copy.probe(made, 'copy', world.read())).toMatchObject({
      landed: 'no',
      detail: expect.stringContaining('ABORTED'),
    })
    expect(await rows('select id from events.clicks')).toEqual([])
  })

  it('calls a load that it lost sight of unanswered', async () => {
    put(`${CLICKS}dt=1/1.csv.gz`, GOOD)
    const made = await plan(copy, { load: 'clicks' })
    aws.break('DescribeStatement')
    await expect(copy.run(made, world.run(made).ctx)).rejects.toMatchObject({ name: 'Unanswered' })
    aws.break(null)
    expect(['yes', 'cannot_tell']).toContain((await copy.probe(made, 'copy', world.read())).landed)
  })

  it('warns of files that were loaded before they failed', async () => {
    await warehouse.ask(`insert into sys_load_history (query_id, status, table_name, start_time, data_source, loaded_rows)
      values (1, 'completed', 'clicks', '2026-01-01', '${CLICKS}dt=1/', 7)`)
    expect((await plan(copy, { load: 'clicks' })).warnings[0]).toContain(
      'were loaded before, by query 1 at 2026-01-01T00:00:00Z',
    )
  })

  it.each([
    ['more errors than its ceiling', { load: 'clicks', maxErrors: '3' }, '3 errors are more than the 2'],
    ['errors in columnar files', { load: 'orders', maxErrors: '1', source: ORDERS }, '1 errors are more than the 0'],
    ['a load that is not configured', { load: 'others' }, 'no load named "others"'],
    ['a table that is not there', { load: 'lost', source: CLICKS }, 'There is no table events.none'],
    ['a load that never failed', { load: 'orders' }, 'has failed in the seven days that Redshift remembers'],
    ['a location elsewhere', { load: 'clicks', source: 's3://lake/secrets/' }, 'is not below s3://lake/events/clicks/'],
    ['a location that climbs out', { load: 'clicks', source: `${CLICKS}../secrets/` }, 'is not below'],
    ['a location that is a statement', { load: 'clicks', source: `${CLICKS}' IAM_ROLE 'x` }, 'is not below'],
    ['a location with a line feed', { load: 'clicks', source: `${CLICKS}\nMAXERROR 9` }, 'is not below'],
  ])('refuses %s', async (_, params, why) => {
    await expect(plan(copy, params)).rejects.toMatchObject({ name: 'Refused', message: expect.stringContaining(why) })
  })

  it('fails, and knows that nothing was loaded, when Redshift may not take the role', async () => {
    const made = await plan(copy, { load: 'foreign' })
    await expect(copy.run(made, world.run(made).ctx)).rejects.toThrow('not authorized to assume IAM Role')
    expect(await copy.probe(made, 'copy', world.read())).toMatchObject({ landed: 'no' })
  })

  it('makes another plan when the files were loaded meanwhile by another query', async () => {
    const before = await plan(copy, { load: 'clicks' })
    await nightly('clicks', `${CLICKS}dt=1/`)
    expect((await plan(copy, { load: 'clicks' })).targets[0]?.fingerprint).not.toBe(before.targets[0]?.fingerprint)
  })
})

describe('redshift.table-columns and redshift.alter-columns', () => {
  const external = async (...columns: [string, string][]) => {
    for (const [i, [name, type]] of columns.entries())
      await warehouse.ask(
        `insert into svv_external_columns values ('spectrum', 'orders', '${name}', '${type}', ${i + 1}, 0, 'true')`,
      )
  }
  const types = async () =>
    Object.fromEntries(
      (
        await rows(`select column_name, data_type || coalesce('(' || character_maximum_length || ')',
        case data_type when 'numeric' then '(' || numeric_precision || ',' || numeric_scale || ')' end, '') as type
        from information_schema.columns where table_schema = 'events' and table_name = 'orders'`)
      ).map((row) => [row.column_name, row.type]),
    )

  it('shows what the files have and the table lacks, and adds exactly that with its mapped type', async () => {
    await external(
      ['id', 'int'],
      ['title', 'varchar(32)'],
      ['price', 'float'],
      ['seen', 'timestamp'],
      ['n', 'bigint'],
      ['ok', 'boolean'],
      ['doc', 'string'],
    )
    const { summary, blocks } = await read(tableColumns, { load: 'orders' })
    expect(summary).toBe(
      'Against spectrum.orders, 4 columns are missing in events.orders, 1 are too short, 0 have another type.',
    )
    expect(blocks[0]).toMatchObject({
      rows: [
        ['title', 'varchar(32)', 'character varying(8)', 'too short', ''],
        ['seen', 'timestamp', '–', 'missing', 'timestamp without time zone'],
        ['n', 'bigint', '–', 'missing', 'bigint'],
        ['ok', 'boolean', '–', 'missing', 'boolean'],
        ['doc', 'string', '–', 'missing', 'character varying(65535)'],
      ],
    })
    const made = await plan(alterColumns, { load: 'orders' })
    expect(made.steps.map((s) => s.detail)).toEqual([
      'ALTER TABLE "events"."orders" ADD COLUMN "seen" timestamp without time zone',
      'ALTER TABLE "events"."orders" ADD COLUMN "n" bigint',
      'ALTER TABLE "events"."orders" ADD COLUMN "ok" boolean',
      'ALTER TABLE "events"."orders" ADD COLUMN "doc" character varying(65535)',
      'ALTER TABLE "events"."orders" ALTER COLUMN "title" TYPE character varying(32)',
    ])
    expect(digest(await plan(alterColumns, { load: 'orders' }))).toBe(digest(made))
    expect(await alterColumns.probe(made, 'add-seen', world.read())).toMatchObject({ landed: 'no' })
    expect(await alterColumns.probe(made, 'widen-title', world.read())).toMatchObject({ landed: 'no' })
    await alterColumns.run(made, world.run(made).ctx)
    expect(await types()).toEqual({
      id: 'integer',
      title: 'character varying(32)',
      price: 'real',
      seen: 'timestamp without time zone',
      n: 'bigint',
      ok: 'boolean',
      doc: 'character varying(65535)',
    })
    expect((await alterColumns.verify(made, world.read())).every((c) => c.ok)).toBe(true)
    expect(await alterColumns.probe(made, 'widen-title', world.read())).toMatchObject({ landed: 'yes' })
    // Run again after a crash, it finds all of it done.
    await alterColumns.run(made, world.run(made).ctx)
    await expect(plan(alterColumns, { load: 'orders' })).rejects.toThrow('Nothing to do')
  })

  it('adds each type of the catalogue and widens what a person names', async () => {
    const made = await plan(alterColumns, {
      load: 'orders',
      add: 'a timestamp, b int32, c int64, d float, e bool, f varchar(20), g json, h double, i date, j decimal(10,2)',
      widen: 'title 64',
    })
    await alterColumns.run(made, world.run(made).ctx)
    expect(await types()).toMatchObject({
      a: 'timestamp without time zone',
      b: 'integer',
      c: 'bigint',
      d: 'real',
      e: 'boolean',
      f: 'character varying(20)',
      g: 'character varying(65535)',
      h: 'double precision',
      i: 'date',
      j: 'numeric(10,2)',
      title: 'character varying(64)',
    })
    expect((await alterColumns.verify(made, world.read())).filter((c) => !c.ok)).toEqual([])
  })

  it('makes room for the value that the latest load found too long, and then the load goes through', async () => {
    put(`${CLICKS}1.csv.gz`, [...GOOD, '4,2026-11-20 01:00:00,seventeen letters'])
    expect((await nightly('clicks', CLICKS)).error).toContain('stl_load_errors')
    const made = await plan(alterColumns, { load: 'clicks' })
    expect(made.steps[0]?.detail).toBe('ALTER TABLE "events"."clicks" ALTER COLUMN "note" TYPE character varying(32)')
    await alterColumns.run(made, world.run(made).ctx)
    const again = await plan(copy, { load: 'clicks' })
    await copy.run(again, world.run(again).ctx)
    expect(await rows('select note from events.clicks where id = 4')).toEqual([{ note: 'seventeen letters' }])
  })

  it('makes room for the value that the reader of Parquet found too long', async () => {
    files.set(`${ORDERS}1.parquet`, Buffer.from('{"id":1,"title":"thirteen char","price":1}'))
    await nightly('orders', ORDERS)
    const made = await plan(alterColumns, { load: 'orders' })
    expect(made.steps.map((s) => s.detail)).toEqual([
      'ALTER TABLE "events"."orders" ALTER COLUMN "title" TYPE character varying(16)',
    ])
    await alterColumns.run(made, world.run(made).ctx)
    const again = await plan(copy, { load: 'orders' })
    await copy.run(again, world.run(again).ctx)
    expect(await rows('select title from events.orders')).toEqual([{ title: 'thirteen char' }])
  })

  it('does not guess how long a value is that Redshift has cut', async () => {
    put(`${CLICKS}1.csv.gz`, [...GOOD, `4,2026-11-20 01:00:00,${'x'.repeat(2_000)}`])
    await nightly('clicks', CLICKS)
    await expect(plan(alterColumns, { load: 'clicks' })).rejects.toThrow('Name the length')
    const made = await plan(alterColumns, { load: 'clicks', widen: 'note 4096' })
    expect(made.steps.map((s) => s.id)).toEqual(['widen-note'])
  })

  it('does not guess about a column that somebody else made into something else', async () => {
    const made = await plan(alterColumns, { load: 'orders', widen: 'title 64' })
    await warehouse.ask('alter table events.orders alter column title type varchar(100)')
    expect(await alterColumns.probe(made, 'widen-title', world.read())).toMatchObject({ landed: 'cannot_tell' })
    const [before, after] = [made, await plan(alterColumns, { load: 'orders', widen: 'title 128' })]
    expect(after.targets[0]?.fingerprint).not.toBe(before.targets[0]?.fingerprint)
  })

  it.each([
    ['to narrow', { widen: 'title 4' }, 'it is never made shorter'],
    ['a length that it has', { widen: 'title 8' }, 'has the length 8 already'],
    ['to widen a number', { widen: 'id 20' }, '"id" is integer. Redshift changes the length of VARCHAR only'],
    ['to widen a column that is not there', { widen: 'nope 20' }, 'has no column "nope"'],
    ['a length beyond the longest', { widen: 'title 70000' }, 'not a column and a length from 1 to 65535'],
    ['a column that is there', { add: 'ID int64' }, 'has a column "id" already'],
    ['a type that it does not know', { add: 'a regclass' }, 'is not a name and a type'],
    ['a name that is a statement', { add: '"x";drop int32' }, 'cannot be the name of a column'],
    ['a type that is a statement', { add: 'a int32; drop table events.orders' }, 'is not a name and a type'],
    ['one column twice', { add: 'a int32, a int64' }, '"a" is named twice'],
    ['nothing', {}, 'Nothing to do'],
  ])('refuses %s', async (_, params, why) => {
    await expect(plan(alterColumns, { load: 'orders', ...params })).rejects.toMatchObject({
      name: 'Refused',
      message: expect.stringContaining(why),
    })
    expect(await types()).toEqual({ id: 'integer', title: 'character varying(8)', price: 'real' })
  })

  it('refuses nested columns of files, and says which', async () => {
    await external(['id', 'int'], ['lines', 'array<struct<sku:string>>'])
    await expect(plan(alterColumns, { load: 'orders' })).rejects.toThrow(
      'No plain type holds "lines" (array<struct<sku:string>>)',
    )
  })

  it('gives up at the time limit when another session holds the table, and has then altered nothing', async () => {
    const holder = await warehouse.session('app')
    await holder.query('begin')
    await holder.query('lock table events.orders in access share mode')
    const impatient = createWorld({
      connections: {
        warehouse: {
          kind: 'redshift',
          settings: warehouse.connection(aws.endpoint, { loads: LOADS, statementTimeoutMs: 1_000 }),
        },
      },
      secrets: warehouse.secrets,
    })
    const made = await propose(
      alterColumns,
      { connection: 'warehouse', load: 'orders', add: 'a int32', widen: '' },
      impatient.read(),
    )
    await expect(alterColumns.run(made, impatient.run(made).ctx)).rejects.toThrow('statement timeout')
    await impatient.close()
    expect(await alterColumns.probe(made, 'add-a', world.read())).toMatchObject({ landed: 'no' })
    await holder.end()
  })

  it('calls a statement unanswered whose connection breaks before the answer', async () => {
    const settings = warehouse.connection(aws.endpoint, { loads: LOADS })
    const wire = await breakingWire(warehouse.port, /ADD COLUMN/)
    const far = createWorld({
      connections: { warehouse: { kind: 'redshift', settings: { ...settings, port: wire.port } } },
      secrets: warehouse.secrets,
    })
    try {
      const params = { connection: 'warehouse', load: 'orders', add: 'a int32', widen: '' }
      const made = await propose(alterColumns, params, far.read())
      await expect(alterColumns.run(made, far.run(made).ctx)).rejects.toMatchObject({ name: 'Unanswered' })
    } finally {
      await far.close()
      await wire.close()
    }
  })
})
