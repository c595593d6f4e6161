import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import type pg from 'pg'
import { alterColumns } from '../../../commands/redshift/alter-columns.ts'
import { redshift } from '../../../commands/redshift/connection.ts'
import { copy } from '../../../commands/redshift/copy.ts'
import { copyText, Load } from '../../../commands/redshift/load.ts'
import { loadErrors } from '../../../commands/redshift/load-errors.ts'
import { loads } from '../../../commands/redshift/loads.ts'
import { lockTree } from '../../../commands/redshift/lock-tree.ts'
import { quarantineRejected } from '../../../commands/redshift/quarantine-rejected.ts'
import { rebootCluster } from '../../../commands/redshift/reboot-cluster.ts'
import { isSameLine } from '../../../commands/redshift/records.ts'
import { rejectedRows } from '../../../commands/redshift/rejected-rows.ts'
import { terminateSessions } from '../../../commands/redshift/terminate-sessions.ts'
import type { ChangeCommand, Command, ReadCommand } from '../../../src/domain/command.ts'
import { startS3 } from '../../../src/sandbox/targets/s3.ts'
import { type Mischief, startMischief } from '../../harness/mischief.ts'
import { startSts } from '../aws/sts-server.ts'
import { createWorld, propose, type World } from '../context.ts'
import { pidOf, until } from '../postgres/sessions.ts'
import { copyInto } from './copy.ts'
import { filesOf, LAKE_SECRETS, lakeConnection } from './lake.ts'
import { startRedshift } from './server.ts'
import { startWarehouse, type Warehouse } from './warehouse.ts'

const ROLE = 'arn:aws:iam::123456789012:role/load'
const base = { table: 'events.clicks', iamRole: ROLE, s3: 'lake', format: 'csv' }
const LOADS = {
  clicks: { ...base, from: 's3://lake/clicks/', keys: ['id'] },
  plain: { ...base, from: 's3://lake/plain/', format: 'json' },
  theirs: { ...base, from: 's3://lake/clicks/', orchestrator: 'airflow' },
  listed: { ...base, from: 's3://lake/lists/', manifest: true },
}
const HEADER_FREE = Array.from({ length: 40 }, (_, i) => `${i},2026-11-20 01:00:00,n ${i}`)

let warehouse: Warehouse
let aws: Awaited<ReturnType<typeof startRedshift>>
let s3: Awaited<ReturnType<typeof startS3>>
let world: World
let query = 100
/** Whether loads run on a main cluster, of which STL views know. */
let main = true
const open: pg.Client[] = []

async function run(sql: string) {
  const session = await warehouse.session('postgres')
  try {
    query += 1
    return await copyInto(session, ROLE, sql, query, filesOf(s3), main)
  } finally {
    await session.end()
  }
}
const nightly = (load: keyof typeof LOADS, source: string) => run(copyText(Load.parse(LOADS[load]), source, 0))
const read = (command: Command, params: Record<string, unknown> = {}) =>
  (command as ReadCommand).read(command.params.parse({ connection: 'warehouse', ...params }), world.read())
const plan = (command: ChangeCommand, params: Record<string, unknown> = {}) =>
  propose(command, { connection: 'warehouse', add: '', widen: '', maxErrors: '0', ...params }, world.read())
const put = (key: string, lines: readonly string[]) => s3.put(key, Buffer.from(lines.join('\n')))
/** As if the load had begun a while after the file was written. */
const later = () =>
  warehouse.ask(`update sys_load_error_detail set start_time = start_time + interval '5 seconds';
    update sys_load_history set start_time = start_time + interval '5 seconds', end_time = end_time + interval '5 seconds'`)

const settings = (more: Record<string, unknown> = {}) => ({
  kind: 'redshift',
  settings: warehouse.connection(aws.endpoint, { loads: LOADS, ...more }),
})
const enter = (more: Record<string, unknown> = {}) => {
  world = createWorld({
    connections: { warehouse: settings(more), lake: { kind: 's3', settings: lakeConnection(s3) } },
    secrets: { ...warehouse.secrets, ...LAKE_SECRETS },
    requestedAt: new Date(),
  })
}

beforeAll(async () => {
  warehouse = await startWarehouse()
  s3 = await startS3('lake')
  aws = await startRedshift({ run, reboot: () => warehouse.reboot() })
})
afterAll(async () => {
  await aws.close()
  await s3.close()
  await warehouse.stop()
})
beforeEach(async () => {
  main = true
  aws.state.statements.length = 0
  Object.assign(aws.state, { laterMs: 0, most: 500, pageSize: 100, users: null, queryId: null, status: 'available' })
  await warehouse.shows('provisioned')
  await warehouse.reset(`create table events.clicks (id int not null, at timestamp not null, note varchar(16))`)
  enter()
})
afterEach(async () => {
  await world.close()
  for (const client of open.splice(0)) await client.end().catch(() => {})
})

describe('the settings of a redshift connection', () => {
  const parse = (more: Record<string, unknown>) => {
    const { cluster: _, ...rest } = warehouse.connection('http://127.0.0.1:1') as Record<string, unknown>
    return redshift.settings.safeParse({ ...rest, ...more })
  }
  it.each([
    ['neither a cluster nor a workgroup', {}, 'set either cluster (provisioned) or workgroup (Serverless)'],
    ['both', { cluster: 'wh-1', workgroup: 'wg-1' }, 'one of them only'],
    ['a reboot of a workgroup', { workgroup: 'wg-1', reboot: true }, 'nothing to reboot'],
  ])('refuse %s', (_, more, says) => {
    expect(JSON.stringify(parse(more).error?.issues)).toContain(says)
  })

  it('take a workgroup of Serverless', () => {
    expect(parse({ workgroup: 'wg-1' }).success).toBe(true)
  })

  it.each([
    ['GZIP of Parquet', { format: 'parquet', options: ['GZIP'] }, 'takes no GZIP'],
    ['another region of Parquet', { format: 'parquet', region: 'eu-west-1' }, 'of its own region only'],
    ['JSONPaths of CSV', { jsonPaths: 's3://lake/paths.json' }, 'only for the format json'],
    [
      'JSONPaths among the data',
      { format: 'json', jsonPaths: 's3://lake/clicks/p.json' },
      'would load it as a data file',
    ],
    ['a NULL AS that is a statement', { nullAs: "'; drop table x; --\\" }, 'a text without control characters'],
  ])('refuse %s', (_, more, says) => {
    expect(JSON.stringify(Load.safeParse({ ...LOADS.clicks, ...more }).error?.issues)).toContain(says)
  })

  it('make a COPY of a manifest, a region, JSONPaths and a text for NULL', () => {
    const load = Load.parse({
      ...LOADS.plain,
      manifest: true,
      region: 'eu-west-1',
      jsonPaths: 's3://lake/paths.json',
      nullAs: '\\N',
    })
    expect(copyText(load, 's3://lake/plain/list.json', 0)).toBe(
      `COPY "events"."clicks"\nFROM 's3://lake/plain/list.json'\nIAM_ROLE '${ROLE}'\nMANIFEST\nREGION AS 'eu-west-1'\nFORMAT AS JSON 's3://lake/paths.json'\nNULL AS '\\\\N'`,
    )
  })
})

describe('a load whose ids and tables are those of SYS views', () => {
  it('is told by its own errors, though STL has other ids for it', async () => {
    await put('clicks/a/1.csv', [...HEADER_FREE, '2147483648,2026-11-20 01:00:00,x'])
    await nightly('clicks', 's3://lake/clicks/a/')
    const first = query
    // The later one has the smaller id in STL.
    await put('clicks/b/1.csv', ['7,2026-11-20 01:00:00,seventeen letters'])
    await nightly('clicks', 's3://lake/clicks/b/')
    expect((await read(loadErrors, { load: 'clicks' })).summary).toContain(`the load ${query}`)
    expect((await read(loadErrors, { load: 'clicks' })).summary).toContain('in column note, line 1')
    const named = await read(loadErrors, { load: 'clicks', query: String(first) })
    expect(named.summary).toContain(`the load ${first}`)
    expect(named.summary).toContain('in column id, line 41')
    await expect(read(loadErrors, { load: 'clicks', query: String(7_000_000 - query) })).rejects.toThrow(
      /shows no load with the id \d+\. It is query_id of SYS_LOAD_HISTORY/,
    )
  })

  it('keeps the digits of an id above 2^53', async () => {
    await put('clicks/c/1.csv', ['2147483648,2026-11-20 01:00:00,x'])
    await nightly('clicks', 's3://lake/clicks/c/')
    const id = '9007199254740993'
    for (const table of ['sys_load_history', 'sys_load_error_detail', 'sys_query_log'])
      await warehouse.ask(`update ${table} set query_id = ${id}`)
    expect((await read(loadErrors, { load: 'clicks' })).summary).toContain(`the load ${id} at`)
    expect((await read(loadErrors, { query: id })).summary).toContain(`the load ${id} at`)
    expect((await read(loads, { load: 'clicks' })).summary).toContain(`The latest, ${id}, is aborted`)
  })

  it('counts rows above 2^53 exactly', async () => {
    await warehouse.ask(`insert into sys_load_history (query_id, status, table_name, start_time, data_source, loaded_rows)
      values (1, 'completed', 'clicks', '2026-01-01', 's3://lake/clicks/', 9007199254740993)`)
    expect((await read(loads, { load: 'clicks' })).summary).toContain('with 9007199254740993 rows')
  })

  it('is not taken for one of another database', async () => {
    await warehouse.ask(`insert into sys_load_history (query_id, status, table_name, start_time, data_source, database_name)
      values (1, 'aborted', 'clicks', '2026-01-01', 's3://lake/clicks/', 'dev')`)
    expect((await read(loadErrors, { load: 'clicks' })).summary).toContain('No load of events.clicks')
  })

  it('says when its files were loaded since, and mends nothing then', async () => {
    await put('clicks/d/1.csv', [...HEADER_FREE, '2147483648,2026-11-20 01:00:00,x'])
    await nightly('clicks', 's3://lake/clicks/d/')
    await put('clicks/d/1.csv', HEADER_FREE)
    await nightly('clicks', 's3://lake/clicks/d/')
    expect((await read(loadErrors, { load: 'clicks' })).summary).toContain(
      `Its files were loaded since, by query ${query}`,
    )
    await expect(plan(quarantineRejected, { load: 'clicks' })).rejects.toThrow('There is nothing to mend')
  })

  it('says that there are more errors than it reads', async () => {
    await put(
      'clicks/e/1.csv',
      Array.from({ length: 230 }, () => '2147483648,2026-11-20 01:00:00,x'),
    )
    await nightly('clicks', 's3://lake/clicks/e/')
    expect((await read(loadErrors, { load: 'clicks' })).summary).toContain('More than 200 errors of the load')
  })
})

describe('lines with characters of several bytes', () => {
  const LINES: [string, string, boolean][] = [
    ['{"name":"José"}', '{"name":"Jos."}', true],
    ['{"name":"José"}', '{"name":"Jos.."}', true],
    ['{"name":"José"}', '{"name":"José"}', true],
    ['{"name":"José"}', '{"name":"Jos..."}', false],
    ['{"name":"José"}', '{"name":"Jose"}', false],
    ['日本語,1', '...,1', true],
    ['日本語,1', '.........,1', true],
    ['日本語,1', '...,2', false],
    ['😀.é.x', '....x', true],
    ['plain.dot', 'plain.dot', true],
    ['plainxdot', 'plain.dot', false],
    [`${'é.'.repeat(400)}x`, `${'.'.repeat(800)}y`, false],
    [`${'日'.repeat(2_000)}`, '.'.repeat(1_024), true],
    [`a${'日'.repeat(2_000)}`, 'b'.concat('.'.repeat(1_023)), false],
  ]
  it.each(LINES.map((row) => [row[0].slice(0, 20), row[1].slice(0, 20), ...row] as const))(
    '%j is the line that is kept as %j, or not',
    (_, __, line, raw, same) => {
      expect(isSameLine(line, raw)).toBe(same)
    },
  )

  it('are set aside, with the rest of the file as it was', async () => {
    const bad = '2147483648,2026-11-20 01:00:00,José 日本 😀'
    await put('clicks/f/1.csv', [...HEADER_FREE, bad, '41,2026-11-20 01:00:00,é'])
    await nightly('clicks', 's3://lake/clicks/f/')
    expect((await read(rejectedRows, { load: 'clicks' })).blocks[0]).toMatchObject({
      rows: [['s3://lake/clicks/f/1.csv', '42', '1', 'yes', '0']],
    })
    const made = await plan(quarantineRejected, { load: 'clicks' })
    await quarantineRejected.run(made, world.run(made).ctx)
    expect((await s3.bytes('clicks/f/1.csv')).toString()).toBe([...HEADER_FREE, '41,2026-11-20 01:00:00,é'].join('\n'))
  })

  it('have their bytes counted in the file, and not in what Redshift keeps', async () => {
    // 12 characters, 24 bytes; kept as 12 periods, which would fit.
    await put('clicks/g/1.csv', [...HEADER_FREE, `50,2026-11-20 01:00:00,${'é'.repeat(12)}`])
    await nightly('clicks', 's3://lake/clicks/g/')
    const made = await plan(alterColumns, { load: 'clicks' })
    expect(made.steps.map((s) => s.detail)).toEqual([
      'ALTER TABLE "events"."clicks" ALTER COLUMN "note" TYPE character varying(32)',
    ])
    await alterColumns.run(made, world.run(made).ctx)
    expect((await alterColumns.verify(made, world.read())).every((c) => c.ok)).toBe(true)
  })

  it('are not set aside where the record goes over several lines', async () => {
    await put('plain/1.json', ['{', '"id": 2147483648,', '"at": "2026-11-20"', '}'])
    await warehouse.ask(`insert into sys_load_history (query_id, transaction_id, status, table_name, start_time, end_time, data_source)
        values (1, 1, 'aborted', 'clicks', '2026-11-20 01:00', '2026-11-20 01:00', 's3://lake/plain/');
      insert into sys_load_error_detail (query_id, table_id, start_time, file_name, line_number, column_name, error_code, error_message)
        values (1, 'events.clicks'::regclass::oid::int, now(), 's3://lake/plain/1.json', 4, 'id', 1207, 'Invalid digit');
      insert into stl_load_errors (query, tbl, starttime, filename, line_number, colname, raw_line, raw_field_value)
        values (9, 'events.clicks'::regclass::oid::int, '2026-11-20 01:00', 's3://lake/plain/1.json', 4, 'id', '}', '')`)
    await expect(plan(quarantineRejected, { load: 'plain' })).rejects.toThrow('a record that goes over several lines')
  })
})

describe('Redshift Serverless', () => {
  beforeEach(async () => {
    main = false
    await warehouse.shows('serverless')
    await world.close()
    enter({ workgroup: 'wg-1' })
  })

  it('shows why a load failed, and what it does not keep', async () => {
    await put('clicks/h/1.csv', [...HEADER_FREE, '2147483648,2026-11-20 01:00:00,x'])
    await nightly('clicks', 's3://lake/clicks/h/')
    const { summary, blocks } = await read(loadErrors, { load: 'clicks', s3log: 'yes' })
    expect(summary).toContain(`One error of the load ${query}`)
    expect(blocks[0]).toMatchObject({
      rows: [['s3://lake/clicks/h/1.csv', '41', 'id', 'integer', 'not kept', expect.any(String)]],
    })
    expect(blocks[1]).toMatchObject({ type: 'text', text: expect.stringContaining('keeps no copy of these lines') })
  })

  it('has the rejected line set aside while its file is older than the load, and not any more after that', async () => {
    const bad = '2147483648,2026-11-20 01:00:00,x'
    await put('clicks/i/1.csv', [...HEADER_FREE, bad])
    await nightly('clicks', 's3://lake/clicks/i/')
    await later()
    const made = await plan(quarantineRejected, { load: 'clicks' })
    expect(made.targets[0]?.details['Line numbers']).toBe('41')
    await quarantineRejected.run(made, world.run(made).ctx)
    expect((await s3.bytes('clicks/i/1.csv')).toString()).toBe(`${HEADER_FREE.join('\n')}\n`)
    await put('clicks/i/1.csv', [...HEADER_FREE, bad])
    await warehouse.ask(
      `update sys_load_history set start_time = '2026-01-01'; update sys_load_error_detail set start_time = '2026-01-01'`,
    )
    await expect(plan(quarantineRejected, { load: 'clicks' })).rejects.toThrow(
      /keeps no copy of line 41 .* written after the load began/,
    )
  })

  it('has its columns widened by the bytes in the file', async () => {
    await put('clicks/j/1.csv', [...HEADER_FREE, `50,2026-11-20 01:00:00,${'é'.repeat(12)}`])
    await nightly('clicks', 's3://lake/clicks/j/')
    await later()
    expect((await plan(alterColumns, { load: 'clicks' })).steps[0]?.detail).toContain('character varying(32)')
  })

  it('runs a load by the name of its workgroup, and has no database user to choose', async () => {
    await put('clicks/k/1.csv', HEADER_FREE)
    const made = await plan(copy, { load: 'clicks', source: 's3://lake/clicks/k/' })
    expect(made.targets[0]?.details).toMatchObject({ workgroup: 'wg-1' })
    await copy.run(made, world.run(made).ctx)
    expect(aws.asked('ExecuteStatement')).toMatchObject({ WorkgroupName: 'wg-1', Database: 'postgres' })
    expect(Object.keys(aws.asked('ExecuteStatement') ?? {})).not.toContain('ClusterIdentifier')
    expect(Object.keys(aws.asked('ExecuteStatement') ?? {})).not.toContain('DbUser')
    expect(aws.asked('ListStatements')).toMatchObject({ WorkgroupName: 'wg-1' })
    expect((await copy.verify(made, world.read())).map((c) => c.ok)).toEqual([true, true, true])
  })

  it('shows who blocks whom, and ends the session that was shown', async () => {
    const root = await warehouse.session('app')
    const waits = await warehouse.session('app')
    open.push(root, waits)
    await root.query('begin; lock table events.clicks in access exclusive mode')
    const done = waits.query('select count(*) from events.clicks').then(() => 'read')
    await until(warehouse, `exists (select from pg_locks where pid = ${pidOf(waits)} and not granted)`)
    expect((await read(lockTree)).summary).toContain(`At the root: ${pidOf(root)} (app, idle in transaction)`)
    const made = await plan(terminateSessions, { pids: 'roots' })
    const other = structuredClone(made) as typeof made & { data: { sessions: { began: string }[] } }
    other.data.sessions[0]!.began = '2020-01-01 00:00:00'
    expect(await terminateSessions.run(other, world.run(other).ctx)).toContain('was left alone')
    await terminateSessions.run(made, world.run(made).ctx)
    expect(await done).toBe('read')
    expect((await terminateSessions.verify(made, world.read())).map((c) => c.ok)).toEqual([true, true])
  })

  it('has nothing to reboot', async () => {
    await expect(plan(rebootCluster)).rejects.toThrow('may not reboot its cluster')
  })
})

describe('a load of another transaction, or of another orchestrator', () => {
  const fail = async (name: string) => {
    await put(`clicks/${name}/1.csv`, HEADER_FREE)
    await nightly('clicks', `s3://lake/clicks/${name}/`)
    await warehouse.ask("update sys_transaction_history set status = 'rolledback'; truncate events.clicks")
  }

  it('is not loaded when its transaction was rolled back', async () => {
    await fail('l')
    await warehouse.shows('superuser')
    expect((await read(loads, { load: 'clicks' })).summary).toContain(`The latest, ${query}, is rolled back.`)
    const made = await plan(copy, { load: 'clicks', source: 's3://lake/clicks/l/' })
    expect(made.targets[0]?.details['latest load']).toContain('rolled back')
    await copy.run(made, world.run(made).ctx)
    expect((await copy.verify(made, world.read())).map((c) => c.ok)).toEqual([true, true, true])
  })

  it('may be so where this user cannot see it, and somebody says it', async () => {
    await fail('m')
    const params = { load: 'clicks', source: 's3://lake/clicks/m/' }
    await expect(plan(copy, params)).rejects.toThrow(/which this user cannot see: .* say rolledBack: yes/)
    expect((await plan(copy, { ...params, rolledBack: 'yes' })).warnings[0]).toContain('were loaded before')
  })

  it('is doubled by nobody who can see that it was committed', async () => {
    await put('clicks/n/1.csv', HEADER_FREE)
    await nightly('clicks', 's3://lake/clicks/n/')
    await warehouse.shows('superuser')
    await expect(plan(copy, { load: 'clicks', source: 's3://lake/clicks/n/', rolledBack: 'yes' })).rejects.toThrow(
      'Loading it again would double them.',
    )
  })

  it('is left to its orchestrator', async () => {
    await expect(plan(copy, { load: 'theirs' })).rejects.toThrow(
      /is run by Airflow: a COPY beside it leaves its task failed .*airflow\.clear-tasks/,
    )
  })

  it('loads what a manifest lists', async () => {
    await put('clicks/o/1.csv', HEADER_FREE)
    await s3.put('lists/1.json', Buffer.from(JSON.stringify({ entries: [{ url: 's3://lake/clicks/o/1.csv' }] })))
    const made = await plan(copy, { load: 'listed', source: 's3://lake/lists/1.json' })
    expect(made.steps[0]?.detail).toContain('\nMANIFEST\n')
    await copy.run(made, world.run(made).ctx)
    expect((await warehouse.ask('select count(*)::int as n from events.clicks')).rows).toEqual([{ n: 40 }])
  })
})

describe('what Redshift does not widen', () => {
  const widen = () => plan(alterColumns, { load: 'clicks', widen: 'note 64' })
  it.each([
    ['an encoding', "insert into encodings values ('clicks', 'note', 'bytedict')", 'its encoding is BYTEDICT'],
    ['a default value', "alter table events.clicks alter note set default 'x'", "it has a default value ('x'"],
    ['a primary key', 'alter table events.clicks add primary key (note)', 'it is part of a PRIMARY KEY'],
    ['a unique one', 'alter table events.clicks add unique (id, note)', 'it is part of a UNIQUE'],
    [
      'a foreign key',
      'create table events.notes (note varchar(16) primary key); alter table events.clicks add foreign key (note) references events.notes',
      'it is part of a FOREIGN KEY',
    ],
    ['a view', 'create view events.short as select note from events.clicks', 'the view short uses it'],
  ])('is refused in the plan: a column of %s', async (_, ddl, says) => {
    await warehouse.ask(ddl)
    await expect(widen()).rejects.toMatchObject({ name: 'Refused', message: expect.stringContaining(says) })
  })

  it('is warned of: a sort key, a longest VARCHAR, and what could not be looked at', async () => {
    await warehouse.ask("insert into encodings values ('clicks', 'note', 'zstd', 1)")
    expect((await widen()).warnings).toContainEqual(expect.stringContaining('"note" is part of the sort key'))
    const longest = await plan(alterColumns, { load: 'clicks', add: 'doc json' })
    expect(longest.warnings).toContainEqual(expect.stringContaining('"doc" gets the longest VARCHAR'))
    await warehouse.ask('revoke select on svv_redshift_columns from keyturn')
    try {
      expect((await widen()).warnings).toContainEqual(expect.stringContaining('could not be looked at'))
    } finally {
      await warehouse.ask('grant select on svv_redshift_columns to keyturn')
    }
  })
})

describe('the Data API', () => {
  const source = 's3://lake/clicks/p/'
  beforeEach(async () => {
    await put('clicks/p/1.csv', HEADER_FREE)
  })
  const counted = async () => (await warehouse.ask('select count(*)::int as n from events.clicks')).rows[0]?.n

  it('is not sent a statement twice when its token has expired, but not its memory', async () => {
    const made = await plan(copy, { load: 'clicks', source })
    await copy.run(made, world.run(made).ctx)
    aws.state.laterMs = 9 * 3_600_000
    await copy.run(made, world.run(made).ctx)
    expect(aws.state.statements).toHaveLength(1)
    expect(await counted()).toBe(40)
  })

  it('is not asked to do again what it forgot', async () => {
    const made = await plan(copy, { load: 'clicks', source })
    await world.close()
    aws.state.laterMs = 25 * 3_600_000
    world = createWorld({
      connections: { warehouse: settings(), lake: { kind: 's3', settings: lakeConnection(s3) } },
      secrets: { ...warehouse.secrets, ...LAKE_SECRETS },
      requestedAt: new Date(),
      now: () => new Date(Date.now() + aws.state.laterMs),
    })
    await expect(copy.run(made, world.run(made).ctx)).rejects.toMatchObject({ name: 'Unanswered' })
    expect(await copy.probe(made, 'copy', world.read())).toMatchObject({ landed: 'cannot_tell' })
    expect(await counted()).toBe(0)
  })

  it('finds a statement among more than a page of them', async () => {
    aws.state.pageSize = 1
    const made = await plan(copy, { load: 'clicks', source })
    await copy.run(made, world.run(made).ctx)
    const [mine] = aws.state.statements
    for (let i = 0; i < 3; i += 1)
      aws.state.statements.push({ ...mine!, Id: `other-${i}`, StatementName: `${mine!.StatementName}-${i}` })
    expect(await copy.probe(made, 'copy', world.read())).toMatchObject({ landed: 'yes' })
  })

  it.each([
    ['throttled', 400, '{"__type":"ThrottlingException","message":"Rate exceeded"}'],
    ['broken down', 503, '<html>503</html>'],
    [
      'out of date with the token',
      400,
      '{"__type":"ExpiredTokenException","message":"The security token included in the request is expired"}',
    ],
  ])('is waited for while it is %s', async (_, status, body) => {
    const made = await plan(copy, { load: 'clicks', source })
    const letGo = aws.hold()
    const { ctx, recording } = world.run(made)
    const running = copy.run(made, ctx)
    while (aws.sent('DescribeStatement') === 0) await new Promise((done) => setImmediate(done))
    aws.fail('DescribeStatement', 12, status, body)
    while (!recording.progress.some((p) => /No answer|STARTED|SUBMITTED|PICKED/.test(p.note ?? '')))
      await new Promise((done) => setImmediate(done))
    letGo()
    await running
    expect(await counted()).toBe(40)
    expect(aws.sent('ExecuteStatement')).toBeGreaterThan(0)
    expect(aws.state.statements).toHaveLength(1)
    aws.fail('', 0, 200, '')
  })

  it('is waited for while it runs as many statements as it may', async () => {
    const made = await plan(copy, { load: 'clicks', source })
    aws.state.most = 0
    const { ctx, recording } = world.run(made)
    const running = copy.run(made, ctx)
    while (recording.progress.length === 0) await new Promise((done) => setImmediate(done))
    expect(recording.progress[0]?.note).toContain('as many statements as it may')
    aws.state.most = 500
    await running
    expect(await counted()).toBe(40)
  })

  it('says which right its log-in lacks', async () => {
    aws.state.users = ['redshift_data_api_user']
    const made = await plan(copy, { load: 'clicks', source })
    await expect(copy.run(made, world.run(made).ctx)).rejects.toThrow(
      /lacks redshift:GetClusterCredentials on dbuser:wh-1\/keyturn\. AmazonRedshiftDataFullAccess gives it for the user redshift_data_api_user only/,
    )
  })

  it('is not believed about an id that a number cannot hold: the load is told by its files and its time', async () => {
    const made = await plan(copy, { load: 'clicks', source })
    await copy.run(made, world.run(made).ctx)
    aws.state.queryId = 9_007_199_254_740_992
    expect((await copy.verify(made, world.read())).map((c) => c.ok)).toEqual([true, true, true])
    await warehouse.ask("update sys_load_history set start_time = '2026-01-01'")
    expect((await copy.verify(made, world.read())).map((c) => c.ok)).toEqual([false, false, false])
  })
})

describe('the Data API behind a proxy', () => {
  const source = 's3://lake/clicks/q/'
  const PLAYS: readonly Mischief[] = ['throttled', 'unavailable', 'expired', 'slow', 'extra', 'partial', 'lost']
  it.each(PLAYS)('that plays %s does not cost the load, and loads once', async (mischief) => {
    await put('clicks/q/1.csv', HEADER_FREE)
    const proxy = await startMischief(aws.endpoint, 'aws-json')
    try {
      await world.close()
      enter({ endpoint: proxy.url })
      const made = await plan(copy, { load: 'clicks', source })
      proxy.play(mischief, { times: 2 })
      await copy.run(made, world.run(made).ctx)
      expect(aws.state.statements).toHaveLength(1)
      expect((await warehouse.ask('select count(*)::int as n from events.clicks')).rows).toEqual([{ n: 40 }])
    } finally {
      await world.close()
      await proxy.close()
    }
  })

  it.each(['nulls', 'unknown'] as const)('that plays %s is never believed to have loaded', async (mischief) => {
    await put('clicks/q/1.csv', HEADER_FREE)
    const proxy = await startMischief(aws.endpoint, 'aws-json')
    try {
      await world.close()
      enter({ endpoint: proxy.url })
      const made = await plan(copy, { load: 'clicks', source })
      proxy.play(mischief)
      const found = await copy.probe(made, 'copy', world.read())
      expect(found.landed).not.toBe('yes')
      const checks = await copy.verify(made, world.read())
      expect(checks.map((c) => c.ok)).not.toContain(true)
    } finally {
      await world.close()
      await proxy.close()
    }
  })
})

it('a run takes on its role with no more rights than its plan needs', async () => {
  const roleArn = 'arn:aws:iam::444455556666:role/keyturn'
  const sts = await startSts({ [roleArn]: null })
  try {
    await world.close()
    enter({ reboot: true, roleArn, stsEndpoint: sts.endpoint })
    const made = await plan(rebootCluster)
    await world.close()
    await rebootCluster.run(made, world.run(made).ctx)
    expect(JSON.parse(sts.sent('AssumeRole').at(-1)?.get('Policy') ?? '{}').Statement).toMatchObject([
      { Action: ['redshift:RebootCluster'], Resource: ['arn:aws:redshift:us-east-1:*:cluster:wh-1'] },
      { Action: ['redshift:DescribeClusters', 'redshift:DescribeEvents'] },
    ])
  } finally {
    await world.close()
    await sts.close()
  }
})

describe('a session of Redshift', () => {
  it('that the server ended is opened anew for the next look', async () => {
    expect((await read(loads, { load: 'clicks' })).summary).toContain('No load')
    await warehouse.reboot()
    expect((await read(loads, { load: 'clicks' })).summary).toContain('No load')
  })

  it('says which right its user lacks', async () => {
    await warehouse.ask('revoke select on sys_load_history from keyturn')
    try {
      await expect(read(loads, { load: 'clicks' })).rejects.toThrow(
        /permission denied for .* sys_load_history: grant role sys:monitor to keyturn/,
      )
    } finally {
      await warehouse.ask('grant select on sys_load_history to keyturn')
    }
  })
})

describe('the cluster', () => {
  const at = (status: string) => {
    aws.state.status = status
    return plan(rebootCluster)
  }
  beforeEach(async () => {
    await world.close()
    enter({ reboot: true })
  })

  it.each([
    ['resuming', 'is resuming: it comes up by itself'],
    ['paused', 'is paused: resume it first'],
    ['available, prep-for-resize', 'is available, prep-for-resize; only an available one'],
    ['something new', 'is something new; only an available one'],
  ])('is not rebooted while it is %s', async (status, says) => {
    await expect(at(status)).rejects.toMatchObject({ name: 'Refused', message: expect.stringContaining(says) })
  })

  it('was not rebooted because an event has that word', async () => {
    const old = await warehouse.session('app')
    open.push(old)
    await old.query('begin; select 1')
    await world.close()
    enter({ reboot: true })
    const made = await plan(rebootCluster)
    aws.state.events.push({ at: new Date().toISOString(), message: 'The cluster will be rebooted in the next window.' })
    expect(await rebootCluster.probe(made, 'reboot', world.read())).toMatchObject({
      landed: 'cannot_tell',
      detail: expect.stringContaining('AWS wrote: '),
    })
    aws.state.events.length = 0
  })

  it('is waited for while AWS cannot say how it is', async () => {
    const made = await plan(rebootCluster)
    const { ctx, recording } = world.run(made)
    aws.fail('DescribeClusters', 14, 503, '<html>503</html>')
    await rebootCluster.run(made, ctx)
    expect(recording.progress.some((p) => /No answer for now/.test(p.note ?? ''))).toBe(true)
    aws.fail('', 0, 200, '')
  })
})
