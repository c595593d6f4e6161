import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'

const DEMO = resolve(import.meta.dirname, '../../src/sandbox/demo.ts')

/** Ids and command lines of processes whose environment or arguments name this folder. */
async function alive(folder: string): Promise<string[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const texts = await Promise.all(
    ids.map(async (id) => {
      const read = (file: string) => readFile(`/proc/${id}/${file}`, 'utf8').catch(() => '')
      return { id, command: await read('cmdline'), environment: await read('environ') }
    }),
  )
  return texts
    .filter((t) => t.command.includes(folder) || t.environment.includes(folder))
    .map((t) => `${t.id} ${t.command.replaceAll('\0', ' ')}`)
}

describe('a demo that is interrupted', () => {
  let folder: string
  let demo: ChildProcess
  let output = ''
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'keyturn-interrupt-'))
    // Postgres runs as another user than root, who must be able to pass through.
    await chmod(folder, 0o711)
    output = ''
    demo = spawn(process.execPath, [DEMO], {
      // Everything that it starts keeps its files below this folder, and has its name in the environment or arguments.
      env: { PATH: process.env.PATH, HOME: folder, TMPDIR: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    for (const stream of [demo.stdout, demo.stderr]) stream?.on('data', (chunk) => (output += chunk))
  })
  afterEach(async () => {
    if (demo.exitCode === null && demo.signalCode === null) demo.kill('SIGKILL')
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
    await says('Open http://')
    expect((await alive(folder)).length).toBeGreaterThan(4)
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
    await says('Starting')
    await interrupt(times, signal)
    expect(await alive(folder)).toEqual([])
    expect(await readdir(folder)).toEqual([])
  })
})
