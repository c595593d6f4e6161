import { createHash } from 'node:crypto'
import { constants, createReadStream } from 'node:fs'
import { access, open as open_, realpath, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import { defineChange, type ReadContext, Refused } from '../../src/domain/command.ts'
import { settled } from '../settle.ts'
import { readValues } from '../values.ts'
import { fillArgs } from './argv.ts'
import { script as kind, type Script } from './connection.ts'
import { type Ended, execute } from './execute.ts'

const STEP = 'run'

const Params = z.object({
  connection: z.string().describe('Script connection'),
  script: z.string().describe('Name of the script'),
  args: z.array(z.string()).default([]).describe('Its parameters, one name=value each'),
})

type Data = { connection: string; script: string; values: Record<string, string>; sha256: string }

/** The script of that name, and what it runs with; Refused if the connection has none. */
export async function open(connection: string, name: string, ctx: ReadContext) {
  const { client, settings } = await ctx.connect(kind, connection)
  const script = Object.hasOwn(settings.scripts, name) ? settings.scripts[name] : undefined
  if (!script)
    throw new Refused(`The connection ${connection} allows no script named ${JSON.stringify(name.slice(0, 60))}.`)
  return { client, script }
}

/** SHA-256 of the executable. Throws Refused if it is none, or if anybody on the machine may change it. */
export async function examine(path: string): Promise<string> {
  const real = await realpath(path).catch(() => {
    throw new Refused(`There is no ${path} on the worker.`)
  })
  const { mode } = await stat(real).then((s) => (s.isFile() ? s : { mode: null }))
  if (mode === null) throw new Refused(`${path} is not a file.`)
  if (mode & constants.S_IWOTH)
    throw new Refused(`${path} may be changed by anybody on the worker: take that right away (chmod o-w).`)
  await access(real, constants.X_OK).catch(() => {
    throw new Refused(`${path} is not executable for the worker.`)
  })
  await refuseBareText(real, path)
  const hash = createHash('sha256')
  await pipeline(createReadStream(real), hash)
  return hash.digest('hex')
}

/** execvp(3) hands text without a `#!` line to /bin/sh, and no shell is to run but one that is named. */
async function refuseBareText(real: string, path: string): Promise<void> {
  const file = await open_(real)
  const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0).finally(() => file.close())
  const first = buffer[0] ?? 0
  const isText = first === 9 || first === 10 || first === 13 || (first >= 32 && first < 127)
  if (bytesRead === 0 || (isText && buffer.toString('latin1') !== '#!'))
    throw new Refused(
      `${path} is no program, and no script that says who runs it: give it a first line such as #!/bin/sh.`,
    )
}

/** Runs the script or its check with these values. */
export async function call(
  which: { path: string; args: string[] },
  script: Script,
  values: Record<string, string>,
  client: Parameters<typeof kind.close>[0],
  signal: AbortSignal,
) {
  return execute({
    path: which.path,
    args: fillArgs(which.args, values),
    cwd: script.cwd,
    env: client.env,
    secrets: client.secrets,
    timeoutMs: script.timeoutSeconds * 1_000,
    graceMs: script.graceSeconds * 1_000,
    maxOutputBytes: script.maxOutputBytes,
    signal,
  })
}

/** What the script's own check says; null if it has none. */
async function checked(data: Pick<Data, 'connection' | 'script' | 'values'>, ctx: ReadContext) {
  const { client, script } = await open(data.connection, data.script, ctx)
  if (!script.check) return null
  const { code, output } = await call(script.check, script, data.values, client, ctx.signal)
  const landed: 'yes' | 'no' | 'cannot_tell' = code === 0 ? 'yes' : code === 1 ? 'no' : 'cannot_tell'
  return { landed, detail: `The check ended with ${code ?? 'a signal'}${lastLine(output) && `: ${lastLine(output)}`}` }
}

const lastLine = (output: string) => (output.trim().split('\n').at(-1) ?? '').slice(0, 200)

/** What outlived the run, said of it. */
const alive = (left: readonly number[]) =>
  left.length === 0 ? '' : `; processes of it that could not be ended: ${left.slice(0, 10).join(', ')}`

/** How a script that did not succeed ended, in one sentence. */
export function failure(name: string, script: Script, { stopped, code, killedBy, output, left }: Ended): string {
  const how =
    stopped === 'cancelled'
      ? 'was cancelled and killed'
      : stopped === 'deadline'
        ? `was killed after ${script.timeoutSeconds} s`
        : code === null
          ? `was ended by ${killedBy}`
          : `ended with exit code ${code}`
  return `${name} ${how}${alive(left)}${output && `: ${output.slice(-500)}`}`
}

/** Runs one allow-listed executable with checked arguments: no shell, nothing of the worker's environment, bounded. */
export const scriptRun = defineChange<typeof Params, Data>({
  id: 'script.run',
  summary: 'Run one allowed script on the worker',
  effect: 'once',
  risk: 'medium',
  params: Params,

  async plan({ connection, script: name, args }, ctx) {
    const { script } = await open(connection, name, ctx)
    const values = readValues('The script', script.params, args)
    const argv = [script.path, ...fillArgs(script.args, values)]
    const sha256 = await examine(script.path)
    if (!(await stat(script.cwd).catch(() => null))?.isDirectory())
      throw new Refused(`There is no folder ${script.cwd} on the worker.`)
    const before = await checked({ connection, script: name, values }, ctx)
    if (before?.landed === 'yes') throw new Refused(`Nothing to do: ${name} is already in place. ${before.detail}`)
    return {
      summary: `Run ${name} on ${connection}`,
      targets: [
        {
          id: `script:${connection}/${name}`,
          name: script.summary || name,
          fingerprint: sha256,
          details: { executable: script.path, sha256, folder: script.cwd, ...values },
        },
      ],
      steps: [
        {
          id: STEP,
          title: `Run ${name}`,
          detail: `${JSON.stringify(argv)} in ${script.cwd}, killed after ${script.timeoutSeconds} s`,
        },
      ],
      warnings: script.check
        ? []
        : ['It has no check: nobody can tell afterwards, but from its output, whether it took effect.'],
      data: { connection, script: name, values, sha256 },
    }
  },

  async run({ data }, ctx) {
    const { client, script } = await open(data.connection, data.script, ctx)
    const result = await ctx.step(STEP, async () => {
      if ((await examine(script.path)) !== data.sha256)
        throw new Error(`${script.path} is not the file that was approved; nothing ran`)
      const ended = await call(script, script, data.values, client, ctx.signal)
      if (ended.stopped || ended.code !== 0)
        throw new Error(failure(data.script, script, ended), { cause: ctx.signal.reason })
      return { output: ended.output, cut: ended.cut, left: [...ended.left] }
    })
    const last = lastLine(result.output)
    return `${data.script} ended with exit code 0${last && `: ${last}`}${result.cut ? ' (its output was cut)' : ''}${alive(result.left)}`
  },

  async verify({ data }, ctx) {
    const { script } = await open(data.connection, data.script, ctx)
    if (!script.check) return []
    const after = await settled(
      () => checked(data, ctx),
      (seen) => seen?.landed === 'yes',
      ctx.signal,
    )
    return [{ title: 'The change is in place', ok: after?.landed === 'yes', detail: after?.detail ?? '' }]
  },

  async probe({ data }, _step, ctx) {
    return (
      (await checked(data, ctx)) ?? {
        landed: 'cannot_tell',
        detail: `${data.script} has no check; look at what it changes.`,
      }
    )
  },
})
