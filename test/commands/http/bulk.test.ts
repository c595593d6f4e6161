import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { bulk } from '../../../commands/http/bulk.ts'
import { HttpSettings } from '../../../commands/http/connection.ts'
import { httpList } from '../../../commands/http/list.ts'
import { operate } from '../../../commands/http/operate.ts'
import { type ReadCommand, Refused, Unanswered } from '../../../src/domain/command.ts'
import type { Plan } from '../../../src/domain/plan.ts'
import { createWorld, propose, type RunOptions, type World } from '../context.ts'
import { codeSettings, type Metadata, metadataSettings, startMetadata, TOKEN } from './metadata.ts'

const [DEPLOYED, FIX] = ['a'.repeat(40), 'b'.repeat(40)]
let metadata: Metadata
let world: World

beforeAll(async () => {
  metadata = await startMetadata()
})
afterAll(() => metadata.stop())
beforeEach(() => {
  world = createWorld({
    connections: {
      metadata: { kind: 'http', settings: metadataSettings(metadata.origin) },
      code: { kind: 'http', settings: codeSettings(metadata.origin) },
    },
    secrets: { METADATA_TOKEN: TOKEN },
  })
})
afterEach(async () => {
  await world.close()
  metadata.reset()
})

const list = (name: string, args: string[]) => {
  const command = httpList as ReadCommand
  return command.read(command.params.parse({ connection: 'metadata', list: name, args }), world.read())
}
const planBulk = (count: unknown, args = ['transaction=t-77'], more = {}) =>
  propose(bulk, { connection: 'metadata', operation: 'retract-all', args, count, ...more }, world.read())
const planOne = (operation: string, args: string[]) =>
  propose(operate, { connection: 'metadata', operation, args }, world.read())
const run = (command: typeof bulk, plan: Plan, options?: RunOptions) => command.run(plan, world.run(plan, options).ctx)
const states = (state: string) => [...metadata.datasets.values()].filter((d) => d.state === state).length
const many = (n: number) => {
  for (let i = 0; i < n; i++) metadata.addDataset(`d-${String(i).padStart(4, '0')}`)
}
const posts = () => metadata.seen.filter((s) => s.method === 'POST')

describe('http.list', () => {
  it('counts what there is over all pages and shows it', async () => {
    many(230)
    metadata.addDataset('other', { transaction: 't-78' })
    const { summary, blocks } = await list('committed', ['transaction=t-77'])
    expect(summary).toBe('230 in committed.')
    expect(blocks[0]).toMatchObject({ columns: ['dataset', 'name', 'rows'], omitted: 30 })
    expect(blocks[0]?.type === 'table' && blocks[0].rows[0]).toEqual(['d-0000', 'd_0000', '10'])
  })

  it('puts what is there more than once first, and marks it', async () => {
    metadata.addDataset('d-1', { name: 'users', schema: ['id', 'country', 'age', 'country'] })
    const { summary, blocks } = await list('schema', ['transaction=t-77', 'dataset=users'])
    expect(summary).toBe('4 in schema; 1 of them more than once.')
    expect(blocks[0]).toMatchObject({
      columns: ['attribute', 'type', ''],
      rows: [
        ['country', 'text', '⚠ 2 times'],
        ['country', 'text', '⚠ 2 times'],
        ['id', 'text', ''],
        ['age', 'text', ''],
      ],
    })
  })

  it.each([
    ['committed', ['transaction=t-77/../../jobs'], /transaction does not match/],
    ['committed', ['transaction=t-77', 'state=failed'], /takes no "state"/],
    ['committed', [], /transaction is missing/],
    ['__proto__', [], /no list named "__proto__"/],
    ['committed', ['transaction=t-404'], /answered 404: .*no transaction t-404/],
  ])('refuses %s with %j', async (name, args, says) => {
    await expect(list(name, args)).rejects.toThrow(Refused)
    await expect(list(name, args)).rejects.toThrow(says)
  })

  it('takes no list that says something else than expected for a comparison', async () => {
    metadata.compared.status = 'diverged'
    const command = httpList as ReadCommand
    const params = { connection: 'code', list: 'changed-files', args: [`deployed=${DEPLOYED}`, `fix=${FIX}`] }
    await expect(command.read(command.params.parse(params), world.read())).rejects.toThrow(
      /says status diverged, not ahead/,
    )
  })
})

describe('http.bulk', () => {
  it('changes everything that is listed, ten at a time, with a key for each, and its list is empty then', async () => {
    many(120)
    const plan = await planBulk('120')
    expect(posts()).toEqual([])
    expect(plan.summary).toBe('Retract everything that a transaction has committed: 120')
    expect(plan.targets).toHaveLength(120)
    expect(plan.targets[0]).toMatchObject({
      id: 'http:metadata/dataset/d-0000',
      details: { name: 'd_0000', rows: '10' },
    })
    expect(plan.steps[0]?.detail).toContain(`POST ${metadata.origin}/datasets/d-0000/retract`)
    expect(plan.steps[0]?.detail).toContain('d-0119')
    expect(JSON.stringify(plan)).not.toContain(TOKEN)
    expect(await planBulk('120')).toEqual(plan)

    const { ctx, recording } = world.run(plan)
    const hold = Promise.withResolvers<void>()
    metadata.gate.open = hold.promise
    metadata.gate.arrived = async () => {
      if (metadata.load.now < 10) return
      // Long enough for an eleventh to arrive.
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
      hold.resolve()
    }
    expect(await bulk.run(plan, ctx)).toBe('Retract everything that a transaction has committed: 120 of 120 done')
    expect(recording.progress.at(-1)).toEqual({ done: 120, total: 120 })
    expect([states('committed'), states('retracted')]).toEqual([0, 120])
    expect(metadata.load.most).toBe(10)
    expect(new Set([...metadata.keys.values()].flat()).size).toBe(120)
    expect(await bulk.verify(plan, world.read())).toEqual([
      { title: 'Each dataset is changed', ok: true, detail: '120 of 120' },
    ])
    expect(await bulk.probe(plan, 'change', world.read())).toEqual({
      landed: 'yes',
      detail: '120 of 120 are changed.',
    })
    await expect(planBulk('120')).rejects.toThrow(new Refused('Nothing to do: committed holds no dataset.'))
  })

  it('refuses when the typed count is not the count', async () => {
    many(12)
    await expect(planBulk('13')).rejects.toThrow(
      new Refused('You typed 13, but committed holds 12 now. Look again, and type what you mean.'),
    )
    expect(posts()).toEqual([])
  })

  it('takes its count from a person alone: a form must ask for it', () => {
    expect(bulk.params.safeParse({ connection: 'metadata', operation: 'retract-all' }).success).toBe(false)
    expect(bulk.params.shape.count?.meta()).toMatchObject({ from: 'person' })
  })

  it('goes on past failures within its budget, lists them, and leaves them for another decision', async () => {
    many(100)
    for (const id of ['d-0003', 'd-0077']) metadata.failing.add(id)
    const plan = await planBulk(100)
    expect(plan.warnings).toEqual(['It stops when more than 5 have failed. What was changed by then stays changed.'])
    expect(await run(bulk, plan)).toMatch(/: 98 of 100 done; 2 failed \(POST .* answered 503.*\): d-0003, d-0077$/)
    expect(posts()).toHaveLength(100)
    const [check] = await bulk.verify(plan, world.read())
    expect(check).toMatchObject({ ok: false, detail: '98 of 100; not: d-0003, d-0077' })
    metadata.failing.clear()
    const again = await planBulk(2)
    expect(again.targets.map((t) => t.name)).toEqual(['dataset d-0003', 'dataset d-0077'])
    expect(await run(bulk, again)).toMatch(/: 2 of 2 done$/)
    expect(states('committed')).toBe(0)
  })

  it('stops above its budget, and says what it did not try', async () => {
    many(200)
    for (const id of metadata.datasets.keys()) if (id >= 'd-0050') metadata.failing.add(id)
    const plan = await planBulk(200)
    const said = await run(bulk, plan)
    expect(said).toMatch(/stopped, since too many failed: \d+ not tried$/)
    const tried = posts().length
    // Those that were out when the eleventh failed are waited for.
    expect(tried).toBeGreaterThanOrEqual(61)
    expect(tried).toBeLessThanOrEqual(70)
    expect(await bulk.probe(plan, 'change', world.read())).toMatchObject({
      landed: 'cannot_tell',
      detail: expect.stringMatching(/^50 of 200 are changed\. Not, or not known: d-0050, /),
    })
  })

  it('starts nothing more once it is cancelled, and waits for what is out', async () => {
    many(50)
    const hold = Promise.withResolvers<void>()
    metadata.gate.open = hold.promise
    const cancel = new AbortController()
    let arrived = 0
    metadata.gate.arrived = () => {
      if (++arrived === 10) {
        cancel.abort(new Error('cancelled by Ona'))
        hold.resolve()
      }
    }
    const plan = await planBulk(50)
    expect(await run(bulk, plan, { signal: cancel.signal })).toBe(
      'Retract everything that a transaction has committed: 10 of 50 done; stopped, since cancelled by Ona: 40 not tried',
    )
    expect([states('retracted'), posts().length]).toEqual([10, 10])
  })

  it('reads again what got no answer: it had landed', async () => {
    many(40)
    metadata.silent.add('d-0005')
    const plan = await planBulk(40)
    expect(await run(bulk, plan)).toMatch(/40 of 40 done$/)
    expect(await bulk.verify(plan, world.read())).toMatchObject([{ ok: true, detail: '40 of 40' }])
  })

  it('does not say how it ended while something without an answer may still land', async () => {
    many(40)
    metadata.lost.add('d-0005')
    metadata.failing.add('d-0009')
    const plan = await planBulk(40)
    const broken = await run(bulk, plan).catch((error: unknown) => error)
    expect(broken).toBeInstanceOf(Unanswered)
    expect(String(broken)).toContain('38 of 40 done; no answer came for d-0005, which may still land; 1 failed: d-0009')
  })

  it('probes as not landed when nothing was changed', async () => {
    many(3)
    expect(await bulk.probe(await planBulk(3), 'change', world.read())).toMatchObject({ landed: 'no' })
  })

  it('is another plan when a fact of one item changed', async () => {
    many(3)
    const before = await planBulk(3)
    metadata.datasets.get('d-0001')!.rows = 11
    expect(await planBulk(3)).not.toEqual(before)
  })

  it('refuses while something that must not be there is there', async () => {
    many(3)
    metadata.jobs.set('j-1', { id: 'j-1', dag: 'nightly', state: 'running' })
    const plan = () =>
      planBulk(3, ['transaction=t-77', 'dag=nightly'], { operation: 'retract-for-fix' }).then((p) => p.summary)
    await expect(plan()).rejects.toThrow(new Refused('Jobs of the DAG still run and would commit again (jobs: j-1).'))
    metadata.jobs.clear()
    expect(await plan()).toMatch(/: 3$/)
  })
})

describe('http.operate', () => {
  const fixing = (files = 'dags/nightly.py') => [`dag=nightly`, `deployed=${DEPLOYED}`, `fix=${FIX}`, `files=${files}`]
  const running = (...ids: string[]) => {
    for (const id of ids) metadata.jobs.set(id, { id, dag: 'nightly', state: 'running' })
    metadata.compared.files.push({ filename: 'dags/nightly.py', status: 'modified', changes: 2 })
  }

  it('changes each thing as a step of its own, and tells of each whether it landed', async () => {
    running('j-1', 'j-2')
    const plan = await planOne('kill-jobs', fixing())
    expect(plan.steps.map((s) => s.id)).toEqual(['change j-1', 'change j-2'])
    expect(await operate.probe(plan, 'change j-2', world.read())).toEqual({
      landed: 'no',
      detail: 'j-2 is not changed.',
    })
    const { ctx, recording } = world.run(plan)
    expect(await operate.run(plan, ctx)).toBe('Kill the running jobs of a DAG: j-1, j-2')
    expect(recording.finished.map((f) => f.id)).toEqual(['change j-1', 'change j-2'])
    expect(await operate.probe(plan, 'change j-2', world.read())).toMatchObject({ landed: 'yes' })
    expect(await operate.verify(plan, world.read())).toMatchObject([{ ok: true, detail: '2 of 2' }])
  })

  it('stops at the first that fails', async () => {
    running('j-1', 'j-2')
    metadata.failing.add('j-1')
    const plan = await planOne('kill-jobs', fixing())
    await expect(run(operate, plan)).rejects.toThrow('POST /jobs/j-1/kill answered 503: {"error":"j-1 is busy"}')
    expect(metadata.jobs.get('j-2')?.state).toBe('running')
  })

  it('refuses when a new version changes more than the named files', async () => {
    running('j-1')
    metadata.compared.files.push({ filename: 'dags/billing.py', status: 'modified', changes: 40 })
    await expect(planOne('kill-jobs', fixing())).rejects.toThrow(
      new Refused('The new version changes more than the fix (changed-files: dags/billing.py).'),
    )
    expect((await planOne('kill-jobs', fixing('dags/nightly.py, dags/billing.py'))).targets).toHaveLength(1)
  })

  it('refuses a comparison too long to be read whole, one of nothing, and one with another history', async () => {
    running('j-1')
    metadata.compared.files.push(
      ...Array.from({ length: 299 }, () => ({ filename: 'dags/nightly.py', status: 'modified', changes: 1 })),
    )
    await expect(planOne('kill-jobs', fixing())).rejects.toThrow(/too long to be read whole/)
    metadata.compared.files.length = 0
    await expect(planOne('kill-jobs', fixing())).rejects.toThrow(/changed-files is empty/)
    metadata.compared.status = 'diverged'
    await expect(planOne('kill-jobs', fixing())).rejects.toThrow(/diverged/)
  })

  it('commits an empty dataset that nobody uses, and refuses one that something depends on', async () => {
    metadata.addDataset('d-9', { name: 'extras', state: 'failed' })
    const args = ['transaction=t-77', 'dataset=extras']
    const plan = await planOne('commit-empty', args)
    expect(plan.steps[0]?.detail).toContain('{"rows":0,"of":"extras"}')
    await run(operate, plan)
    expect(metadata.datasets.get('d-9')).toMatchObject({ state: 'committed', rows: 0 })
    expect(await operate.verify(plan, world.read())).toMatchObject([{ ok: true }])
    metadata.addDataset('d-9', { name: 'extras', state: 'failed', users: ['report', 'model'] })
    await expect(planOne('commit-empty', args)).rejects.toThrow(
      new Refused('Other datasets are made from it (users: report, model).'),
    )
  })

  it('retracts one dataset, says which id, and reads again that its schema is empty', async () => {
    metadata.addDataset('d-1', { name: 'users', schema: ['id', 'id'] })
    metadata.addDataset('d-2', { name: 'orders' })
    const plan = await planOne('retract-one', ['transaction=t-77', 'dataset=users'])
    expect(plan.targets.map((t) => t.name)).toEqual(['dataset d-1'])
    await run(operate, plan)
    expect(await operate.verify(plan, world.read())).toEqual([
      { title: 'Each dataset is changed', ok: true, detail: '1 of 1' },
      { title: 'schema is empty', ok: true, detail: '' },
    ])
    expect(metadata.datasets.get('d-2')?.state).toBe('committed')
  })

  it('leaves more than ten to http.bulk', async () => {
    running(...Array.from({ length: 11 }, (_, i) => `j-${i}`))
    await expect(planOne('kill-jobs', fixing())).rejects.toThrow(/more than 10: that is for http.bulk/)
  })

  it.each(['../../admin', 'a/b', '..', 'a%2fb', 'x?y', 'a b'])(
    'sends nothing elsewhere for the id %j of a service that lies',
    async (id) => {
      running(id)
      const plan = planOne('kill-jobs', fixing())
      const sent = await plan.then(
        (p) => run(operate, p).then(() => true),
        (error: unknown) => error instanceof Refused || Promise.reject(error),
      )
      expect(sent).toBe(true)
      for (const { url } of posts()) expect(url).toBe(`/jobs/${encodeURIComponent(id)}/kill`)
    },
  )
})

describe('the settings of lists and operations', () => {
  const faults = (change: (settings: ReturnType<typeof metadataSettings>) => void) => {
    const settings = metadataSettings('https://metadata.example')
    change(settings)
    const parsed = HttpSettings.safeParse(settings)
    return parsed.success ? [] : parsed.error.issues.map((i) => i.path.join('.'))
  }
  it('fit together', () => expect(faults(() => {})).toEqual([]))
  it.each([
    ['operations.kill-jobs.list', (s) => Object.assign(s.operations['kill-jobs'], { list: 'gone' })],
    ['lists.jobs.path', (s) => Object.assign(s.lists.jobs, { path: '/jobs/{unknown}' })],
    ['operations.retract-one.send.path', (s) => Object.assign(s.operations['retract-one'].send, { path: '/x/{who}' })],
    ['operations.retract-all.atOnce', (s) => Object.assign(s.operations['retract-all'], { atOnce: 11 })],
    ['lists.jobs.id', (s) => Object.assign(s.lists.jobs, { id: 'id' })],
  ] as [string, (s: ReturnType<typeof metadataSettings>) => void][])('are refused at %s', (path, change) => {
    expect(faults(change)).toEqual([path])
  })
})
