import { readFile } from 'node:fs/promises'
import { gunzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { alterColumns } from '../../../commands/redshift/alter-columns.ts'
import { copy } from '../../../commands/redshift/copy.ts'
import { copyText, Load } from '../../../commands/redshift/load.ts'
import { quarantineRejected } from '../../../commands/redshift/quarantine-rejected.ts'
import { isHollow, isSameLine, valuesOf } from '../../../commands/redshift/records.ts'
import { rejectedRows } from '../../../commands/redshift/rejected-rows.ts'
import { tableColumns } from '../../../commands/redshift/table-columns.ts'
import type { ChangeCommand, ReadCommand } from '../../../src/domain/command.ts'
import { digest } from '../../../src/domain/plan.ts'
import { startS3 } from '../../../src/sandbox/targets/s3.ts'
import { createWorld, propose, type World } from '../context.ts'
import { copyInto } from './copy.ts'
import { filesOf, LAKE_SECRETS, lakeConnection } from './lake.ts'
import { startRedshift } from './server.ts'
import { startWarehouse, type Warehouse } from './warehouse.ts'

const ROLE = 'arn:aws:iam::123456789012:role/load'
const base = { table: 'events.clicks', from: 's3://lake/clicks/', iamRole: ROLE, s3: 'lake', keys: ['id'] }
const LOADS = {
  clicks: { ...base, format: 'csv', options: ['GZIP'], ignoreHeader: 1 },
  plain: { ...base, format: 'json', from: 's3://lake/plain/' },
  blind: { ...base, format: 'csv', s3: undefined },
  parquet: { ...base, table: 'events.orders', from: 's3://lake/orders/', format: 'parquet' },
  all: { ...base, format: 'csv', from: 's3://lake/', options: ['GZIP'], ignoreHeader: 1 },
}

let warehouse: Warehouse
let aws: Awaited<ReturnType<typeof startRedshift>>
let s3: Awaited<ReturnType<typeof startS3>>
let world: World
let query = 100

async function run(sql: string) {
  const session = await warehouse.session('postgres')
  try {
    query += 1
    return await copyInto(session, ROLE, sql, query, filesOf(s3))
  } finally {
    await session.end()
  }
}
const nightly = (load: keyof typeof LOADS, source: string) => run(copyText(Load.parse(LOADS[load]), source, 0))
const plan = (params: Record<string, unknown>) =>
  propose(quarantineRejected, { connection: 'warehouse', ...params }, world.read())
const look = (load: string) =>
  (rejectedRows as ReadCommand).read(rejectedRows.params.parse({ connection: 'warehouse', load }), world.read())

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
  await warehouse.reset(`create table events.clicks (id int not null, at timestamp not null, note varchar(16));
    create table events.orders (id int, n bigint, title varchar(8), price real)`)
  world = createWorld({
    connections: {
      warehouse: { kind: 'redshift', settings: warehouse.connection(aws.endpoint, { loads: LOADS }) },
      lake: { kind: 's3', settings: lakeConnection(s3) },
    },
    secrets: { ...warehouse.secrets, ...LAKE_SECRETS },
    requestedAt: new Date(),
  })
})
afterEach(() => world.close())

const HEADER = 'id,at,note'
const good = (n: number) => Array.from({ length: n }, (_, i) => `${i},2026-11-20 01:00:00,"n ${i}"`)
const BAD = '2147483648,2026-11-20 01:00:00,x'

describe('redshift.quarantine-rejected', () => {
  it('sets exactly the rejected line aside, keeps the original, and the load then goes through', async () => {
    const key = 'clicks/dt=1/a.csv.gz'
    const lines = [HEADER, ...good(30), BAD, ...good(20)]
    await s3.putLines(key, lines)
    const original = await s3.bytes(key)
    expect((await nightly('clicks', 's3://lake/clicks/dt=1/')).error).toContain('stl_load_errors')
    expect((await look('clicks')).blocks[0]).toMatchObject({ rows: [[`s3://lake/${key}`, '52', '1', 'yes', '0']] })

    const made = await plan({ load: 'clicks' })
    expect(made.targets[0]).toMatchObject({
      id: `s3:lake/lake/${key}`,
      details: { 'Line numbers': '32', Load: `clicks, query ${query}`, Table: 'events.clicks' },
    })
    expect(made.steps[1]?.detail).toContain("Invalid digit, Value '8', Type: Integer (id): 2147483648,2026")
    expect(digest(await plan({ load: 'clicks' }))).toBe(digest(made))
    const landed = async () =>
      Promise.all(
        ['copy', 'set-aside', 'rewrite'].map(
          async (s) => (await quarantineRejected.probe(made, s, world.read())).landed,
        ),
      )
    expect(await landed()).toEqual(['no', 'no', 'no'])
    expect((await quarantineRejected.verify(made, world.read())).some((c) => c.ok)).toBe(false)
    await quarantineRejected.run(made, world.run(made).ctx)
    expect(await landed()).toEqual(['yes', 'yes', 'yes'])
    expect((await quarantineRejected.verify(made, world.read())).every((c) => c.ok)).toBe(true)
    expect(
      gunzipSync(await s3.bytes(key))
        .toString()
        .split('\n'),
    ).toEqual(lines.toSpliced(31, 1))
    const { copyKey, badKey } = made.data as { copyKey: string; badKey: string }
    expect(await s3.bytes(copyKey)).toEqual(original)
    expect((await s3.bytes(badKey)).toString()).toBe(`${BAD}\n`)

    const again = await propose(copy, { connection: 'warehouse', load: 'clicks', maxErrors: '0' }, world.read())
    await copy.run(again, world.run(again).ctx)
    expect((await warehouse.ask('select count(*)::int as n from events.clicks')).rows).toEqual([{ n: 50 }])
  })

  it('takes every row along that has nothing but its key, when it is asked to', async () => {
    const key = 'clicks/dt=2/a.csv.gz'
    const lines = [HEADER, ...good(40), '90,,', ...good(10), '91,,', '92,,""', ',,']
    await s3.putLines(key, lines)
    await nightly('clicks', 's3://lake/clicks/dt=2/')
    // One error ends a load, but the file has more of them.
    await warehouse.ask('delete from sys_load_error_detail where line_number > 42')
    expect((await look('clicks')).blocks[0]).toMatchObject({ rows: [[expect.any(String), '55', '1', 'yes', '2']] })
    const one = await plan({ load: 'clicks' })
    expect(one.targets[0]?.details['Line numbers']).toBe('42')
    const all = await plan({ load: 'clicks', hollow: 'yes', maxBadShare: '0.1' })
    expect(all.targets[0]?.details['Line numbers']).toBe('42, 53, 54')
    await expect(plan({ load: 'clicks', hollow: 'yes' })).rejects.toThrow('above the limit of 5 %')
    await quarantineRejected.run(all, world.run(all).ctx)
    expect(
      gunzipSync(await s3.bytes(key))
        .toString()
        .split('\n'),
    ).toEqual([HEADER, ...good(40), ...good(10), ',,'])
  })

  it('works on files that are not compressed, and on JSON lines', async () => {
    const key = 'plain/a.json'
    const lines = Array.from({ length: 30 }, (_, i) => JSON.stringify({ id: i, at: '2026-11-20', note: 'é' }))
    lines.splice(10, 0, '{"id":77,"at":null,"note":""}')
    await s3.put(key, Buffer.from(lines.join('\n')))
    await nightly('plain', 's3://lake/plain/')
    const made = await plan({ load: 'plain', hollow: 'yes' })
    await quarantineRejected.run(made, world.run(made).ctx)
    expect((await s3.bytes(key)).toString()).toBe(lines.toSpliced(10, 1).join('\n'))
    expect((await quarantineRejected.verify(made, world.read())).every((c) => c.ok)).toBe(true)
  })

  it('refuses a file that was written anew since, also one whose line has only another value', async () => {
    const key = 'clicks/dt=3/a.csv.gz'
    await s3.putLines(key, [HEADER, ...good(30), BAD])
    await nightly('clicks', 's3://lake/clicks/dt=3/')
    await s3.putLines(key, [HEADER, ...good(30), BAD.replace('x', 'y')])
    await expect(plan({ load: 'clicks' })).rejects.toThrow('is no longer the one that Redshift rejected')
    expect((await look('clicks')).blocks[0]).toMatchObject({
      rows: [[expect.any(String), '–', '1', 'no, the file was written anew', '–']],
    })
    await s3.putLines(key, [HEADER, ...good(3)])
    await expect(plan({ load: 'clicks' })).rejects.toThrow('Nothing to do')
  })

  it('goes on to the next file once the first one is mended', async () => {
    for (const name of ['a', 'b'])
      await s3.putLines(`clicks/dt=4/${name}.csv.gz`, [HEADER, ...good(30), BAD, ...good(1)])
    await nightly('clicks', 's3://lake/clicks/dt=4/')
    const first = await plan({ load: 'clicks' })
    expect(first.warnings).toContain('1 more files have rejected lines: ask for this step again for each of them.')
    await quarantineRejected.run(first, world.run(first).ctx)
    const second = await plan({ load: 'clicks' })
    expect([first, second].map((p) => p.targets[0]?.name)).toEqual([
      's3://lake/clicks/dt=4/a.csv.gz',
      's3://lake/clicks/dt=4/b.csv.gz',
    ])
  })

  it.each([
    ['a load that never failed', { load: 'clicks' }, 'names no line of the load "clicks"'],
    ['a load whose files no connection sees', { load: 'blind' }, 'names no S3 connection'],
    ['columnar files', { load: 'parquet' }, 'Files in parquet have no lines'],
    ['a load that is not configured', { load: 'others' }, 'no load named "others"'],
  ])('refuses %s', async (_, params, why) => {
    await expect(plan(params)).rejects.toMatchObject({ name: 'Refused', message: expect.stringContaining(why) })
  })

  it('refuses to keep copies where the load would read them', async () => {
    await s3.putLines('clicks/dt=5/a.csv.gz', [HEADER, ...good(30), BAD])
    await nightly('clicks', 's3://lake/clicks/dt=5/')
    await expect(plan({ load: 'all' })).rejects.toThrow(
      'The copy would lie below s3://lake/ and be loaded with the rest',
    )
  })

  it('refuses a file of an error that lies outside of what the load may read', async () => {
    await s3.putLines('secret/a.csv.gz', [HEADER, ...good(30), BAD])
    await s3.putLines('clicks/dt=6/a.csv.gz', [HEADER, ...good(30), BAD])
    await nightly('clicks', 's3://lake/clicks/dt=6/')
    await warehouse.ask("update sys_load_error_detail set file_name = 's3://lake/secret/a.csv.gz'")
    await expect(plan({ load: 'clicks' })).rejects.toThrow('is not below s3://lake/clicks/')
  })
})

describe('a load of Parquet whose files an S3 connection sees', () => {
  // S3 keeps times to the second: of files of one second the last by name counts.
  const put = async (name: string, as = name) =>
    s3.put(`orders/${as}`, await readFile(new URL(`../../fixtures/parquet/${name}`, import.meta.url)))
  const change = (command: ChangeCommand, more = {}) =>
    propose(
      command,
      { connection: 'warehouse', load: 'parquet', add: '', widen: '', maxErrors: '0', ...more },
      world.read(),
    )

  it('has its table compared with the newest file itself, and altered to it', async () => {
    await put('orders.parquet')
    const look = () => (tableColumns as ReadCommand).read({ connection: 'warehouse', load: 'parquet' }, world.read())
    expect((await look()).summary).toBe(
      'Against s3://lake/orders/orders.parquet, 4 columns are missing in events.orders, 0 are too short, 0 have another type.',
    )
    await expect(change(copy, { source: 's3://lake/orders/' })).rejects.toThrow(
      'orders.parquet has 8 columns and events.orders takes 4: add what is missing first.',
    )
    const made = await change(alterColumns)
    expect(made.steps.map((s) => s.id)).toEqual(['add-weight', 'add-ok', 'add-seen', 'add-doc'])
    await alterColumns.run(made, world.run(made).ctx)
    expect((await look()).summary).toBe(
      'events.orders has every column of s3://lake/orders/orders.parquet, with its type.',
    )
    expect((await change(copy, { source: 's3://lake/orders/' })).steps[0]?.detail).toContain('FORMAT AS PARQUET')
  })

  it('is refused when a value would go into the column of another name', async () => {
    await put('orders.parquet')
    await warehouse.reset(`create table events.orders (id int, n bigint, title varchar(8), price real, seen timestamp, ok boolean,
      weight float8, doc varchar(99))`)
    await expect(change(copy, { source: 's3://lake/orders/' })).rejects.toThrow(
      'COPY of parquet goes by position: column 5 is "weight" in s3://lake/orders/orders.parquet and "seen" in events.orders.',
    )
  })

  it('has nested and raw columns named, which no plain type holds', async () => {
    await put('kinds.parquet', 'z.parquet')
    await expect(change(alterColumns)).rejects.toThrow('No plain type holds "lines" (nested), "raw" (binary)')
  })
})

describe('the lines of a load', () => {
  const load = Load.parse(LOADS.clicks)
  const columns = ['id', 'at', 'note']
  it.each([
    ['1,2,3', ['1', '2', '3']],
    ['1,"a ""b"", c",', ['1', 'a "b", c', '']],
    [',,', ['', '', '']],
    ['"1","2","3"', ['1', '2', '3']],
    ['1,2', null],
    ['1,"open,3', null],
    ['1,"a"b,3', null],
  ])('%j is read as a record of CSV', (line, fields) => {
    const values = valuesOf(load, columns, line)
    expect(values && [...values.values()]).toEqual(fields)
  })

  it.each([
    ['7,,', true],
    ['7,"",  ', true],
    [',,', false],
    ['7,x,', false],
  ])('%j has nothing but its key: %s', (line, hollow) => {
    expect(isHollow(valuesOf(load, columns, line)!, load.keys)).toBe(hollow)
  })

  it('a line is told from another one beyond what stl_load_errors keeps of it only', () => {
    const long = 'x'.repeat(3_000)
    expect(isSameLine(`${long}\r`, long.slice(0, 1_024))).toBe(true)
    expect(isSameLine('short,line', 'short,line   ')).toBe(true)
    expect(isSameLine('short,line2', 'short,line')).toBe(false)
    expect(isSameLine(`y${long}`, long.slice(0, 1_024))).toBe(false)
  })
})

it('the same COPY is written the same, and holds its settings only', () => {
  expect(
    copyText(
      Load.parse({ ...LOADS.clicks, delimiter: '|', columns: ['id', 'at'], maxErrors: 9 }),
      's3://lake/clicks/',
      9,
    ),
  ).toBe(
    `COPY "events"."clicks" ("id", "at")\nFROM 's3://lake/clicks/'\nIAM_ROLE '${ROLE}'\nFORMAT AS CSV\nDELIMITER AS '|'\nGZIP\nIGNOREHEADER AS 1\nMAXERROR AS 10`,
  )
  for (const wrong of [
    { iamRole: "x' CREDENTIALS '" },
    { table: 'a.b; drop' },
    { from: "s3://lake/'/" },
    { delimiter: "'" },
    { options: ['NOLOAD; x'] },
  ])
    expect(Load.safeParse({ ...LOADS.clicks, ...wrong }).success).toBe(false)
})
