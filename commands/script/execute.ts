import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { createOutput } from './output.ts'
import { createReach, TAG } from './reach.ts'

/** How long the pipes of a process that has ended are read on, when somebody else still holds them. */
const DRAIN_MS = 1_000
const POLL_MS = 50

export type Execution = Readonly<{
  path: string
  args: readonly string[]
  cwd: string
  env: Readonly<Record<string, string>>
  timeoutMs: number
  /** Between SIGTERM and SIGKILL. */
  graceMs: number
  maxOutputBytes: number
  secrets: readonly string[]
  signal: AbortSignal
}>

/** How it ended. `code` is null when a signal ended it; `stopped` says that the signal was ours, and why. */
export type Ended = Readonly<{
  code: number | null
  killedBy: string | null
  stopped: 'cancelled' | 'deadline' | null
  output: string
  cut: boolean
  /** Processes of it that could not be ended: another user's, say. */
  left: readonly number[]
}>

/**
 * Runs one executable without a shell, as the leader of a process group of its own. On abort, on the deadline and when
 * the leader has ended, everything that it started gets SIGTERM and, `graceMs` later, SIGKILL; see `createReach` for what
 * "everything" is. Rejects when it cannot be started.
 */
export async function execute(it: Execution): Promise<Ended> {
  it.signal.throwIfAborted()
  const tag = randomUUID()
  const child = begin(it, tag)
  const output = createOutput(it.maxOutputBytes, it.secrets)
  child.stdout.on('data', output.add)
  child.stderr.on('data', output.add)
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const exited = new Promise<{ code: number | null; killedBy: string | null }>((resolve, reject) => {
    child.once('exit', (code, killedBy) => resolve({ code, killedBy }))
    child.once('error', (cause) => reject(notStarted(it.path, cause)))
  })
  const reach = child.pid === undefined ? null : createReach(child.pid, tag)

  const limit = AbortSignal.any([it.signal, AbortSignal.timeout(it.timeoutMs)])
  let stopped: Ended['stopped'] = null
  let killAt: number | null = null
  let hard: NodeJS.Timeout | undefined
  const askToEnd = () => {
    killAt ??= performance.now() + it.graceMs
    return reach?.terminate()
  }
  const stop = () => {
    stopped = it.signal.aborted ? 'cancelled' : 'deadline'
    void askToEnd()
    hard = setTimeout(() => void reach?.end(), it.graceMs)
  }
  limit.addEventListener('abort', stop, { once: true })
  try {
    const ended = await exited
    if (await reach?.isAlive()) {
      if (killAt === null) await askToEnd()
      while (performance.now() < killAt! && (await reach?.isAlive())) await pause(POLL_MS)
    }
    const left = (await reach?.end()) ?? []
    await Promise.race([closed, pause(DRAIN_MS, undefined, { ref: false })])
    const { text, cut } = output.end()
    return { ...ended, stopped, output: text, cut, left }
  } finally {
    limit.removeEventListener('abort', stop)
    clearTimeout(hard)
    child.stdout.destroy()
    child.stderr.destroy()
  }
}

const WHYS: Readonly<Record<string, string>> = {
  ENOENT: ': it, its folder or the program that its first line names is not there',
  EACCES: ': the worker may not execute it',
  ENOEXEC: ': it is no program of this machine',
  E2BIG: ': its arguments and environment are too long',
}
function begin(it: Execution, tag: string) {
  try {
    return spawn(it.path, it.args, {
      cwd: it.cwd,
      env: { ...it.env, [TAG]: tag },
      detached: true,
      shell: false,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  } catch (cause) {
    throw notStarted(it.path, cause as Error)
  }
}

const notStarted = (path: string, cause: Error) => new Error(`${path} could not be started${whyOf(cause)}`, { cause })

/** Why a program does not start: https://man7.org/linux/man-pages/man2/execve.2.html. */
const whyOf = (cause: Error): string => {
  const { code = '' } = cause as NodeJS.ErrnoException
  return WHYS[code] ?? (code && ` (${code})`)
}
