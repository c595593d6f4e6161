import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'

const ROOT = resolve(import.meta.dirname, '../..')
const DEMO = join(ROOT, 'src/sandbox/demo.ts')

/** Ids and command lines of processes whose environment, arguments or working directory (Redis hides both) name it. */
async function alive(folder: string): Promise<string[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const texts = await Promise.all(
    ids.map(async (id) => {
      const read = (file: string) => readFile(`/proc/${id}/${file}`, 'utf8').catch(() => '')
      const cwd = await readlink(`/proc/${id}/cwd`).catch(() => '')
      return { id, command: await read('cmdline'), hints: `${await read('environ')} ${cwd}` }
    }),
  )
  return texts
    .filter((t) => t.command.includes(folder) || t.hints.includes(folder))
    .map((t) => `${t.id} ${t.command.replaceAll('\0', ' ')}`)
}

describe('a demo that is interrupted', () => {
  let folder: string
  let demo: ChildProcess
  let output: string
  /** Everything that it starts keeps its files below the folder, and names it in environment, arguments or directory. */
  const start = (command: string, args: readonly string[], path = process.env.PATH) => {
    const env = {
      PATH: path,
      HOME: folder,
      TMPDIR: folder,
      npm_config_cache: '/dev/null',
      NODE_DISABLE_COMPILE_CACHE: '1',
    }
    demo = spawn(command, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    for (const stream of [demo.stdout, demo.stderr]) stream?.on('data', (chunk) => (output += chunk))
  }
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'keyturn-interrupt-'))
    // Postgres runs as another user than root, who must be able to pass through.
    await chmod(folder, 0o711)
    output = ''
  })
  afterEach(async () => {
    try {
      process.kill(-demo.pid!, 'SIGKILL')
    } catch {
      // The group is gone, as it should be.
    }
    // The stage, in a group of its own, hears that and ends what it started.
    const deadline = Date.now() + 20_000
    while (Date.now() < deadline && (await alive(folder)).length > 0);
    await rm(folder, { recursive: true, force: true })
  })

  const says = async (text: string) => {
    while (!output.includes(text)) {
      if (demo.exitCode !== null) throw new Error(`the demo ended:\n${output}`)
      await Promise.race([once(demo.stdout!, 'data'), once(demo, 'exit')])
    }
  }
  const interrupt = async (times: number, signal: NodeJS.Signals) => {
    const gone = once(demo, 'exit')
    // As a terminal does: to the whole group.
    for (let i = 0; i < times; i += 1) process.kill(-demo.pid!, signal)
    return gone
  }

  it('leaves no process and no file behind, and complains of nothing', async () => {
    start(process.execPath, [DEMO])
    await says('Open http://')
    expect((await alive(folder)).length).toBeGreaterThan(5)
    const [code] = await interrupt(1, 'SIGINT')
    expect(code).toBe(0)
    expect(await alive(folder)).toEqual([])
    expect(await readdir(folder)).toEqual([])
    expect(output).not.toMatch(/error|warn/i)
  })

  it.each([
    ['twice', 2, 'SIGINT'],
    ['by SIGTERM', 1, 'SIGTERM'],
  ] as const)('and %s while it still starts leaves nothing either', async (_how, times, signal) => {
    start(process.execPath, [DEMO])
    await says('Starting')
    await interrupt(times, signal)
    expect(await alive(folder)).toEqual([])
    expect(await readdir(folder)).toEqual([])
  })

  /** What ends after the process that was told to has gone. */
  const nothingIsLeft = async () => {
    const deadline = Date.now() + 20_000
    while (Date.now() < deadline && (await alive(folder)).length > 0);
    expect(await alive(folder)).toEqual([])
    expect(await readdir(folder)).toEqual([])
  }

  it('leaves nothing when npm gets the SIGTERM, whose shell passes nothing on', async () => {
    // As `npm run` starts it: npm, a shell, the demo; the shell ends at once.
    start('/bin/sh', ['-c', `npm_lifecycle_event=demo '${process.execPath}' '${DEMO}' && true`])
    await says('Open http://')
    const gone = once(demo, 'exit')
    demo.kill('SIGTERM')
    await gone
    await nothingIsLeft()
  })

  it('leaves nothing when nobody reads its output any more', async () => {
    start(process.execPath, [DEMO, '--play'])
    await says('Starting')
    demo.stdout?.destroy()
    await once(demo, 'exit')
    await nothingIsLeft()
  })

  it('leaves nothing when the last of its processes refuses to start, and says why', async () => {
    const programs = await mkdtemp(join(tmpdir(), 'keyturn-programs-'))
    try {
      const forgetful = join(programs, 'redis-server')
      await writeFile(forgetful, `#!/bin/sh\nPATH='${process.env.PATH}' exec redis-server "$@" --appendonly no\n`)
      await chmod(forgetful, 0o755)
      start(process.execPath, [DEMO], `${programs}:${process.env.PATH}`)
      const [code] = await once(demo, 'exit')
      expect(code).toBe(1)
      expect(output).toMatch(/append-?only|AOF/i)
      await nothingIsLeft()
    } finally {
      await rm(programs, { recursive: true, force: true })
    }
  })
})
