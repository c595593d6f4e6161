import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { commands } from '../../../commands/index.ts'
import type { ChangeCommand, ReadCommand } from '../../../src/domain/command.ts'
import { type Mischief, startMischief } from '../../harness/mischief.ts'
import { propose, type World } from '../context.ts'
import { startJobs } from './world.ts'

const own = commands.filter((c) => c.id.startsWith('airflow.'))
const READS: Readonly<Record<string, object>> = {
  'airflow.failed-tasks': {},
  'airflow.task-log': { dag: 'nightly', run: 'r1', task: 'train' },
  'airflow.import-errors': {},
  'airflow.task-durations': { dag: 'nightly', task: 'train' },
  'airflow.pool': { pool: 'parsers' },
  'airflow.connection': { id: 'warehouse' },
  'airflow.dag-runs': {},
  'airflow.tasks': { dag: 'nightly', run: 'r1' },
  'airflow.hosts': {},
}
const CHANGES: Readonly<Record<string, object>> = {
  'airflow.clear-tasks': { dag: 'nightly', run: 'r1' },
  'airflow.mark-success': { dag: 'nightly', run: 'r1', tasks: 'train' },
  'airflow.trigger-run': { dag: 'nightly', from: 'r1', conf: '{"partitions":4}' },
  'airflow.pause-dag': { dag: 'nightly' },
  'airflow.resume-dag': { dag: 'asleep' },
  'airflow.set-pool-slots': { pool: 'parsers', slots: 8 },
  'airflow.restore-connection': { id: 'warehouse' },
  'airflow.recover-many': { dags: 'nightly' },
}
/** What a library says, and nobody who is woken at night can read. */
const RAW =
  /Zod|invalid_type|Cannot read|undefined|is not a function|is not iterable|Unexpected (token|end)|\bat .*\.ts:\d|\[object/
const WHOLE: readonly (readonly [Mischief, number])[] = [
  ['slow', 0],
  ['extra', 0],
  ['nulls', 0],
  ['nulls', 1],
  ['nulls', 2],
  ['unknown', 0],
]

describe.each([1, 2] as const)('a service as services are, API v%i', (api) => {
  let jobs: Awaited<ReturnType<typeof startJobs>>
  let proxy: Awaited<ReturnType<typeof startMischief>>
  let world: World

  beforeAll(async () => {
    jobs = await startJobs(api)
    proxy = await startMischief(jobs.server.origin)
  })
  beforeEach(() => {
    const { state } = jobs.server
    jobs.server.asInTheField()
    state.addDag('nightly', { extract: ['train'], train: ['report'], report: [] })
    state.addRun(
      'nightly',
      'r1',
      'failed',
      { extract: 'success', train: 'failed', report: 'upstream_failed' },
      { conf: { day: '2026-03-13' } },
    )
    state.addRun(
      'nightly',
      'r0',
      'success',
      { train: 'success' },
      { date: '2026-03-10T00:00:00Z', start: '2026-03-11T00:00:00Z' },
    )
    state.addDag('asleep')
    state.dags.get('asleep')!.paused = true
    state.pools.set('parsers', { slots: 16, running: 3, queued: 0, scheduled: 0 })
    state.connections.set('warehouse', { conn_type: 'postgres', host: 'old' })
    state.importErrors.push({
      import_error_id: 1,
      timestamp: '2026-03-14T00:00:00Z',
      filename: '/dags/a.py',
      stack_trace: 'x',
    })
    state.logs.set('nightly/r1/train/2', api === 1 ? 'ValueError' : '{"event":"ValueError"}')
    world = jobs.open({
      baseUrl: proxy.url,
      pools: { parsers: { max: 64 } },
      trigger: { nightly: { numbers: { partitions: 9 } } },
      connections: { warehouse: { type: 'postgres', host: 'new' } },
    })
  })
  afterEach(async () => {
    proxy.rest()
    await world.close()
    jobs.server.reset()
  })
  afterAll(async () => {
    await proxy.close()
    await jobs.server.stop()
  })

  it('is known for every command of Airflow', () => {
    expect(own.map((c) => c.id).toSorted()).toEqual([...Object.keys(READS), ...Object.keys(CHANGES)].toSorted())
  })

  const commandOf = (id: string) => own.find((c) => c.id === id)!
  const look = async (work: () => Promise<unknown>): Promise<unknown> => {
    try {
      return await work()
    } catch (error) {
      expect(String(error)).not.toMatch(RAW)
      return error
    }
  }

  it.each(Object.entries(READS))('%s shows what it can, or says one sentence', async (id, params) => {
    const command = commandOf(id) as ReadCommand
    const read = () => command.read(command.params.parse({ connection: 'jobs', ...params }), world.read())
    const plain = await read()
    for (const [mischief, shift] of WHOLE) {
      proxy.play(mischief, { shift })
      const seen = await look(read)
      if (mischief === 'slow' || mischief === 'extra') expect([mischief, seen]).toEqual([mischief, plain])
      else expect(JSON.stringify(seen)).not.toMatch(RAW)
    }
    for (const mischief of ['throttled', 'unavailable', 'partial', 'lost'] as const) {
      proxy.play(mischief)
      expect([mischief, await read()]).toEqual([mischief, plain])
    }
  })

  it.each(Object.entries(CHANGES))(
    '%s plans the same or refuses, and takes no answer for a success that is none',
    async (id, params) => {
      const command = commandOf(id) as ChangeCommand
      const plan = () => propose(command, { connection: 'jobs', ...params }, world.read())
      const plain = await plan()
      for (const [mischief, shift] of WHOLE) {
        proxy.play(mischief, { shift })
        const seen = await look(plan)
        if (mischief === 'slow' || mischief === 'extra') expect([mischief, seen]).toEqual([mischief, plain])
        // Nothing has been done yet: whatever the answers look like, it is no success, and a probe does not say so.
        const checks = (await look(() => command.verify(plain, world.read()))) as { ok: boolean }[] | Error
        if (!(checks instanceof Error))
          expect([mischief, shift, checks.every((c) => c.ok)]).toEqual([mischief, shift, false])
        for (const step of plain.steps) {
          const found = (await look(() => command.probe(plain, step.id, world.read()))) as { landed?: string }
          if (mischief !== 'nulls') expect([mischief, step.id, found.landed]).not.toEqual([mischief, step.id, 'yes'])
        }
      }
      expect(jobs.server.changes()).toEqual([])
    },
  )
})
