import { chmod, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { ScriptSettings } from '../../../commands/script/connection.ts'
import { scriptLook } from '../../../commands/script/look.ts'
import { scriptRun } from '../../../commands/script/run.ts'
import { Refused } from '../../../src/domain/command.ts'
import { createWorld, propose, type World } from '../context.ts'
import { startRegister } from './register.ts'

const SECRET = 'correct-horse-battery'
let folder: string
let world: World
let register: Awaited<ReturnType<typeof startRegister>>

/** Writes an executable whose body is JavaScript. `report` holds a connection to the register until the process dies. */
async function executable(name: string, body: string): Promise<string> {
  const path = join(folder, name)
  const report =
    'const report = () => import("node:net").then((net) => net.connect(Number(process.argv[2]), "127.0.0.1"))'
  await writeFile(path, `#!${process.execPath}\n${report}\n${body}\n`)
  await chmod(path, 0o755)
  return path
}

const port = { type: 'integer', min: 1, max: 65_535 }

function allow(scripts: Record<string, Record<string, unknown>>, more: Record<string, unknown> = {}): void {
  const withFolder = Object.fromEntries(
    Object.entries(scripts).map(([name, one]) => [name, { cwd: folder, graceSeconds: 0.2, ...one }]),
  )
  world = createWorld({
    connections: { tools: { kind: 'script', settings: { scripts: withFolder, ...more } } },
    secrets: { TOOL_TOKEN: SECRET },
  })
}

const plan = (script: string, args: string[] = []) =>
  propose(scriptRun, { connection: 'tools', script, args }, world.read())

/** Plans and runs a script that takes the register's port, and gives what became of it. */
async function start(script: string, signal?: AbortSignal) {
  const made = await plan(script, [`port=${register.port}`])
  const { ctx, recording } = world.run(made, { signal })
  const ended = scriptRun.run(made, ctx).then(
    (said) => ({ said, error: undefined as unknown }),
    (error: unknown) => ({ said: '', error }),
  )
  return { ended, recording }
}

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'keyturn-script-')))
  register = await startRegister()
})
afterEach(async () => {
  await register.stop()
  await rm(folder, { recursive: true, force: true })
})

describe('script.run', () => {
  it.each([
    [
      'no program',
      'just text',
      /^\S+ is no program, and no script that says who runs it: give it a first line such as #!\/bin\/sh\.$/,
    ],
    ['empty', '', /is no program/],
  ])('refuses a file that is %s, which the system would hand to a shell', async (_, text, says) => {
    const path = join(folder, 'odd')
    await writeFile(path, text)
    await chmod(path, 0o755)
    allow({ odd: { path } })
    await expect(plan('odd', [])).rejects.toThrow(says)
  })

  it('says in a sentence that the program of its first line is not there', async () => {
    const path = join(folder, 'odd')
    await writeFile(path, '#!/no/such/program\n')
    await chmod(path, 0o755)
    allow({ odd: { path } })
    const made = await plan('odd', [])
    await expect(scriptRun.run(made, world.run(made).ctx)).rejects.toThrow(
      'could not be started: it, its folder or the program that its first line names is not there',
    )
  })

  it('gives the script exactly the arguments, folder and environment that were shown, whatever they hold', async () => {
    const path = await executable(
      'show',
      'console.log(JSON.stringify({ argv: process.argv.slice(2), cwd: process.cwd(), env: process.env }))',
    )
    allow(
      {
        show: {
          path,
          args: ['--job', '{job}', '--note={note}'],
          params: { job: port, note: { type: 'text', pattern: '.*' } },
        },
      },
      { env: { LANG: 'C' }, envFrom: ['TOOL_TOKEN'] },
    )
    const note = '$(touch /tmp/x); `id` "\' * | > & $HOME {job}'
    const made = await plan('show', ['job=7', `note=${note}`])
    expect(made.targets[0]).toMatchObject({ id: 'script:tools/show', details: { executable: path, job: '7', note } })
    expect(made.steps[0]?.detail).toContain(JSON.stringify([path, '--job', '7', `--note=${note}`]))
    expect(JSON.stringify(made)).not.toContain(SECRET)

    const { ctx, recording } = world.run(made)
    await scriptRun.run(made, ctx)
    const { output, cut } = recording.finished[0]!.result as { output: string; cut: boolean }
    expect(JSON.parse(output)).toEqual({
      argv: ['--job', '7', `--note=${note}`],
      cwd: folder,
      env: { LANG: 'C', TOOL_TOKEN: '[secret]', KEYTURN_RUN: expect.stringMatching(/^[0-9a-f-]{36}$/) },
    })
    expect(cut).toBe(false)
  })

  it('says how the script ended and its last line', async () => {
    allow({ fine: { path: await executable('fine', 'console.log("a\\nmended 3 files")') } })
    const made = await plan('fine')
    expect(await scriptRun.run(made, world.run(made).ctx)).toBe('fine ended with exit code 0: mended 3 files')
  })

  it('fails with the exit code and the end of the output', async () => {
    allow({ bad: { path: await executable('bad', 'console.error("disk is full"); process.exitCode = 3') } })
    const made = await plan('bad')
    await expect(scriptRun.run(made, world.run(made).ctx)).rejects.toThrow('bad ended with exit code 3: disk is full')
  })

  it('keeps the beginning and the end of a long output and marks the cut, also when a secret lies across it', async () => {
    const path = await executable(
      'long',
      'process.stdout.write("begin " + process.env.TOOL_TOKEN.repeat(100_000) + " end\\n")',
    )
    allow({ long: { path, maxOutputBytes: 256 } }, { envFrom: ['TOOL_TOKEN'] })
    const made = await plan('long')
    const { ctx, recording } = world.run(made)
    expect(await scriptRun.run(made, ctx)).toContain('(its output was cut)')
    const { output } = recording.finished[0]!.result as { output: string }
    expect(output).toMatch(/^begin \[secret\]/)
    expect(output).toMatch(/\[secret\] end\n$/)
    expect(output).toContain('… cut: 799755 bytes are not shown …')
    expect(output).not.toContain('horse')
    expect(Buffer.byteLength(output)).toBeLessThan(400)
  })

  it('kills a script that prints without end at its deadline, and keeps a bounded part', async () => {
    const path = await executable(
      'endless',
      'const write = () => { while (process.stdout.write("on and on\\n")); process.stdout.once("drain", write) }; report().then(write)',
    )
    allow({ endless: { path, args: ['{port}'], params: { port }, timeoutSeconds: 1, maxOutputBytes: 512 } })
    const { ended } = await start('endless')
    const { error } = await ended
    expect((error as Error).message).toMatch(/^endless was killed after 1 s: /)
    expect((error as Error).message.length).toBeLessThan(600)
    await register.gone()
  })

  it('kills a script that ignores SIGTERM when it is cancelled', async () => {
    const path = await executable('deaf', 'process.on("SIGTERM", () => {}); report(); setInterval(() => {}, 1000)')
    allow({ deaf: { path, args: ['{port}'], params: { port } } })
    const cancel = new AbortController()
    const { ended } = await start('deaf', cancel.signal)
    await register.arrived(1)
    const reason = new Error('cancelled by a person')
    cancel.abort(reason)
    const { error } = await ended
    expect(error).toMatchObject({ message: expect.stringContaining('deaf was cancelled and killed'), cause: reason })
    await register.gone()
  })

  it('lets a script that heeds SIGTERM clean up', async () => {
    const path = await executable(
      'tidy',
      'process.on("SIGTERM", () => { console.log("tidied up"); process.exit(0) }); report(); setInterval(() => {}, 1000)',
    )
    allow({ tidy: { path, args: ['{port}'], params: { port }, graceSeconds: 30 } })
    const cancel = new AbortController()
    const { ended } = await start('tidy', cancel.signal)
    await register.arrived(1)
    cancel.abort()
    expect(((await ended).error as Error).message).toBe('tidy was cancelled and killed: tidied up\n')
  })

  const forking = (then: string) => `
    import("node:child_process").then(async ({ spawn }) => {
      if (process.argv[3] === "child") { process.on("SIGTERM", () => {}); await report(); setInterval(() => {}, 1000); return }
      for (let i = 0; i < 2; i++) spawn(process.execPath, [process.argv[1], process.argv[2], "child"], { stdio: i ? "inherit" : "ignore" }).unref()
      ${then}
    })`

  it('kills the children of a script with it, those that ignore SIGTERM included', async () => {
    const path = await executable('parent', forking('await report(); setInterval(() => {}, 1000)'))
    allow({ parent: { path, args: ['{port}'], params: { port } } })
    const cancel = new AbortController()
    const { ended } = await start('parent', cancel.signal)
    await register.arrived(3)
    cancel.abort()
    await ended
    await register.gone()
    expect(register.count()).toBe(3)
  })

  // Nothing but the process group reaches a process on a system without /proc.
  const onLinux = process.platform === 'linux' ? it : it.skip
  onLinux('kills what has left the process group, ignores SIGTERM, and has closed its output', async () => {
    const path = await executable(
      'escape',
      `import("node:child_process").then(async ({ spawn }) => {
        if (process.argv[3] === "away") { process.on("SIGTERM", () => {}); await report(); setInterval(() => {}, 1000); return }
        spawn(process.execPath, [process.argv[1], process.argv[2], "away"], { detached: true, stdio: "ignore" }).unref()
        await report(); setInterval(() => {}, 1000)
      })`,
    )
    allow({ escape: { path, args: ['{port}'], params: { port } } })
    const cancel = new AbortController()
    const { ended } = await start('escape', cancel.signal)
    await register.arrived(2)
    cancel.abort()
    await ended
    await register.gone()
    expect(register.count()).toBe(2)
  })

  it('leaves no child behind when the script itself has ended', async () => {
    // The test tells the leader to end once its children live, by the pid that it wrote down.
    const path = await executable(
      'leaver',
      forking(
        'require("node:fs").writeFileSync("pid", String(process.pid)); process.once("SIGUSR2", () => process.exit(0)); await report(); setInterval(() => {}, 1000)',
      ),
    )
    allow({ leaver: { path, args: ['{port}'], params: { port } } })
    const { ended } = await start('leaver')
    await register.arrived(3)
    process.kill(Number(await readFile(join(folder, 'pid'), 'utf8')), 'SIGUSR2')
    expect((await ended).said).toBe('leaver ended with exit code 0')
    await register.gone()
  })

  it('runs nothing when the file is not the one that was approved', async () => {
    const path = await executable('tool', 'console.log("one")')
    allow({ tool: { path } })
    const made = await plan('tool')
    await executable('tool', 'require("node:fs").writeFileSync("ran", "")')
    await expect(scriptRun.run(made, world.run(made).ctx)).rejects.toThrow(
      'is not the file that was approved; nothing ran',
    )
    await expect(readFile(join(folder, 'ran'))).rejects.toThrow('ENOENT')
    expect((await plan('tool')).targets[0]?.fingerprint).not.toBe(made.targets[0]?.fingerprint)
  })

  it('asks the check whether there is something to do, whether it landed, and whether it helped', async () => {
    const path = await executable('make', 'require("node:fs").writeFileSync(process.argv[2], "")')
    const check = await executable('look', 'process.exitCode = require("node:fs").existsSync(process.argv[2]) ? 0 : 1')
    allow({
      make: {
        path,
        args: ['{file}'],
        check: { path: check, args: ['{file}'] },
        params: { file: { type: 'text', pattern: '[a-z]+' } },
      },
    })
    const made = await plan('make', ['file=done'])
    expect(made.warnings).toEqual([])
    expect(await scriptRun.probe(made, 'run', world.read())).toEqual({ landed: 'no', detail: 'The check ended with 1' })
    await scriptRun.run(made, world.run(made).ctx)
    expect(await scriptRun.probe(made, 'run', world.read())).toMatchObject({ landed: 'yes' })
    expect(await scriptRun.verify(made, world.read())).toEqual([
      { title: 'The change is in place', ok: true, detail: 'The check ended with 0' },
    ])
    await expect(plan('make', ['file=done'])).rejects.toThrow(/^Nothing to do: make is already in place/)
  })

  it('cannot tell whether a script without a check landed', async () => {
    allow({ tool: { path: await executable('tool', '') } })
    const made = await plan('tool')
    expect(made.warnings).toHaveLength(1)
    expect(await scriptRun.probe(made, 'run', world.read())).toMatchObject({ landed: 'cannot_tell' })
  })

  describe('refuses', () => {
    const params = {
      job: { type: 'integer', min: 1, max: 9 },
      stack: { type: 'choice', values: ['blue', 'green'] },
      name: { type: 'text', pattern: '[a-z -]+' },
    }
    const good = { job: 'job=7', stack: 'stack=blue', name: 'name=a b' }
    beforeEach(async () => {
      allow({ tool: { path: await executable('tool', ''), args: ['{job}', '{stack}', '{name}'], params } })
    })

    it('nothing when every argument fits', async () => {
      expect((await plan('tool', Object.values(good))).steps[0]?.detail).toContain('"7","blue","a b"')
    })

    it.each([
      [{ job: 'job=10' }, 'job is no whole number from 1 to 9'],
      [{ job: 'job=0x7' }, 'job is no whole number from 1 to 9'],
      [{ job: 'job=' }, 'job is no whole number from 1 to 9'],
      [{ stack: 'stack=red' }, 'stack is none of blue, green'],
      [{ name: 'name=UPPER' }, 'name does not match [a-z -]+'],
      [{ name: 'name=a\nb' }, 'name holds a control character'],
      [{ name: 'name=--force' }, 'name begins with "-" and could be read as an option'],
      [{ name: 'nome=a' }, 'It takes no "nome"; name is missing'],
      [{ name: 'job=8' }, 'job is given twice; name is missing'],
      [{ name: '__proto__=a' }, 'It takes no "__proto__"; name is missing'],
    ])('the arguments %j', async (change, sentence) => {
      await expect(plan('tool', Object.values({ ...good, ...change }))).rejects.toThrow(
        new Refused(`The script can't be called: ${sentence}.`),
      )
    })

    it.each(['other', '../tool', '/bin/sh', 'toString', ''])(
      'the script %j, which is not on the list',
      async (name) => {
        await expect(plan(name)).rejects.toThrow('allows no script named')
      },
    )

    it('a file that is missing, a folder, not executable, or writable by anybody, and a missing folder', async () => {
      const path = await executable('loose', '')
      allow({
        missing: { path: join(folder, 'none') },
        folder: { path: folder },
        loose: { path },
        lost: { path, cwd: join(folder, 'none') },
      })
      await expect(plan('missing')).rejects.toThrow('There is no ')
      await expect(plan('folder')).rejects.toThrow('is not a file')
      await expect(plan('lost')).rejects.toThrow('There is no folder ')
      await chmod(path, 0o644)
      await expect(plan('loose')).rejects.toThrow('is not executable for the worker')
      await chmod(path, 0o757)
      await expect(plan('loose')).rejects.toThrow('may be changed by anybody')
    })
  })
})

describe('script.look', () => {
  const look = (script: string, args: string[] = []) =>
    scriptLook.read({ connection: 'tools', script, args }, world.read())

  it('shows what a read-only script says and how it ended, without its secrets', async () => {
    const path = await executable(
      'status',
      'console.log("jobs of " + process.argv[2], process.env.TOOL_TOKEN); process.exitCode = 2',
    )
    const params = { day: { type: 'text', pattern: '[0-9-]+' } }
    allow({ status: { path, args: ['{day}'], params, readOnly: true } }, { envFrom: ['TOOL_TOKEN'] })
    const { summary, blocks } = await look('status', ['day=2026-11-20'])
    expect(summary).toBe('status ended with exit code 2.')
    expect(blocks).toEqual([{ type: 'code', text: expect.stringMatching(/^jobs of 2026-11-20 \[secret\]\s*$/) }])
    await expect(look('status', ['day=; id'])).rejects.toMatchObject({ name: 'Refused' })
  })

  it('runs no script that the settings do not call read-only', async () => {
    const mark = join(folder, 'mark')
    const path = await executable('clean', `(await import("node:fs")).writeFileSync(${JSON.stringify(mark)}, "x")`)
    allow({ clean: { path } })
    await expect(look('clean')).rejects.toThrow('do not call clean read-only: it runs by script.run, after a decision')
    await expect(readFile(mark)).rejects.toThrow('ENOENT')
    await expect(look('other')).rejects.toMatchObject({ name: 'Refused' })
  })

  it('gives up at the deadline, and leaves nothing behind', async () => {
    const path = await executable('slow', 'await report(); setInterval(() => {}, 1_000)')
    const params = { port }
    allow({ slow: { path, args: ['{port}'], params, readOnly: true, timeoutSeconds: 1 } })
    await expect(look('slow', [`port=${register.port}`])).rejects.toThrow('slow was killed after 1 s')
    await register.gone()
  })
})

describe('the settings of a script connection', () => {
  it.each([
    [{ path: 'bin/tool' }, 'path'],
    [{ cwd: '.' }, 'cwd'],
    [{ args: ['{job}'] }, 'params'],
    [{ params: { job: { type: 'integer', min: 1, max: 2 } } }, 'params.job'],
    [{ args: ['{a}'], params: { a: { type: 'text', pattern: '(?=x)' } } }, 'params.a.pattern'],
    [{ timeoutSeconds: 0 }, 'timeoutSeconds'],
    [{ shell: true }, ''],
  ])('refuse %j', (change, path) => {
    const parsed = ScriptSettings.safeParse({ scripts: { tool: { path: '/bin/true', ...change } } })
    expect(parsed.error?.issues.map((i) => i.path.slice(2).join('.'))).toEqual([path])
  })
})
