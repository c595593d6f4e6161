import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { exportTasks } from '../../../commands/rds/export-tasks.ts'
import { exporting } from '../../../commands/rds/rights.ts'
import { startExport } from '../../../commands/rds/start-export.ts'
import { digest } from '../../../src/domain/plan.ts'
import { startSts } from '../aws/sts-server.ts'
import type { World } from '../context.ts'
import { createWorld, propose } from '../context.ts'
import type { Task } from './server.ts'
import { startRds } from './server.ts'
import { Fault } from './wire.ts'

const ROLE = 'arn:aws:iam::123456789012:role/export'
const ARN = 'arn:aws:rds:us-east-1:123456789012'
const SNAPSHOT = `${ARN}:cluster-snapshot:rds:orders-2026-11-20-03-00`
const OLDER = `${ARN}:cluster-snapshot:rds:orders-2026-11-19-03-00`
const NAME = 'orders-20261121-0241'

describe('RDS exports to S3', () => {
  let rds: Awaited<ReturnType<typeof startRds>>
  let sts: Awaited<ReturnType<typeof startSts>>
  let world: World

  beforeAll(async () => {
    rds = await startRds(ROLE)
  })
  beforeEach(async () => {
    rds.reset()
    sts = await startSts()
    rds.sources.push(
      { arn: SNAPSHOT, owner: 'orders', status: 'available', created: '2026-11-20T03:00:00.000Z' },
      { arn: OLDER, owner: 'orders', status: 'available', created: '2026-11-19T03:00:00.000Z' },
      { arn: `${ARN}:snapshot:new`, owner: 'users', status: 'creating', created: '2026-11-20T03:00:00.000Z' },
      { arn: `${ARN}:cluster:live`, owner: 'live', status: 'available', created: '2020-01-01T00:00:00.000Z' },
    )
    world = createWorld({
      secrets: { K: 'local' },
      requestedAt: new Date('2026-11-21T02:41:59.900Z'),
      connections: {
        prod: {
          kind: 'rds',
          settings: {
            region: 'us-east-1',
            ...sts.settings,
            endpoint: rds.endpoint,
            accessKeyIdFrom: 'K',
            secretAccessKeyFrom: 'K',
            backoffMs: 1,
            bucket: 'exports',
            s3Prefix: 'nightly',
            iamRoleArn: ROLE,
            kmsKeyId: 'key-1',
          },
        },
      },
    })
  })
  afterEach(async () => {
    await world.close()
    await sts.close()
  })
  afterAll(() => rds.close())

  const task = (name: string, more: Partial<Task> = {}): Task => ({
    ExportTaskIdentifier: name,
    SourceArn: `${ARN}:snapshot:${name}`,
    S3Bucket: 'exports',
    S3Prefix: 'nightly',
    IamRoleArn: ROLE,
    KmsKeyId: 'key-1',
    ExportOnly: [],
    Status: 'IN_PROGRESS',
    PercentProgress: 40,
    TaskStartTime: '2026-11-21T01:00:00.000Z',
    ...more,
  })
  const params = { connection: 'prod', name: 'orders', source: SNAPSHOT, databases: 'web, billing,web' }
  const plan = (more: Record<string, unknown> = {}) => propose(startExport, { ...params, ...more }, world.read())
  const refusal = async (more: Record<string, unknown> = {}) =>
    plan(more).catch((e: Error) => `${e.name}: ${e.message}`)
  const run = async (proposed: Awaited<ReturnType<typeof plan>>) =>
    startExport.run(proposed, world.run(proposed).ctx).catch((e: Error) => `${e.name}: ${e.message}`)
  const look = (more: Record<string, unknown> = {}) =>
    exportTasks.read(exportTasks.params.parse({ connection: 'prod', ...more }), world.read())

  describe('rds.export-tasks', () => {
    it('counts the taken slots over all pages, running ones first, and says who-started is not kept', async () => {
      for (let i = 0; i < 130; i++)
        rds.tasks.push(
          task(`old-${i}`, { Status: 'COMPLETE', TaskStartTime: `2026-10-01T00:00:00.${String(i).padStart(3, '0')}Z` }),
        )
      rds.tasks.push(
        task('late', { ExportOnly: ['web'] }),
        task('starting', { Status: 'STARTING', TaskStartTime: undefined }),
      )
      const { summary, blocks } = await look({ name: 'late' })
      expect(summary).toBe('2 of 5 export slots of the account are taken. A task named late exists: IN_PROGRESS.')
      expect(blocks[0]).toMatchObject({
        rows: [
          ['starting', 'STARTING', '40 %', 'snapshot:starting', 'all', 'not yet', 'export'],
          ['late', 'IN_PROGRESS', '40 %', 'snapshot:late', 'web', '2026-11-21T01:00:00.000Z', 'export'],
        ],
      })
      expect(blocks[2]).toMatchObject({ omitted: 120 })
      expect(blocks.at(-1)).toMatchObject({ text: expect.stringContaining('CloudTrail') })
      expect(rds.sent('DescribeExportTasks')).toHaveLength(3)
    })

    it('says so when nothing runs and no such task exists', async () => {
      expect(await look({ name: 'none' })).toEqual({
        summary: '0 of 5 export slots of the account are taken. There is no task named none.',
        blocks: [],
      })
    })
  })

  describe('rds.start-export', () => {
    it('starts it in a session that may hand over this role and use this key only', async () => {
      rds.tasks.push(task('other', { SourceArn: `${ARN}:cluster:live` }))
      const proposed = await plan()
      expect(sts.policies()).toEqual([])
      await startExport.run(proposed, world.run(proposed).ctx)
      const [[exporting, handing, keys] = []] = sts.policies()
      expect(exporting).toMatchObject({ Resource: ['*'] })
      expect(exporting?.Action).toEqual(
        ['StartExportTask', 'DescribeExportTasks', 'DescribeDBClusters']
          .concat('DescribeDBClusterSnapshots', 'DescribeDBSnapshots')
          .map((one) => `rds:${one}`),
      )
      expect(handing).toEqual({ Effect: 'Allow', Action: ['iam:PassRole'], Resource: [ROLE] })
      expect(keys?.Action.every((one) => one.startsWith('kms:'))).toBe(true)
      expect(keys?.Resource).toEqual(['arn:aws:kms:us-east-1:123456789012:key/key-1'])
      expect(sts.asked()).toEqual(
        ['DescribeDBClusterSnapshots', 'DescribeDBClusters', 'DescribeExportTasks', 'StartExportTask'].map(
          (one) => `rds:${one}`,
        ),
      )
    })

    it.each([
      ['alias/exports', '*'],
      ['arn:aws:kms:us-east-1:123456789012:alias/exports', '*'],
      ['arn:aws:kms:us-east-1:210987654321:key/1', 'arn:aws:kms:us-east-1:210987654321:key/1'],
    ])('names the key %s as %s', (key, resource) => {
      const wanted = { name: 'x', source: SNAPSHOT, only: [], bucket: 'exports', prefix: '', role: ROLE, key }
      expect(exporting((...parts) => parts.join(), wanted)[2]?.resources).toEqual([resource])
    })

    it('starts one export that names all databases, under a name with the minute of the asking', async () => {
      const proposed = await plan()
      expect(proposed.targets[0]).toMatchObject({
        id: 'rds:prod/cluster orders',
        details: { Databases: 'billing, web', Name: NAME },
      })
      expect(await run(proposed)).toBe(`The export ${NAME} is STARTING. It goes to s3://exports/nightly/${NAME}.`)
      expect(rds.tasks).toMatchObject([
        { ExportTaskIdentifier: NAME, SourceArn: SNAPSHOT, ExportOnly: ['billing', 'web'], IamRoleArn: ROLE },
      ])
      expect((await startExport.verify(proposed, world.read())).map((c) => c.ok)).toEqual([true, true])
    })

    it('gives the same plan when it is made again, and when others came and went meanwhile', async () => {
      const first = digest(await plan())
      rds.tasks.push(...[1, 2, 3, 4].map((n) => task(`other-${n}`)))
      expect(digest(await plan())).toBe(first)
    })

    it('refuses at the limit of five and names those that run', async () => {
      rds.tasks.push(...[1, 2, 3, 4, 5].map((n) => task(`other-${n}`, { ExportOnly: [`db${n}`] })))
      expect(await refusal()).toMatch(/^Refused: All 5 export slots .*other-1 \(db1, 40 %\), .*other-5 \(db5, 40 %\)/)
    })

    it('refuses a second export of one cluster, also from another snapshot of it', async () => {
      rds.tasks.push(task('earlier', { SourceArn: OLDER }))
      expect(await refusal()).toMatch(/^Refused: earlier \(all\) of cluster orders is IN_PROGRESS, 40 % done/)
      rds.tasks.length = 0
      expect(await refusal()).toMatchObject({ summary: expect.any(String) })
    })

    it('offers the export that already succeeded instead of a second one', async () => {
      rds.tasks.push(
        task('done', {
          SourceArn: SNAPSHOT,
          Status: 'COMPLETE',
          ExportOnly: ['web', 'billing'],
          TaskEndTime: '2026-11-20T05:00:00.000Z',
        }),
      )
      expect(await refusal()).toBe(
        'Refused: done already exported billing, web of this snapshot, complete since 2026-11-20T05:00:00.000Z: s3://exports/nightly/done. Use that one, or set "again" to yes if its files are gone.',
      )
      expect((await plan({ again: 'yes' })).summary).toContain('Export billing, web')
    })

    it('tells of one that went to another place, and makes its own', async () => {
      rds.tasks.push(task('theirs', { SourceArn: SNAPSHOT, Status: 'COMPLETE', S3Bucket: 'audit', S3Prefix: '' }))
      expect((await plan()).warnings).toEqual(['The same was exported to another place already: s3://audit/theirs.'])
    })

    it.each([
      ['automated', `${ARN}:snapshot:rds:users-2026-11-20-03-00`],
      ['manual', `${ARN}:snapshot:before-upgrade`],
      ['of AWS Backup', `${ARN}:snapshot:awsbackup:job-0a1b`],
      ['automated of a cluster', SNAPSHOT],
      ['manual of a cluster', `${ARN}:cluster-snapshot:before-upgrade`],
      ['of AWS Backup of a cluster', `${ARN}:cluster-snapshot:awsbackup:job-0a1b`],
    ])('finds a snapshot: %s', async (_, arn) => {
      rds.sources.push({ arn, owner: 'users', status: 'available', created: '2026-11-20T03:00:00.000Z' })
      expect((await plan({ source: arn })).steps[0]?.detail).toContain(`SourceArn=${arn}`)
      for (const call of [...rds.sent('DescribeDBSnapshots'), ...rds.sent('DescribeDBClusterSnapshots')])
        expect(`${call.get('DBSnapshotIdentifier')}${call.get('DBClusterSnapshotIdentifier')}`).not.toContain('arn:')
    })

    it.each(['snapshot', 'cluster-snapshot'])(
      'finds a %s that another account shares, however many are',
      async (kind) => {
        const shared = (n: number) => `arn:aws:rds:us-east-1:999988887777:${kind}:shared-${n}`
        for (let n = 0; n < 130; n++)
          rds.sources.push({
            ...{ arn: shared(n), owner: 'theirs', status: 'available', created: '2026-11-20T03:00:00.000Z' },
            shared: true,
          })
        expect((await plan({ source: shared(129) })).targets[0]?.details.Source).toBe(shared(129))
      },
    )

    it('does not take a snapshot of that name of another account for the one that was asked for', async () => {
      const source = 'arn:aws:rds:us-east-1:999988887777:snapshot:new'
      expect(await refusal({ source })).toMatch(/^Refused: There is no snapshot/)
      expect(await refusal({ source: SNAPSHOT.replace('us-east-1', 'eu-west-1') })).toBe(
        `Refused: ${SNAPSHOT.replace('us-east-1', 'eu-west-1')} is in eu-west-1; the connection "prod" is for us-east-1.`,
      )
    })

    it('counts a state that it does not know as a slot taken, and never as a success', async () => {
      rds.tasks.push(...[1, 2, 3, 4, 5].map((n) => task(`other-${n}`, { Status: 'MIGRATING' })))
      expect(await refusal()).toMatch(/^Refused: All 5 export slots/)
      rds.tasks.length = 0
      const proposed = await plan()
      await run(proposed)
      rds.tasks[0]!.Status = 'MIGRATING'
      expect((await startExport.verify(proposed, world.read()))[0]).toMatchObject({
        ok: false,
        detail: 'unknown: MIGRATING, 0 %',
      })
    })

    it('does not take an export of fewer databases, or a failed one, for the one that is wanted', async () => {
      rds.tasks.push(
        task('part', { SourceArn: SNAPSHOT, Status: 'COMPLETE', ExportOnly: ['web'] }),
        task('bad', { SourceArn: SNAPSHOT, Status: 'FAILED' }),
      )
      expect((await plan()).summary).toContain('Export billing, web of cluster orders')
      expect((await plan({ databases: '' })).summary).toContain('Export all of')
      expect(await refusal({ databases: 'web.public.clicks' })).toMatch(/^Refused: part already exported/)
    })

    it('exports a live cluster again although it was exported before', async () => {
      const source = `${ARN}:cluster:live`
      rds.tasks.push(task('yesterday', { SourceArn: source, Status: 'COMPLETE' }))
      expect((await plan({ source })).targets[0]?.id).toBe('rds:prod/cluster live')
    })

    it('refuses a taken name, a missing or unfinished source, and a database that RDS cannot export by itself', async () => {
      expect(await refusal({ source: `${ARN}:snapshot:none` })).toMatch(/^Refused: There is no snapshot/)
      expect(await refusal({ source: `${ARN}:snapshot:new` })).toMatch(/^Refused: .* is creating/)
      expect(await refusal({ databases: 'web,bad-name' })).toMatch(/^Refused: RDS cannot export "bad-name"/)
      rds.tasks.push(task(NAME, { Status: 'FAILED' }))
      expect(await refusal()).toMatch(/^Refused: An export named orders-20261121-0241 exists already \(FAILED\)/)
      await expect(plan({ name: 'Orders_' })).rejects.toThrow('small letters')
    })

    it('starts nothing when the slots were taken after the approval', async () => {
      const proposed = await plan()
      rds.tasks.push(...[1, 2, 3, 4, 5].map((n) => task(`other-${n}`)))
      expect(await run(proposed)).toMatch(/^Refused: All 5 export slots/)
      expect(rds.sent('StartExportTask')).toHaveLength(0)
    })

    it('ends clearly when RDS itself says that the limit is reached', async () => {
      const proposed = await plan()
      rds.on((form) => {
        if (form.get('Action') === 'StartExportTask') rds.tasks.push(...[1, 2, 3, 4, 5].map((n) => task(`fast-${n}`)))
      })
      expect(await run(proposed)).toMatch(/^Refused: All 5 export slots .*fast-1 .*fast-5/)
      expect(rds.sent('StartExportTask')).toHaveLength(1)
    })

    it('ends clearly when another export of that name is there first', async () => {
      const proposed = await plan()
      rds.on((form) => {
        if (form.get('Action') === 'StartExportTask') rds.tasks.push(task(NAME, { SourceArn: OLDER }))
      })
      expect(await run(proposed)).toMatch(
        /^Refused: An export named orders-20261121-0241 exists already and is not this one/,
      )
      expect((await startExport.probe(proposed, 'start', world.read())).landed).toBe('no')
      expect((await startExport.verify(proposed, world.read()))[1]).toMatchObject({ ok: false })
    })

    it('takes a start whose reply was lost for done, and sends it only once', async () => {
      const proposed = await plan()
      rds.loseNextReply()
      expect(await run(proposed)).toContain(`The export ${NAME} is STARTING`)
      expect(rds.sent('StartExportTask')).toHaveLength(1)
      expect(rds.tasks).toHaveLength(1)
    })

    it('calls a start unanswered that RDS broke down over and does not list', async () => {
      const proposed = await plan()
      rds.on((form) => {
        if (form.get('Action') === 'StartExportTask') throw new Fault('InternalFailure', 'try later', 500)
      })
      expect(await run(proposed)).toMatch(/^Unanswered: StartExportTask/)
      expect((await startExport.probe(proposed, 'start', world.read())).landed).toBe('no')
      expect(rds.sent('StartExportTask')).toHaveLength(1)
    })

    it('finds its own export when the step is done once more', async () => {
      const proposed = await plan()
      await run(proposed)
      expect(await run(proposed)).toContain(`The export ${NAME} is STARTING`)
      expect(rds.sent('StartExportTask')).toHaveLength(1)
    })

    it('passes on what RDS says about a role it does not know', async () => {
      const proposed = await plan()
      const { wanted } = proposed.data as { wanted: Record<string, unknown> }
      expect(
        await run({
          ...proposed,
          data: { connection: 'prod', wanted: { ...wanted, role: 'arn:aws:iam::1:role/none' } },
        }),
      ).toMatch(/^IamRoleNotFoundFault: /)
    })

    it('probes by looking: not there, and running', async () => {
      const proposed = await plan()
      expect((await startExport.probe(proposed, 'start', world.read())).landed).toBe('no')
      await run(proposed)
      expect((await startExport.probe(proposed, 'start', world.read())).landed).toBe('yes')
      rds.tasks[0]!.Status = 'FAILED'
      expect((await startExport.verify(proposed, world.read()))[0]).toMatchObject({ ok: false, detail: 'FAILED, 0 %' })
    })
  })
})
