import { spawn } from 'node:child_process'
import { kill } from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import { createOutput } from './output.ts'

/** How long the pipes of a process that has ended are read on, when somebody else still holds them. */
const DRAIN_MS = 1_000
const POLL_MS = 20

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
}>

/**
 * Runs one executable without a shell, as the leader of a process group of its own. On abort, on the deadline and when
 * the leader has ended, the whole group gets SIGTERM and, `graceMs` later, SIGKILL. Rejects when it cannot be started.
 */
export async function execute(it: Execution): Promise<Ended> {
  it.signal.throwIfAborted()
  const child = spawn(it.path, it.args, {
    cwd: it.cwd,
    env: { ...it.env },
    detached: true,
    shell: false,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = createOutput(it.maxOutputBytes, it.secrets)
  child.stdout.on('data', output.add)
  child.stderr.on('data', output.add)
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const exited = new Promise<{ code: number | null; killedBy: string | null }>((resolve, reject) => {
    child.once('exit', (code, killedBy) => resolve({ code, killedBy }))
    child.once('error', (cause) => reject(new Error(`${it.path} could not be started`, { cause })))
  })

  const limit = AbortSignal.any([it.signal, AbortSignal.timeout(it.timeoutMs)])
  let stopped: Ended['stopped'] = null
  let hard: NodeJS.Timeout | undefined
  const stop = () => {
    stopped = it.signal.aborted ? 'cancelled' : 'deadline'
    toGroup(child.pid, 'SIGTERM')
    hard = setTimeout(toGroup, it.graceMs, child.pid, 'SIGKILL')
  }
  limit.addEventListener('abort', stop, { once: true })
  try {
    const ended = await exited
    await sweep(child.pid, it.graceMs)
    await Promise.race([closed, pause(DRAIN_MS, undefined, { ref: false })])
    const { text, cut } = output.end()
    return { ...ended, stopped, output: text, cut }
  } finally {
    limit.removeEventListener('abort', stop)
    clearTimeout(hard)
    child.stdout.destroy()
    child.stderr.destroy()
  }
}

/** Sends a signal to every process of the group; false if there is none left. */
function toGroup(leader: number | undefined, signal: NodeJS.Signals | 0): boolean {
  if (leader === undefined) return false
  try {
    return kill(-leader, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

/** Ends what the leader left behind in its group. */
async function sweep(leader: number | undefined, graceMs: number): Promise<void> {
  if (!toGroup(leader, 'SIGTERM')) return
  for (let waited = 0; waited < graceMs; waited += POLL_MS) {
    await pause(POLL_MS)
    if (!toGroup(leader, 0)) return
  }
  toGroup(leader, 'SIGKILL')
}
