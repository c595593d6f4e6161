import { mkdir, open, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { cleanUp } from '../../../commands/machines/clean-up.ts'
import { machinesDiskUsage } from '../../../commands/machines/disk-usage.ts'
import { propose } from '../context.ts'
import { IDS, type Machines, startMachines, WORKER } from './world.ts'

/** The plans of these tests are asked for at this time. */
const ASKED = new Date('2026-03-14T02:07:00.000Z')

describe('disk space of machines', () => {
  let m: Machines
  let folder = ''
  const put = async (path: string, hoursOld: number, text = 'x') => {
    const file = join(folder, path)
    await mkdir(join(file, '..'), { recursive: true })
    await writeFile(file, text)
    const time = new Date(ASKED.getTime() - hoursOld * 3_600_000)
    await utimes(file, time, time)
  }
  beforeEach(async () => {
    const groups: Record<string, object> = {}
    m = await startMachines({}, { groups })
    folder = join(m.fleet.root, 'ingest', 'done')
    // The machines of these tests share one disk: one machine is enough.
    m.fleet.machines.get(IDS[0])!.tags.Role = 'ingest'
    groups.ingest = {
      tag: { name: 'Role', value: 'ingest' },
      units: [WORKER],
      folders: { [folder]: { keepHours: 24 }, [join(m.fleet.root, 'ingest', 'gone')]: { keepHours: 1 } },
    }
    await put('a/old one', 100, 'x'.repeat(1_000))
    await put('b/old', 50)
    await put('a/new', 2)
    await put('b/nearly', 23.9)
  })
  afterEach(() => m.close())

  const at = { connection: 'prod', group: 'ingest', olderThanHours: '24', unit: WORKER }
  const plan = (more: object = {}) => propose(cleanUp, { ...at, folder, ...more }, m.world.read())
  const refusal = (more: object) =>
    plan(more).then(
      () => 'planned',
      (error: Error) => `${error.name}: ${error.message}`,
    )
  const left = () => m.fleet.files(folder)

  it('shows the folders, the age of their files, and what is missing', async () => {
    if (machinesDiskUsage.effect !== 'read') throw new Error('no read')
    const now = { ...m.world.read(), now: () => ASKED }
    const held = await open(join(m.fleet.root, 'held'), 'w')
    await held.write('x'.repeat(9_000_000))
    await rm(join(m.fleet.root, 'held'))
    const { summary, blocks } = await machinesDiskUsage.read({ connection: 'prod', group: 'ingest' }, now)
    await held.close()
    expect(blocks[2]).toMatchObject({
      rows: expect.arrayContaining([
        ['af-1', 'Archived and active journals take up 1.5G in the file system.', ''],
        ['af-1', expect.stringContaining(`/held (deleted), open in `), '0.0 GiB'],
      ]),
    })
    expect(summary).toMatch(/The fullest disk of ingest \(test\) is that of .*done on af-1: \d+ %/)
    const [usage, inside] = blocks
    expect(usage).toMatchObject({
      rows: [
        [
          'af-1',
          '/',
          expect.stringMatching(/^\d+ % of /),
          expect.stringMatching(/% of \d+$|no limit/),
          '',
          '',
          '',
          expect.any(String),
        ],
        [
          'af-1',
          folder,
          expect.stringMatching(/^\d+ % of \d+\.\d GiB$/),
          expect.stringMatching(/^\d+ % of \d+$|^no limit$/),
          '4 files, 0.0 GiB',
          '2 files, 0.0 GiB',
          '2026-03-09T22:07:00.000Z',
          expect.stringMatching(/^\d+\.\d of|GiB/),
        ],
        ['af-1', expect.stringContaining('gone'), 'no folder, or reached through a link', '', '', '', '', ''],
      ],
    })
    expect(inside).toMatchObject({ rows: expect.arrayContaining([['af-1', join(folder, 'a'), expect.any(String)]]) })
  })

  it('deletes exactly the old files, and restarts the unit then', async () => {
    const shown = await plan()
    expect(shown.summary).toContain(`Delete 2 files (0.0 MiB) below ${folder} from before 2026-03-13T02:07:00.000Z`)
    expect(shown.targets[0]?.details['Some of them']).toBe('a/old one, b/old')
    expect(await plan()).toEqual(shown)
    await cleanUp.run(shown, m.world.run(shown).ctx)
    expect(await left()).toEqual(['nearly', 'new'])
    expect(m.fleet.starts(IDS[0], WORKER)).toBe(2)
    expect((await cleanUp.verify(shown, m.world.read())).map((check) => check.ok)).toEqual([true, true])
    expect((await cleanUp.probe(shown, `clean:${IDS[0]}`, m.world.read())).landed).toBe('yes')
  })

  it('deletes nothing when the old files are not those that were shown', async () => {
    const shown = await plan()
    await put('b/older still', 200)
    await expect(cleanUp.run(shown, m.world.run(shown).ctx)).rejects.toMatchObject({
      name: 'Refused',
      message: expect.stringContaining('are not those that were shown'),
    })
    expect(await left()).toHaveLength(5)
    expect(m.fleet.starts(IDS[0], WORKER)).toBe(1)
  })

  it('knows after a lost reply whether the files are gone', async () => {
    const shown = await plan({ unit: '' })
    expect((await cleanUp.probe(shown, `clean:${IDS[0]}`, m.world.read())).landed).toBe('no')
    m.fleet.state.before = (script) => {
      if (script.includes('-delete')) m.fleet.lose('SendCommand')
    }
    await expect(cleanUp.run(shown, m.world.run(shown).ctx)).rejects.toThrow()
    const probe = () => cleanUp.probe(shown, `clean:${IDS[0]}`, m.world.read())
    for (let i = 0; i < 100 && (await probe()).landed !== 'yes'; i++);
    expect((await probe()).landed).toBe('yes')
    expect(await left()).toEqual(['nearly', 'new'])
  })

  it('follows no link, neither to the folder nor in it', async () => {
    const precious = join(m.fleet.root, 'precious')
    await mkdir(precious)
    await writeFile(join(precious, 'keep'), 'x')
    await utimes(join(precious, 'keep'), 0, 0)
    await symlink(precious, join(folder, 'link'))
    expect(await refusal({ folder: join(folder, 'link') })).toContain('reached through a link')
    const shown = await plan()
    await cleanUp.run(shown, m.world.run(shown).ctx)
    expect(await readdir(precious)).toEqual(['keep'])
  })

  it('says when the unit does not come back', async () => {
    await m.fleet.spoil(IDS[0], WORKER, 'broken')
    const shown = await plan()
    await expect(cleanUp.run(shown, m.world.run(shown).ctx)).rejects.toThrow('airflow-worker.service is failed')
    expect((await cleanUp.probe(shown, `back:${IDS[0]}`, m.world.read())).landed).toBe('no')
    expect((await cleanUp.verify(shown, m.world.read())).map((check) => check.ok)).toEqual([true, false])
  })

  it('refuses other folders, newer files, other units, and when there is nothing to do', async () => {
    expect(await refusal({ folder: '/var/lib' })).toContain('is not below a folder that the group "ingest" lists')
    expect(await refusal({ folder: join(folder, '..').replace(/\/$/, '') })).toContain('is not below a folder')
    expect(await refusal({ folder: `${folder}-other` })).toContain('is not below a folder')
    expect(await refusal({ olderThanHours: 23 })).toContain('are kept for 24 hours')
    expect(await refusal({ unit: 'sshd.service' })).toContain('does not list the unit')
    expect(await refusal({ olderThanHours: 101 })).toContain('nothing to delete')
    expect(await refusal({ folder: join(folder, 'nowhere') })).toContain('is no folder')
    expect(m.fleet.changes()).toEqual([])
  })

  it('takes no text that a shell or find could read as more than a folder', async () => {
    const hostile = [
      '/',
      '/var',
      `${folder}/`,
      `${folder}/../..`,
      `${folder}/.`,
      `${folder} /etc`,
      `${folder}'`,
      `${folder}/$(id)`,
    ]
    for (const one of [
      ...hostile,
      `${folder}/*`,
      `${folder}\n/etc`,
      `${folder}/-delete`,
      `${folder}/{{ssm:x}}`,
      'done',
      '~/done',
    ])
      expect(await refusal({ folder: one })).toMatch(/^ZodError/)
    for (const olderThanHours of ['0', '-5', 'x', 'Infinity'])
      expect(await refusal({ olderThanHours })).toMatch(/^ZodError/)
    expect(m.fleet.commands).toEqual([])
  })
})
