import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { restartUnits } from '../../../commands/machines/restart-units.ts'
import { propose } from '../context.ts'
import { Fault } from '../emr/json-server.ts'
import { IDS, type Machines, SCHEDULER, startMachines, WORKER } from './world.ts'

describe('machines.restart-units', () => {
  let m: Machines
  beforeEach(async () => {
    m = await startMachines()
  })
  afterEach(() => m.close())

  const at = { connection: 'prod', group: 'airflow' }
  const plan = (more: object = {}) => propose(restartUnits, { ...at, ...more }, m.world.read())
  const refusal = (more: object) =>
    plan(more).then(
      () => 'planned',
      (error: Error) => `${error.name}: ${error.message}`,
    )

  it('restarts every listed unit, one machine at a time, and shows how each came back', async () => {
    const shown = await plan()
    expect(shown.targets.map((target) => [target.name, target.details[WORKER]])).toEqual(
      ['af-1', 'af-2', 'af-3'].map((name) => [
        name,
        expect.stringMatching(/^active since 2026-01-05T09:00:00Z \(0+1\)$/),
      ]),
    )
    expect((await plan()).targets).toEqual(shown.targets)
    const touched: number[][] = []
    m.fleet.state.before = (script) => {
      if (script.includes('restart')) touched.push(IDS.map((id) => m.fleet.starts(id, WORKER)))
    }
    const message = await restartUnits.run(shown, m.world.run(shown).ctx)
    expect(message).toBe(
      ['af-1', 'af-2', 'af-3']
        .map((name) => `${name}: ${SCHEDULER} is active (running), ${WORKER} is active (running).`)
        .join(' '),
    )
    expect(touched).toEqual([
      [1, 1, 1],
      [2, 1, 1],
      [2, 2, 1],
    ])
    expect((await restartUnits.verify(shown, m.world.read())).map((check) => check.ok)).toEqual([true, true, true])
  })

  it('stops at the first machine whose unit does not come back, and says what became of the others', async () => {
    await m.fleet.spoil(IDS[1], WORKER, 'broken')
    const shown = await plan()
    const run = restartUnits.run(shown, m.world.run(shown).ctx)
    await expect(run).rejects.toThrow(
      /af-2 did not come back .* airflow-worker\.service is failed \(failed\); 1 machines after it were not touched/,
    )
    expect(IDS.map((id) => m.fleet.starts(id, WORKER))).toEqual([2, 2, 1])
    expect((await restartUnits.probe(shown, `back:${IDS[1]}`, m.world.read())).landed).toBe('no')
    expect((await restartUnits.probe(shown, `restart:${IDS[1]}`, m.world.read())).landed).toBe('yes')
    expect((await restartUnits.verify(shown, m.world.read())).map((check) => check.ok)).toEqual([true, false, false])
  })

  it('does not take a unit for back that crashes and is started again and again', async () => {
    await m.fleet.spoil(IDS[0], WORKER, 'flaps')
    // By the second look it has crashed once.
    await plan()
    const shown = await plan({ units: WORKER, instances: IDS[0] })
    await expect(restartUnits.run(shown, m.world.run(shown).ctx)).rejects.toThrow('af-1 did not come back')
  })

  it('makes the same plan again of a unit that fails all the time, so that it can be approved', async () => {
    for (const id of IDS) await m.fleet.unit(id, WORKER, 'failed')
    const first = await plan()
    await m.fleet.unit(IDS[0], WORKER, 'activating')
    expect((await plan()).targets).toEqual(first.targets)
    expect(first.targets[0]?.details[WORKER]).toBe('unsteady')
  })

  it('restarts only what was named', async () => {
    const shown = await plan({ units: WORKER, instances: `${IDS[2]}, ${IDS[0]}` })
    await restartUnits.run(shown, m.world.run(shown).ctx)
    expect(IDS.map((id) => m.fleet.starts(id, WORKER))).toEqual([2, 1, 2])
    expect(m.fleet.starts(IDS[0], SCHEDULER)).toBe(1)
  })

  it('leaves a machine alone whose unit was started by somebody since the plan was shown', async () => {
    const shown = await plan({ instances: IDS[0] })
    await m.fleet.unit(IDS[0], WORKER, 'failed')
    await expect(restartUnits.run(shown, m.world.run(shown).ctx)).rejects.toThrow('since the plan was shown')
    expect(m.fleet.changes()).toEqual([])
  })

  it('finds its command again by the comment after a lost reply', async () => {
    const shown = await plan({ instances: IDS[0] })
    const step = `restart:${IDS[0]}`
    expect((await restartUnits.probe(shown, step, m.world.read())).landed).toBe('no')
    m.fleet.state.before = (script) => {
      if (script.includes('restart')) m.fleet.lose('SendCommand')
    }
    const run = restartUnits.run(shown, m.world.run(shown).ctx)
    await expect(run).rejects.toMatchObject({ name: 'Unanswered' })
    expect(m.fleet.changes()).toHaveLength(1)
    const finding = () => restartUnits.probe(shown, step, m.world.read())
    for (let i = 0; i < 100 && (await finding()).landed !== 'yes'; i++);
    expect(await finding()).toMatchObject({ landed: 'yes', detail: expect.stringContaining(m.fleet.changes()[0]!.id) })
  })

  it('cannot tell while its command has not ended, and asks for its end when it is cancelled', async () => {
    const shown = await plan({ instances: IDS[0] })
    const stop = new AbortController()
    m.fleet.state.before = (script) => {
      m.fleet.state.hold = script.includes('restart')
    }
    const run = restartUnits.run(shown, m.world.run(shown, { signal: stop.signal }).ctx)
    let over = false
    const ended = run
      .catch((error: Error) => error)
      .finally(() => {
        over = true
      })
    while (m.fleet.changes().length === 0 && !over) await new Promise(setImmediate)
    expect((await restartUnits.probe(shown, `restart:${IDS[0]}`, m.world.read())).landed).toBe('cannot_tell')
    stop.abort(new Error('cancelled by Ada'))
    expect(await ended).toMatchObject({ name: 'AbortError' })
    expect(m.fleet.sent('CancelCommand')).toHaveLength(1)
    const { landed, detail } = await restartUnits.probe(shown, `restart:${IDS[0]}`, m.world.read())
    expect([landed, detail]).toEqual(['cannot_tell', expect.stringContaining('Cancelled')])
  })

  it('refuses what the settings do not list and what it cannot reach', async () => {
    expect(await refusal({ units: 'sshd.service' })).toContain('does not list the unit sshd.service')
    expect(await refusal({ group: 'bare' })).toContain('lists no units')
    expect(await refusal({ group: 'other' })).toContain('does not list the group "other"')
    expect(await refusal({ group: 'empty' })).toContain('knows no machine')
    expect(await refusal({ instances: 'i-0b000001' })).toContain('is no machine of the group')
    expect(await refusal({ group: 'staging' })).toContain('There is no unit airflow-scheduler.service')
    m.fleet.machines.get(IDS[1])!.online = false
    expect(await refusal({ instances: IDS[1] })).toContain('does not reach af-2 (i-0a000002, ConnectionLost)')
    for (const id of IDS) m.fleet.machines.get(id)!.online = false
    expect(await refusal({})).toContain('does not reach af-1')
  })

  it('goes on when Systems Manager has too many requests many times in a row, and says so', async () => {
    const shown = await plan()
    m.fleet.state.before = (script) => {
      if (script.includes('restart') && m.fleet.changes().length === 1) m.fleet.refuse('GetCommandInvocation', 5 + 10)
    }
    const { ctx, recording } = m.world.run(shown)
    await restartUnits.run(shown, ctx)
    expect(IDS.map((id) => m.fleet.starts(id, WORKER))).toEqual([2, 2, 2])
    expect(recording.progress.map((one) => one.note)).toContainEqual(
      expect.stringMatching(/^af-1: No answer for now, looking again: AWS refuses SSM GetCommandInvocation for now/),
    )
  })

  it('outlives a service that is away while a unit comes back, and sends no change twice', async () => {
    const shown = await plan({ instances: IDS[0] })
    m.fleet.state.before = (script) => {
      if (script.includes('restart')) m.fleet.refuse('SendCommand', 3, new Fault('InternalServerError', 'away', 503))
    }
    await restartUnits.run(shown, m.world.run(shown).ctx)
    expect(m.fleet.changes()).toHaveLength(1)
    expect(m.fleet.starts(IDS[0], WORKER)).toBe(2)
  })

  it('cannot say what became of a command whose end nobody tells', async () => {
    const shown = await plan({ instances: IDS[0] })
    m.fleet.state.before = (script) => {
      if (script.includes('restart'))
        m.fleet.refuse('GetCommandInvocation', 1, new Fault('AccessDeniedException', 'no'))
    }
    await expect(restartUnits.run(shown, m.world.run(shown).ctx)).rejects.toMatchObject({ name: 'Unanswered' })
  })

  it('leaves out a machine that is not reached, says so, and restarts the others', async () => {
    m.fleet.machines.get(IDS[1])!.online = false
    const shown = await plan()
    expect(shown.targets.map((target) => target.name)).toEqual(['af-1', 'af-3'])
    expect(shown.warnings).toEqual([expect.stringContaining('af-2 (i-0a000002, ConnectionLost) is left out')])
    await restartUnits.run(shown, m.world.run(shown).ctx)
    expect(IDS.map((id) => m.fleet.starts(id, WORKER))).toEqual([2, 1, 2])
  })

  it('takes no text that a shell or Systems Manager could read as more than a name', async () => {
    const hostile = [
      'a.service; touch /tmp/x',
      "a.service' 'b.service",
      '$(id).service',
      '`id`.service',
      '-H.service',
      '--root=/.service',
      '../x.service',
      '*.service',
      'a.service\nb.service',
      '{{ssm:password}}.service',
      'a b.service',
    ]
    for (const units of hostile) expect(await refusal({ units })).toMatch(/^ZodError/)
    for (const instances of ['i-1', 'all', 'i-0a000001;id', "i-0a000001'"])
      expect(await refusal({ instances })).toMatch(/^ZodError/)
    expect(m.fleet.commands).toEqual([])
  })
})
