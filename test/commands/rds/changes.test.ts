import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { cancelExport } from '../../../commands/rds/cancel-export.ts'
import { resizeInstance } from '../../../commands/rds/resize-instance.ts'
import { startExport } from '../../../commands/rds/start-export.ts'
import type { ChangeCommand } from '../../../src/domain/command.ts'
import type { Plan } from '../../../src/domain/plan.ts'
import { digest } from '../../../src/domain/plan.ts'
import { startSts } from '../aws/sts-server.ts'
import type { World } from '../context.ts'
import { createWorld, propose } from '../context.ts'
import { startRds } from './server.ts'

const ROLE = 'arn:aws:iam::123456789012:role/export'
const SOURCE = 'arn:aws:rds:us-east-1:123456789012:cluster-snapshot:orders'

describe('RDS changes', () => {
  let rds: Awaited<ReturnType<typeof startRds>>
  let sts: Awaited<ReturnType<typeof startSts>>
  let world: World
  beforeAll(async () => {
    rds = await startRds(ROLE)
  })
  beforeEach(async () => {
    rds.reset()
    sts = await startSts()
    rds.tasks.push(
      {
        ExportTaskIdentifier: 'orders-1',
        SourceArn: SOURCE,
        S3Bucket: 'exports',
        S3Prefix: 'nightly',
        IamRoleArn: ROLE,
        KmsKeyId: 'key-1',
        ExportOnly: ['web'],
        Status: 'IN_PROGRESS',
        PercentProgress: 0,
        TaskStartTime: '2026-11-21T01:00:00.000Z',
      },
      {
        ExportTaskIdentifier: 'users-1',
        SourceArn: SOURCE,
        S3Bucket: 'others',
        IamRoleArn: ROLE,
        KmsKeyId: 'key-1',
        ExportOnly: [],
        Status: 'IN_PROGRESS',
        PercentProgress: 0,
      },
    )
    rds.instances.push({
      DBInstanceIdentifier: 'replica',
      DbiResourceId: 'db-ABC',
      DBInstanceClass: 'db.r6g.large',
      DBInstanceStatus: 'available',
      MultiAZ: false,
      pending: {},
    })
    rds.instances.push({ ...rds.instances[0]!, DBInstanceIdentifier: 'billing', pending: {} })
    const base = {
      region: 'us-east-1',
      endpoint: rds.endpoint,
      accessKeyIdFrom: 'K',
      secretAccessKeyFrom: 'K',
      pollSeconds: 0.005,
      backoffMs: 1,
    }
    const classes = ['db.r6g.large', 'db.r6g.xlarge', 'db.x2g.xlarge']
    world = createWorld({
      secrets: { K: 'local' },
      connections: {
        prod: {
          kind: 'rds',
          environment: 'production',
          settings: {
            ...base,
            ...sts.settings,
            bucket: 'exports',
            iamRoleArn: ROLE,
            kmsKeyId: 'key-1',
            resize: { instances: ['replica', 'ghost'], classes },
          },
        },
        bare: { kind: 'rds', settings: base },
      },
    })
  })
  afterEach(async () => {
    await world.close()
    await sts.close()
  })
  afterAll(() => rds.close())

  const at = { connection: 'prod', name: 'orders-1', instance: 'replica', class: 'db.r6g.xlarge' }
  const plan = (command: ChangeCommand, more: Record<string, unknown> = {}) =>
    propose(command, { ...at, ...more }, world.read())
  const refusal = (command: ChangeCommand, more: Record<string, unknown> = {}) =>
    plan(command, more).then(
      () => 'planned',
      (error: Error) => `${error.name}: ${error.message}`,
    )
  const run = (command: ChangeCommand, proposed: Plan, options = {}) =>
    command.run(proposed, world.run(proposed, options).ctx).catch((error: Error) => `${error.name}: ${error.message}`)
  const landed = async (command: ChangeCommand, proposed: Plan, step: string) =>
    (await command.probe(proposed, step, world.read())).landed

  const may = (actions: string[], ...resources: string[]) => ({ Effect: 'Allow', Action: actions, Resource: resources })

  it.each([
    ['cancels one export', cancelExport, [may(['rds:CancelExportTask', 'rds:DescribeExportTasks'], '*')]],
    [
      'resizes one instance',
      resizeInstance,
      [
        may(['rds:ModifyDBInstance'], 'arn:aws:rds:us-east-1:123456789012:db:replica'),
        may(['rds:DescribeDBInstances'], '*'),
      ],
    ],
  ])('%s in a session that may do just that', async (_, command, policy) => {
    const proposed = await plan(command)
    expect(sts.policies()).toEqual([])
    await command.run(proposed, world.run(proposed).ctx)
    expect(sts.policies()).toEqual([policy])
    expect(sts.asked()).toEqual(policy.flatMap((one) => one.Action).sort())
  })

  describe('rds.cancel-export', () => {
    it('cancels the export that was shown and waits until its slot is free', async () => {
      const proposed = await plan(cancelExport)
      expect(proposed.targets[0]).toMatchObject({
        id: 'rds:prod/export/orders-1',
        details: {
          Source: SOURCE,
          Account: '123456789012',
          Region: 'us-east-1',
          Environment: 'production',
          Databases: 'web',
          To: 's3://exports/nightly/orders-1',
        },
      })
      expect(await landed(cancelExport, proposed, 'cancel')).toBe('no')
      expect(await run(cancelExport, proposed)).toBe('The export orders-1 is CANCELED.')
      expect(rds.tasks.map((task) => task.Status)).toEqual(['CANCELED', 'IN_PROGRESS'])
      expect(await cancelExport.verify(proposed, world.read())).toMatchObject([{ ok: true, detail: 'CANCELED' }])
      expect(await landed(cancelExport, proposed, 'cancel')).toBe('yes')
      expect(await landed(cancelExport, proposed, 'wait')).toBe('yes')
    })

    it('waits for a cancel that takes a while, also when RDS does not show it yet or is throttled', async () => {
      const proposed = await plan(cancelExport)
      let looks = 0
      rds.on((form) => {
        if (form.get('Action') === 'CancelExportTask') rds.refuse('DescribeExportTasks', 12)
        if (form.get('Action') !== 'DescribeExportTasks' || rds.sent('CancelExportTask').length === 0) return
        looks += 1
        if (looks < 14) rds.tasks[0]!.Status = looks < 6 ? 'IN_PROGRESS' : 'CANCELING'
      })
      expect(await run(cancelExport, proposed)).toBe('The export orders-1 is CANCELED.')
    })

    it('does not call an export cancelled whose state it does not know', async () => {
      const proposed = await plan(cancelExport)
      rds.on((form) => {
        if (form.get('Action') === 'DescribeExportTasks' && rds.sent('CancelExportTask').length > 0)
          rds.tasks[0]!.Status = 'PAUSING'
      })
      expect(await run(cancelExport, proposed)).toMatch(/^Error: orders-1 is unknown: PAUSING, though RDS has taken/)
      expect(await landed(cancelExport, proposed, 'wait')).toBe('no')
    })

    it('keeps its plan while the export goes on', async () => {
      const first = digest(await plan(cancelExport))
      Object.assign(rds.tasks[0]!, { PercentProgress: 70 })
      expect(digest(await plan(cancelExport))).toBe(first)
    })

    it('knows after a lost reply that it was cancelled, and sends it once', async () => {
      const proposed = await plan(cancelExport)
      rds.loseNextReply('CancelExportTask')
      expect(await run(cancelExport, proposed)).toMatch(/^Unanswered: /)
      expect(await landed(cancelExport, proposed, 'cancel')).toBe('yes')
      expect(await run(cancelExport, proposed)).toBe('The export orders-1 is CANCELED.')
      expect(rds.sent('CancelExportTask')).toHaveLength(1)
    })

    it('leaves an export alone that has ended or was made anew meanwhile', async () => {
      const proposed = await plan(cancelExport)
      rds.tasks[0]!.Status = 'COMPLETE'
      expect(await run(cancelExport, proposed)).toMatch(/^Refused: orders-1 is COMPLETE: it ended by itself/)
      expect(await landed(cancelExport, proposed, 'cancel')).toBe('cannot_tell')
      Object.assign(rds.tasks[0]!, { Status: 'IN_PROGRESS', SourceArn: `${SOURCE}-2` })
      expect(await run(cancelExport, proposed)).toMatch(/^Refused: orders-1 is another export/)
      expect(rds.sent('CancelExportTask')).toHaveLength(0)
    })

    it('says so when RDS itself refuses', async () => {
      const proposed = await plan(cancelExport)
      rds.on((form) => {
        if (form.get('Action') === 'CancelExportTask') rds.tasks[0]!.Status = 'COMPLETE'
      })
      expect(await run(cancelExport, proposed)).toMatch(/^Refused: RDS does not cancel orders-1/)
    })

    it('refuses what does not run, what is not there, and what goes to somebody else', async () => {
      expect(await refusal(cancelExport, { name: 'none' })).toMatch(/^Refused: There is no export task named none/)
      expect(await refusal(cancelExport, { name: 'users-1' })).toMatch(/^Refused: .*somebody else's/)
      expect(await refusal(cancelExport, { connection: 'bare' })).toMatch(/^Refused: .*somebody else's/)
      for (const state of ['COMPLETE', 'CANCELING', 'CANCELED', 'FAILED']) {
        rds.tasks[0]!.Status = state
        expect(await refusal(cancelExport)).toMatch(/only an export that starts or runs/)
        rds.tasks[0]!.Status = 'IN_PROGRESS'
      }
      expect(await refusal(cancelExport, { name: 'a&Action=DeleteDBCluster' })).toMatch(/^ZodError/)
    })

    it('stops waiting on abort', async () => {
      const proposed = await plan(cancelExport)
      rds.on(() => {
        if (rds.tasks[0]!.Status === 'CANCELED') rds.tasks[0]!.Status = 'CANCELING'
      })
      const stop = new AbortController()
      const { ctx } = world.run(proposed, { signal: stop.signal })
      const stopping = { ...ctx, progress: () => stop.abort(new Error('cancelled by a person')) }
      await expect(cancelExport.run(proposed, stopping)).rejects.toThrow()
    })
  })

  it('rds.start-export refuses where the connection does not say where exports go', async () => {
    expect(await refusal(startExport, { connection: 'bare', name: 'orders', source: SOURCE })).toMatch(
      /^Refused: .*Set bucket, iamRoleArn and kmsKeyId/,
    )
  })

  describe('rds.resize-instance', () => {
    it('shows the instance as RDS has it, sets the class at once, and waits until it is available with it', async () => {
      const proposed = await plan(resizeInstance)
      expect(proposed.summary).toBe('Make replica a db.r6g.xlarge, at once; it is a db.r6g.large')
      expect(proposed.targets[0]).toEqual({
        id: 'rds:prod/instance/replica',
        name: 'replica',
        fingerprint: 'db-ABC db.r6g.large available',
        details: {
          Account: '123456789012',
          Region: 'us-east-1',
          Environment: 'production',
          Class: 'db.r6g.large → db.r6g.xlarge',
          Engine: 'postgres 17.2',
          Zones: 'one',
          Storage: '200 GiB, stays as it is; does not grow by itself',
          Created: '2026-01-01T00:00:00.000Z',
        },
      })
      expect(proposed.warnings[0]).toContain('It restarts')
      expect(digest(await plan(resizeInstance))).toBe(digest(proposed))
      expect(await landed(resizeInstance, proposed, 'modify')).toBe('no')
      const { ctx, recording } = world.run(proposed)
      expect(await resizeInstance.run(proposed, ctx)).toBe(
        'replica is a db.r6g.xlarge now, before it was a db.r6g.large.',
      )
      expect(recording.progress.map((p) => p.note)).toEqual([
        'replica is available as a db.r6g.large, becoming a db.r6g.xlarge (look 1)',
        'replica is modifying as a db.r6g.large, becoming a db.r6g.xlarge (look 2)',
      ])
      expect(rds.sent('ModifyDBInstance').map((form) => form.get('ApplyImmediately'))).toEqual(['true'])
      expect((await resizeInstance.verify(proposed, world.read())).map((c) => c.ok)).toEqual([true, true])
      expect(await landed(resizeInstance, proposed, 'modify')).toBe('yes')
      expect(await landed(resizeInstance, proposed, 'wait')).toBe('yes')
    })

    it('sends the change once, and knows after a lost reply that it landed', async () => {
      const proposed = await plan(resizeInstance)
      rds.loseNextReply('ModifyDBInstance')
      expect(await run(resizeInstance, proposed)).toMatch(/^Unanswered: /)
      expect(await landed(resizeInstance, proposed, 'modify')).toBe('yes')
      expect(await landed(resizeInstance, proposed, 'wait')).toBe('no')
      expect(await run(resizeInstance, proposed)).toContain('is a db.r6g.xlarge now')
      expect(rds.sent('ModifyDBInstance')).toHaveLength(1)
    })

    it.each([
      ['has another class', { DBInstanceClass: 'db.r6g.2xlarge' }, /approved was a change from db\.r6g\.large/],
      ['is being changed', { DBInstanceStatus: 'backing-up' }, /is backing-up as a db\.r6g\.large/],
      ['was made anew', { DbiResourceId: 'db-NEW' }, /it was made anew/],
      ['has another change waiting', { pending: { EngineVersion: '18.0' } }, /with EngineVersion waiting/],
    ])('changes nothing when the instance %s since the plan', async (_, change, why) => {
      const proposed = await plan(resizeInstance)
      Object.assign(rds.instances[0]!, change)
      const said = await run(resizeInstance, proposed)
      expect(said).toMatch(/^Refused: /)
      expect(said).toMatch(why)
      expect(rds.sent('ModifyDBInstance')).toHaveLength(0)
    })

    it('says so when RDS itself refuses, and when it takes the change back', async () => {
      const proposed = await plan(resizeInstance)
      const others = (form: URLSearchParams) => {
        if (form.get('Action') === 'ModifyDBInstance') rds.instances[0]!.DBInstanceStatus = 'backing-up'
      }
      rds.on(others)
      expect(await run(resizeInstance, proposed)).toMatch(/^Refused: RDS does not resize replica: .*backing-up/)
      rds.instances[0]!.DBInstanceStatus = 'available'
      rds.on((form) => {
        if (form.get('Action') === 'DescribeDBInstances') rds.instances[0]!.pending = {}
      })
      expect(await run(resizeInstance, proposed)).toMatch(/^Error: .*RDS took the change back or never began/)
    })

    it('sends a throttled change again, and goes on waiting while the account is throttled', async () => {
      const proposed = await plan(resizeInstance)
      rds.refuse('ModifyDBInstance', 3)
      rds.on((form) => {
        if (form.get('Action') === 'ModifyDBInstance') rds.refuse('DescribeDBInstances', 5)
      })
      const { ctx, recording } = world.run(proposed)
      expect(await resizeInstance.run(proposed, ctx)).toContain('is a db.r6g.xlarge now')
      expect(rds.sent('ModifyDBInstance')).toHaveLength(4)
      expect(recording.progress.map((one) => one.note)).toContainEqual(expect.stringMatching(/^No answer for now/))
    })

    it('refuses what is serverless, and says whose size decides', async () => {
      Object.assign(rds.instances[0]!, { DBInstanceClass: 'db.serverless', DBClusterIdentifier: 'orders' })
      expect(await refusal(resizeInstance)).toMatch(
        /^Refused: replica is serverless, .*--db-cluster-identifier orders --serverless-v2-scaling-configuration/,
      )
      expect(await refusal(resizeInstance, { class: 'db.serverless' })).toMatch(
        /^Refused: db\.serverless is not one of/,
      )
    })

    it('says that storage which grows by itself stays so', async () => {
      rds.instances[0]!.MaxAllocatedStorage = 1000
      expect((await plan(resizeInstance)).targets[0]?.details.Storage).toBe(
        '200 GiB, stays as it is; grows by itself up to 1000 GiB',
      )
    })

    it('stops waiting when the instance breaks', async () => {
      const proposed = await plan(resizeInstance)
      rds.on((form) => {
        if (form.get('Action') === 'DescribeDBInstances' && rds.instances[0]!.DBInstanceStatus === 'modifying')
          rds.instances[0]!.DBInstanceStatus = 'incompatible-network'
      })
      expect(await run(resizeInstance, proposed)).toMatch(/^Error: replica is incompatible-network .*Wake the owner/)
      expect(await landed(resizeInstance, proposed, 'wait')).toBe('no')
    })

    it.each([
      [{ instance: 'billing' }, /^Refused: .*may not resize billing\. It may resize: replica, ghost\.$/],
      [{ connection: 'bare' }, /^Refused: .*It may resize: nothing/],
      [{ class: 'db.r6g.16xlarge' }, /^Refused: db\.r6g\.16xlarge is not one of the classes .* db\.r6g\.xlarge/],
      [{ class: 'db.r6g.large' }, /^Refused: replica is a db\.r6g\.large already/],
      [{ class: 'db.x2g.xlarge' }, /^Refused: RDS does not offer db\.x2g\.xlarge for postgres 17\.2 in us-east-1/],
      [{ instance: 'ghost' }, /^Refused: There is no DB instance ghost/],
      [{ class: 'large&ApplyImmediately=false' }, /^ZodError/],
      [{ instance: 'replica&x=1' }, /^ZodError/],
    ])('refuses %j', async (more, why) => {
      expect(await refusal(resizeInstance, more)).toMatch(why)
    })

    it('refuses an instance that is not available, or has changes waiting that would be made as well', async () => {
      Object.assign(rds.instances[0]!, { pending: { MasterUserPassword: '****', Port: '5433' } })
      expect(await refusal(resizeInstance)).toMatch(
        /^Refused: .*\(MasterUserPassword, Port\): they would be made at once/,
      )
      Object.assign(rds.instances[0]!, { pending: {}, DBInstanceStatus: 'storage-optimization' })
      expect(await refusal(resizeInstance)).toMatch(/^Refused: replica is storage-optimization; it can be resized when/)
    })
  })
})
