import { writeFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { machinesPackages } from '../../../commands/machines/packages.ts'
import { pinPackages } from '../../../commands/machines/pin-packages.ts'
import { propose } from '../context.ts'
import { IDS, type Machines, startMachines } from './world.ts'

describe('packages of machines', () => {
  let m: Machines
  const begin = async (group: object = {}) => {
    m = await startMachines(group)
    for (const id of IDS)
      await m.fleet.packages(
        id,
        { bash: '5.2.15-2+b7', numpy: '2.1.0', pandas: '2.0.3', openssl: '3.0.15-1~deb12u1' },
        { numpy: '1.26.4' },
      )
    await m.fleet.packages('i-0b000001', {
      bash: '5.2.15-2+b7',
      numpy: '1.26.4',
      pandas: '2.0.3',
      openssl: '3.0.15-1~deb12u1',
      jq: '1.6-2.1',
    })
  }
  beforeEach(() => begin())
  afterEach(() => m.close())

  const at = { connection: 'prod', group: 'airflow', packages: 'numpy=1.26.4' }
  const plan = (more: object = {}) => propose(pinPackages, { ...at, ...more }, m.world.read())
  const refusal = (more: object) =>
    plan(more).then(
      () => 'planned',
      (error: Error) => `${error.name}: ${error.message}`,
    )
  const compare = (against = 'staging') => {
    if (machinesPackages.effect !== 'read') throw new Error('no read')
    const params = { connection: 'prod', group: 'airflow', against, againstConnection: '' }
    return machinesPackages.read(params, m.world.read())
  }

  it('shows what differs between two groups and nothing else', async () => {
    const { summary, blocks } = await compare()
    expect(summary).toContain(
      '2 of 5 packages differ between airflow (test, 3 machines) and staging (test, 1 machines)',
    )
    expect(blocks[0]).toMatchObject({
      rows: [
        ['jq', 'not installed', '1.6-2.1'],
        ['numpy', '2.1.0', '1.26.4'],
      ],
    })
  })

  it('shows machines of one group that differ among themselves', async () => {
    await m.fleet.packages(IDS[1], {
      bash: '5.2.15-2+b7',
      numpy: '1.26.4',
      pandas: '2.0.3',
      openssl: '3.0.15-1~deb12u1',
    })
    expect((await compare('airflow')).blocks[0]).toMatchObject({
      rows: [['numpy', '1.26.4 (1 machines), 2.1.0 (2 machines)', '1.26.4 (1 machines), 2.1.0 (2 machines)']],
    })
  })

  it('reads a list of packages that is longer than Systems Manager keeps of an output', async () => {
    const many = Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`lib-package-${i}`, `1.${i}.0-2+deb12u3`]))
    await m.fleet.packages('i-0b000001', many)
    expect((await compare()).summary).toContain('2004 of 2004 packages differ')
  })

  it('installs the exact version on one machine after the other, and holds it', async () => {
    const shown = await plan()
    expect(shown.targets[0]?.details).toMatchObject({ Installed: 'numpy=2.1.0', Wanted: 'numpy=1.26.4' })
    const seen: string[] = []
    m.fleet.state.before = (script) => void (script.includes('install') && seen.push(script))
    await pinPackages.run(shown, m.world.run(shown).ctx)
    for (const id of IDS) expect((await m.fleet.installed(id)).numpy).toBe('1.26.4')
    expect(await readFile(join(m.fleet.machines.get(IDS[0])!.home, 'held'), 'utf8')).toBe('numpy\n')
    expect((await pinPackages.verify(shown, m.world.read())).map((check) => check.ok)).toEqual([true, true, true])
    expect(m.fleet.changes().map((one) => one.invocations.map((inv) => inv.instance))).toEqual(IDS.map((id) => [id]))
    expect(await refusal({})).toContain('have numpy=1.26.4 already')
  })

  it('shows all that changes with it', async () => {
    await m.fleet.pulls(IDS[0], ['numpy=1.26.4 Inst libblas3 (3.11.0-2 Debian:12.9/stable [amd64])'])
    const shown = await plan({ instances: IDS[0] })
    expect(shown.targets[0]?.details['All that changes']).toBe('libblas3 3.11.0-2 (new), numpy 2.1.0 → 1.26.4')
    expect(shown.steps[0]?.detail).toContain('--no-remove')
    // Another archive since then: other packages would come along.
    await m.fleet.pulls(IDS[0], ['numpy=1.26.4 Inst libblas3 (3.12.0-1 Debian:12.9/stable [amd64])'])
    await expect(pinPackages.run(shown, m.world.run(shown).ctx)).rejects.toThrow(
      'af-1 would change libblas3 3.12.0-1 (new), numpy 2.1.0 → 1.26.4 now, not what was shown',
    )
    expect(m.fleet.changes()).toEqual([])
  })

  it('refuses what would remove, change what is held, or set back what was not named', async () => {
    const pulls = (line: string) => m.fleet.pulls(IDS[1], [`numpy=1.26.4 ${line}`])
    await pulls('Remv pandas [2.0.3]')
    expect(await refusal({})).toBe('Refused: af-2: it would remove pandas. Nothing is ever removed.')
    await pulls('Inst openssl [3.0.15-1~deb12u1] (3.0.16-1 Debian:12.9/stable [amd64])')
    expect(await refusal({})).toBe('planned')
    await writeFile(join(m.fleet.machines.get(IDS[1])!.home, 'held'), 'openssl\nnumpy\n')
    expect(await refusal({})).toContain('af-2: it would change openssl, which is held there')
    await pulls('Inst bash [5.2.15-2+b7] (5.1-1 Debian:12.9/stable [amd64])')
    expect(await refusal({})).toContain('af-2: it would set bash back to an older version as well')
  })

  it('stops at the first machine where the installation fails, and knows that nothing changed there', async () => {
    await m.fleet.packages(IDS[1], { numpy: '2.1.0' })
    expect(await refusal({})).toMatch(
      /^Refused: i-0a000002: it cannot be installed: .*Version '1\.26\.4' for 'numpy' was not found\. The list of packages/,
    )
    await m.fleet.packages(IDS[1], { numpy: '2.1.0' }, { numpy: '1.26.4' })
    const shown = await plan()
    await m.fleet.packages(IDS[1], { numpy: '2.1.0' })
    await expect(pinPackages.run(shown, m.world.run(shown).ctx)).rejects.toThrow(
      "Version '1.26.4' for 'numpy' was not found",
    )
    expect((await m.fleet.installed(IDS[2])).numpy).toBe('2.1.0')
    const probe = (id: string) => pinPackages.probe(shown, `pin:${id}`, m.world.read())
    expect([(await probe(IDS[0])).landed, (await probe(IDS[1])).landed]).toEqual(['yes', 'no'])
  })

  it('cannot tell when only a part of the packages was installed', async () => {
    await m.fleet.packages(IDS[0], { numpy: '2.1.0', pandas: '2.0.3' }, { numpy: '1.26.4' })
    expect(await refusal({ packages: 'numpy=1.26.4, pandas=2.2.0' })).toContain("'2.2.0' for 'pandas' was not found")
    await m.fleet.packages(IDS[0], { numpy: '2.1.0', pandas: '2.0.3' }, { numpy: '1.26.4', pandas: '2.2.0' })
    const shown = await plan({ packages: 'numpy=1.26.4, pandas=2.2.0', instances: IDS[0] })
    m.fleet.state.before = (script) => {
      if (script.includes('--yes')) writeFileSync(join(m.fleet.machines.get(IDS[0])!.home, 'archive'), 'numpy=1.26.4\n')
    }
    await expect(pinPackages.run(shown, m.world.run(shown).ctx)).rejects.toThrow('pandas')
    const { landed, detail } = await pinPackages.probe(shown, `pin:${IDS[0]}`, m.world.read())
    expect([landed, detail]).toEqual(['cannot_tell', expect.stringContaining('numpy=1.26.4 pandas=2.0.3')])
  })

  it('leaves a machine alone on which somebody installed another version meanwhile', async () => {
    const shown = await plan({ instances: IDS[0] })
    await m.fleet.packages(IDS[0], { numpy: '2.2.0' })
    await expect(pinPackages.run(shown, m.world.run(shown).ctx)).rejects.toThrow('has numpy=2.2.0 now')
    expect(m.fleet.changes()).toEqual([])
  })

  it('pins with pip where the group says so', async () => {
    await m.close()
    await begin({
      packageManager: 'pip',
      python: new URL('../../fixtures/machines/bin/python3', import.meta.url).pathname,
    })
    const shown = await plan({ instances: IDS[0] })
    await pinPackages.run(shown, m.world.run(shown).ctx)
    expect((await m.fleet.installed(IDS[0])).numpy).toBe('1.26.4')
    expect(shown.steps[0]?.detail).toContain("--no-deps -- 'numpy==1.26.4'")
  })

  it('pins rpm packages, and to another version again, with one lock at the end', async () => {
    await m.close()
    await begin({ packageManager: 'rpm' })
    const [old, now] = ['1.26.4-1.amzn2023', '2.1.0-3.amzn2023']
    for (const id of IDS) await m.fleet.packages(id, { numpy: now, bash: '5.2.15-1.amzn2023' }, { numpy: old })
    await m.fleet.packages('i-0b000001', { numpy: old, bash: '5.2.15-1.amzn2023' })
    expect((await compare()).blocks[0]).toMatchObject({ rows: [['numpy', now, old]] })
    const [home, id] = [m.fleet.machines.get(IDS[0])!.home, IDS[0]]
    // The archive keeps what was installed before: that is the way back.
    const archive = await readFile(join(home, 'archive'), 'utf8')
    for (const version of [old, now]) {
      await writeFile(join(home, 'archive'), `${archive}numpy=${old}\nnumpy=${now}\n`)
      const shown = await plan({ packages: `numpy=${version}`, instances: id })
      await pinPackages.run(shown, m.world.run(shown).ctx)
      expect(await m.fleet.installed(id)).toMatchObject({ numpy: version, bash: '5.2.15-1.amzn2023' })
      expect(await readFile(join(home, 'locks'), 'utf8')).toBe(`numpy-${version}\n`)
    }
    const shown = await plan({ packages: 'numpy=9.9-1', instances: id })
    await expect(pinPackages.run(shown, m.world.run(shown).ctx)).rejects.toThrow('Unable to find a match: numpy-9.9-1')
    expect((await pinPackages.probe(shown, `pin:${id}`, m.world.read())).landed).toBe('no')
  })

  it('refuses packages that the group does not list', async () => {
    expect(await refusal({ packages: 'bash=5.1' })).toContain('does not list the package bash')
    expect(await refusal({ packages: 'numpy=1.26.4, numpy=1.26.3' })).toContain('two versions')
    expect(await refusal({ packages: ',' })).toContain('Name at least one')
    expect(await refusal({ group: 'bare' })).toContain('does not list the package numpy')
  })

  it('takes no text that a shell or a package manager could read as more than a name and a version', async () => {
    const hostile = [
      'numpy',
      'numpy=',
      '=1',
      '-t=1',
      'numpy=-1',
      'numpy=1;id',
      'numpy=$(id)',
      "numpy=1'",
      'numpy=1 bash=2',
      'numpy==1',
      'numpy=1\n2',
      'numpy={{ssm:x}}',
      './x=1',
    ]
    for (const packages of hostile) expect(await refusal({ packages })).toMatch(/^ZodError/)
    expect(m.fleet.commands).toEqual([])
  })
})
