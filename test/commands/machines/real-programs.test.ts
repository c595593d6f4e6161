import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { pinScript } from '../../../commands/machines/inventory.ts'
import { pinPackages } from '../../../commands/machines/pin-packages.ts'
import { describeWith, programOf } from '../../harness/peer.ts'
import { propose } from '../context.ts'
import { IDS, type Machines, startMachines } from './world.ts'

const run = promisify(execFile)
const [ID] = IDS
const planOf = (m: Machines, packages: string, more: object = {}) =>
  propose(pinPackages, { connection: 'prod', group: 'airflow', packages, instances: ID, ...more }, m.world.read())
const refusalOf = (m: Machines, packages: string, more: object = {}) =>
  planOf(m, packages, more).then(
    (plan) => plan.targets[0]?.details['All that changes'] ?? '',
    (error: Error) => error.message,
  )

/** A stanza of dpkg's status or of an archive's index. */
const stanza = (Package: string, Version: string, more: Record<string, string> = {}) =>
  Object.entries({ Package, Version, Architecture: 'all', Maintainer: 'nobody', Description: Package, ...more })
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('')

describeWith(
  ['apt-get', 'apt-mark', 'dpkg', 'dpkg-query', 'dash'],
  "Debian's own package manager, in a root of its own",
  () => {
    let root: string
    let env: Record<string, string>
    let m: Machines
    beforeAll(async () => {
      root = await mkdtemp(join(tmpdir(), 'keyturn-apt-'))
      const at = (path: string) => join(root, path)
      for (const dir of [
        'repo',
        'etc/apt.conf.d',
        'etc/preferences.d',
        'state/lists/partial',
        'cache/archives/partial',
        'log',
      ])
        await mkdir(at(dir), { recursive: true })
      await mkdir(at('dpkg/info'), { recursive: true })
      await mkdir(at('dpkg/updates'), { recursive: true })
      const installed = { Status: 'install ok installed' }
      await writeFile(
        at('dpkg/status'),
        [
          stanza('timesync', '252', { ...installed, Provides: 'time-daemon', Conflicts: 'time-daemon' }),
          stanza('numpy', '2.1.0', installed),
          stanza('libblas', '3.11', installed),
          stanza('openssl', '3.0.15', { Status: 'hold ok installed' }),
          stanza('pandas', '2.0.3', { ...installed, Depends: 'numpy (>= 1.20)' }),
        ].join('\n'),
      )
      const file = { Filename: './x.deb', Size: '1', SHA256: '0'.repeat(64) }
      await writeFile(
        at('repo/Packages'),
        [
          stanza('numpy', '1.26.4', { ...file, Depends: 'libblas (<< 3.11), liblapack' }),
          stanza('numpy', '1.19.0', file),
          stanza('numpy', '1.25.0', { ...file, Depends: 'openssl (>= 3.0.16)' }),
          stanza('numpy', '2.1.0', file),
          stanza('libblas', '3.10', file),
          stanza('liblapack', '3.10', file),
          stanza('openssl', '3.0.16', file),
          stanza('chrony', '4.3', { ...file, Provides: 'time-daemon', Conflicts: 'time-daemon' }),
        ].join('\n'),
      )
      await writeFile(at('etc/sources.list'), `deb [trusted=yes] file:${at('repo')} ./\n`)
      await writeFile(
        at('apt.conf'),
        `Dir::State "${at('state')}"; Dir::State::status "${at('dpkg/status')}"; Dir::Cache "${at('cache')}"; Dir::Etc "${at('etc')}"; Dir::Log "${at('log')}"; APT::Sandbox::User "";\n`,
      )
      env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', APT_CONFIG: at('apt.conf'), DPKG_ADMINDIR: at('dpkg') }
      await run('apt-get', ['update'], { env })
    }, 60_000)
    afterAll(() => rm(root, { recursive: true, force: true }))
    beforeEach(async () => {
      m = await startMachines({ packages: ['numpy', 'chrony', 'libblas'] })
      m.fleet.machines.get(ID)!.env = env
    })
    afterEach(() => m.close())

    it('says what comes along, and sets nothing back that was not named', async () => {
      expect(await refusalOf(m, 'numpy=1.26.4')).toMatch(
        /cannot be installed: .*numpy : Depends: libblas \(< 3\.11\) but 3\.11 is to be installed/,
      )
      expect(await refusalOf(m, 'numpy=1.26.4, libblas=3.10')).toBe(
        'libblas 3.11 → 3.10, liblapack 3.10 (new), numpy 2.1.0 → 1.26.4',
      )
    })

    it('refuses what would remove a package, change a held one, or does not exist', async () => {
      expect(await refusalOf(m, 'chrony=4.3')).toBe('af-1: it would remove timesync. Nothing is ever removed.')
      expect(await refusalOf(m, 'numpy=1.19.0')).toBe('af-1: it would remove pandas. Nothing is ever removed.')
      expect(await refusalOf(m, 'numpy=1.25.0')).toMatch(/cannot be installed: .*openssl \(>= 3\.0\.16\) but 3\.0\.15/)
      expect(await refusalOf(m, 'numpy=9.9')).toMatch(/cannot be installed: .*Version '9\.9' for 'numpy' was not found/)
    })

    it('takes the line that installs, and removes nothing by it', async () => {
      const line = (...pins: { name: string; version: string }[]) =>
        pinScript({ packageManager: 'dpkg', python: undefined }, pins)[1]!.replace('install', '--simulate install')
      const sh = (script: string) => run('/bin/dash', ['-c', script.replace('>&2', '2>&1')], { env })
      expect(
        (await sh(line({ name: 'numpy', version: '1.26.4' }, { name: 'libblas', version: '3.10' }))).stdout,
      ).toContain('Inst libblas [3.11] (3.10')
      await expect(sh(line({ name: 'chrony', version: '4.3' }))).rejects.toMatchObject({
        stdout: expect.stringContaining('Packages need to be removed but remove is disabled'),
      })
    })
  },
)

describeWith(['python3'], 'pip itself, over wheels of its own', () => {
  let root: string
  let m: Machines
  let python: string
  const env = () => ({
    PATH: `${join(root, 'venv/bin')}:/usr/bin:/bin`,
    PIP_NO_INDEX: '1',
    PIP_FIND_LINKS: join(root, 'wheels'),
  })
  const wheel = async (name: string, version: string, requires: readonly string[] = []) => {
    const info = join(root, 'src', `${name}-${version}`, `${name}-${version}.dist-info`)
    await mkdir(info, { recursive: true })
    const lines = ['Metadata-Version: 2.1', `Name: ${name}`, `Version: ${version}`]
    await writeFile(
      join(info, 'METADATA'),
      [...lines, ...requires.map((one) => `Requires-Dist: ${one}`), ''].join('\n'),
    )
    await writeFile(
      join(info, 'WHEEL'),
      'Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    )
    await writeFile(join(info, 'RECORD'), '')
    const file = join(root, 'wheels', `${name}-${version}-py3-none-any.whl`)
    await run(programOf('python3')!, ['-m', 'zipfile', '-c', file, info])
  }
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'keyturn-pip-'))
    await mkdir(join(root, 'wheels'))
    await wheel('numq', '2.1.0')
    await wheel('numq', '1.26.4', ['blasq>=3'])
    await wheel('numq', '1.19.0')
    await wheel('blasq', '3.10')
    await wheel('pandq', '2.0.3', ['numq>=1.20'])
    await wheel('pandq', '2.2.0', ['numq>=2'])
    await run(programOf('python3')!, ['-m', 'venv', join(root, 'venv')])
    python = join(root, 'venv/bin/python3')
    await run(python, ['-m', 'pip', 'install', '--quiet', 'numq==2.1.0', 'pandq==2.0.3'], { env: env() })
  }, 120_000)
  afterAll(() => rm(root, { recursive: true, force: true }))
  beforeEach(async () => {
    m = await startMachines({ packageManager: 'pip', python, packages: ['numq', 'pandq'] })
    m.fleet.machines.get(ID)!.env = env()
  })
  afterEach(() => m.close())

  it('sees conflicts between pins and with what is installed', async () => {
    expect(await refusalOf(m, 'numq=1.19.0')).toBe(
      'af-1: afterwards it would not fit together: pandq 2.0.3 needs numq>=1.20, there is 1.19.0.',
    )
    expect(await refusalOf(m, 'numq=1.26.4, pandq=2.2.0')).toMatch(/cannot be installed: .*conflicting dependencies/s)
  }, 180_000)

  it('installs exactly what was shown, and it fits together then', async () => {
    const plan = await planOf(m, 'numq=1.26.4')
    expect(plan.targets[0]?.details['All that changes']).toBe('blasq 3.10 (new), numq 2.1.0 → 1.26.4')
    await pinPackages.run(plan, m.world.run(plan).ctx)
    expect((await pinPackages.verify(plan, m.world.read())).map((check) => check.ok)).toEqual([true, true])
    const { stdout } = await run(python, ['-m', 'pip', 'check'], { env: env() })
    expect(stdout).toContain('No broken requirements found')
  }, 180_000)

  it('says what to set where the Python belongs to the system, as Debian 12 has it', async () => {
    // Debian's own pip, as its virtual environments get it.
    const wheels = await readdir('/usr/share/python-wheels').catch((): string[] => [])
    const own = wheels.find((one) => one.startsWith('pip-'))
    const marked = (await readdir('/usr/lib')).filter((one) => existsSync(`/usr/lib/${one}/EXTERNALLY-MANAGED`))
    if (!own || marked.length === 0 || !existsSync('/usr/bin/python3')) return
    await m.close()
    m = await startMachines({ packageManager: 'pip', python: '/usr/bin/python3', packages: ['numq'] })
    m.fleet.machines.get(ID)!.env = { ...env(), PYTHONPATH: `/usr/share/python-wheels/${own}:${join(root, 'listed')}` }
    await mkdir(join(root, 'listed/listed-1.0.dist-info'), { recursive: true })
    await writeFile(
      join(root, 'listed/listed-1.0.dist-info/METADATA'),
      'Metadata-Version: 2.1\nName: listed\nVersion: 1.0\n',
    )
    expect(await refusalOf(m, 'numq=1.26.4')).toContain('this Python belongs to the system, which pip does not change')
  }, 180_000)
})

describe('the settings of a group', () => {
  it('name a Python where pip is used: there is none that is right by default', async () => {
    await expect(
      startMachines({ packageManager: 'pip' }).then((m) => planOf(m, 'numpy=1').finally(() => m.close())),
    ).rejects.toThrow(/packageManager pip takes \\?"python\\?"/)
  })
})
