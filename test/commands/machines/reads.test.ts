import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { machinesJournal } from '../../../commands/machines/journal.ts'
import { quote } from '../../../commands/machines/shell.ts'
import { machinesStackSample } from '../../../commands/machines/stack-sample.ts'
import { machinesUnits } from '../../../commands/machines/units.ts'
import { machinesUrls } from '../../../commands/machines/urls.ts'
import type { Command } from '../../../src/domain/command.ts'
import { startService } from '../http/server.ts'
import { IDS, type Machines, startMachines, WORKER } from './world.ts'

const BIN = new URL('../../fixtures/machines/bin/', import.meta.url)

describe('what machines show', () => {
  let m: Machines
  const pages: Record<string, string> = {}
  beforeEach(async () => {
    for (const name of Object.keys(pages)) delete pages[name]
    m = await startMachines({ urls: pages, pySpy: new URL('py-spy', BIN).pathname })
  })
  afterEach(() => m.close())
  const read = async (command: Command, params: object = {}) => {
    if (command.effect !== 'read') throw new Error('no read')
    return command.read(command.params.parse({ connection: 'prod', group: 'airflow', ...params }), m.world.read())
  }

  it('shows the units that are down first, and machines that are not reached', async () => {
    await m.fleet.unit(IDS[2], WORKER, 'failed')
    m.fleet.machines.get(IDS[0])!.online = false
    const { summary, blocks } = await read(machinesUnits)
    expect(summary).toBe(
      `1 of 4 units of airflow (test) are down; af-3: ${WORKER} is failed (failed). Not known of 1 machines: af-1 is not reached.`,
    )
    expect(blocks[0]).toMatchObject({ omitted: 0 })
    expect((blocks[0] as { rows: string[][] }).rows[0]).toEqual([
      'af-3',
      IDS[2],
      WORKER,
      'failed (failed)',
      '2026-01-05T09:00:00Z',
      '0',
    ])
  })

  it('shows the units of the others when one machine gives no sense, and takes no state that is unknown for an end', async () => {
    m.fleet.state.before = (script) => {
      if (script.includes('systemctl')) m.fleet.commands[0]!.invocations[1]!.garble = 'Failed to connect to bus\n'
    }
    expect((await read(machinesUnits)).summary).toBe(
      '0 of 4 units of airflow (test) are down. Not known of 1 machines: af-2 systemctl showed 1 of 2 units.',
    )
    let isFirst = true
    m.fleet.state.before = () => {
      m.fleet.state.hold = isFirst
      if (isFirst) m.fleet.surprise()
      if (isFirst) m.fleet.commands[0]!.invocations[0]!.status = 'Hibernating'
      isFirst = false
    }
    expect((await read(machinesUnits)).summary).toMatch(
      /^0 of 4 units of airflow \(test\) are down\. Not known of 1 machines: af-1 ended with a state that nobody knows \(unknown: Hibernating\)\.$/,
    )
  })

  it('asks the others where one was terminated a moment ago and is still listed', async () => {
    m.fleet.machines.get(IDS[1])!.gone = true
    expect((await read(machinesUnits)).summary).toBe(
      '0 of 4 units of airflow (test) are down. Not known of 1 machines: af-2 is not reached.',
    )
  })

  it('masks what looks like a secret in a journal', async () => {
    await m.fleet.journal(IDS[0], WORKER, ['conn postgresql://af:hunter2@db/af failed', 'AIRFLOW_FERNET_SECRET=abc'])
    const { blocks } = await read(machinesJournal, { unit: WORKER })
    expect((blocks[1] as { text: string }).text).toBe(
      'conn postgresql://af:[secret]@db/af failed\nAIRFLOW_FERNET_SECRET=[secret]',
    )
  })

  it('shows the end of a long journal of each machine', async () => {
    const lines = Array.from(
      { length: 500 },
      (_, i) => `2026-11-21T01:00:00+0000 af-1 airflow[1]: ${'x'.repeat(100)} ${i}`,
    )
    await m.fleet.journal(IDS[0], WORKER, lines)
    const { summary, blocks } = await read(machinesJournal, { unit: WORKER, lines: 200 })
    expect(summary).toContain('on 3 of 3 machines')
    expect((blocks[1] as { text: string }).text).toMatch(/ 499$/)
    expect(blocks[3]).toEqual({ type: 'code', text: '-- No entries --' })
  })

  it('shows only journals of listed units, and at most 200 lines', async () => {
    await expect(read(machinesJournal, { unit: 'sshd.service' })).rejects.toThrow('does not list the unit')
    for (const more of [{ unit: WORKER, lines: 201 }, { unit: '$(id).service' }, { unit: `${WORKER} --flush` }])
      await expect(read(machinesJournal, more)).rejects.toThrow()
    expect(m.fleet.commands).toEqual([])
  })

  it('shows a page that is down beside one that is up', async () => {
    const [up, sick] = await Promise.all(
      [200, 503].map((status) => startService((_, __, reply) => void reply.writeHead(status).end('body'))),
    )
    const down = await startService(() => {})
    await down.stop()
    Object.assign(pages, { cluster: up!.origin, scheduler: sick!.origin, logs: down.origin })
    await m.close()
    m = await startMachines({ urls: pages })
    const { summary, blocks } = await read(machinesUrls)
    expect(summary).toBe('Down: scheduler, logs. Up: cluster.')
    expect((blocks[0] as { rows: string[][] }).rows.map((row) => row[2])).toEqual([
      '200',
      '503',
      'nothing listens at its address (ECONNREFUSED)',
    ])
    await Promise.all([up!.stop(), sick!.stop()])
  })

  it('shows where the process of one task stands, and no other', async () => {
    const title = 'airflow task runner: nightly load scheduled__2026-03-13T00:00:00+00:00'
    await m.fleet.processes(IDS[1], [
      `41 ${title}`,
      '42 airflow task runner: nightly load scheduled__2026-03-13T00:00:00 00:00',
    ])
    const { summary, blocks } = await read(machinesStackSample, { process: title })
    expect(summary).toBe(`Processes with “${title}” run on af-2.`)
    expect((blocks[1] as { text: string }).text).toContain('read_table (warehouse.py:88)')
    expect((blocks[1] as { text: string }).text.match(/^pid .*$/gm)).toEqual(['pid 41'])
    expect((await read(machinesStackSample, { process: 'other' })).summary).toContain('No machine of airflow')
  })

  it('samples nothing for a text that a shell could read as more, nor where no sampler is named', async () => {
    for (const process of ['a', '-u root', "x' ; id", '$(id)', '.*', 'a\nb', 'x|y', 'x{{ssm:y}}'])
      await expect(read(machinesStackSample, { process })).rejects.toThrow()
    await expect(read(machinesStackSample, { group: 'bare', process: 'airflow' })).rejects.toThrow('where pySpy is')
    expect(m.fleet.commands).toEqual([])
  })

  it('quotes whatever a script is given, and takes nothing that Systems Manager would fill in', () => {
    expect(quote("it's")).toBe(`'it'\\''s'`)
    for (const text of ['a\nb', 'a\0', '{{ssm:password}}', '\u001b[2J']) expect(() => quote(text)).toThrow(TypeError)
  })
})
