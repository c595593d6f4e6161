import { existsSync, readlinkSync } from 'node:fs'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { kill } from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'

/** The variable that names a run to every process that it starts, as long as none of them takes it away. */
export const TAG = 'KEYTURN_RUN'

/** A look is repeated this often to see what was started during the last one. */
const LOOKS = 40
const BETWEEN_MS = 20

type Seen = { pid: number; parent: number; group: number; born: string; marked: boolean }

/** What the system says of a process; null when it has ended, or is another user's, or there is no /proc (macOS). */
async function look(pid: number, tag: string, outputs: ReadonlySet<string>): Promise<Seen | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    // The name before it may hold anything, `)` included.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [state, parent, group] = fields
    if (state === 'Z' || state === 'X') return null
    const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')
    const open = await Promise.all([1, 2].map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')))
    const marked = `\0${environment}`.includes(`\0${TAG}=${tag}\0`) || open.some((file) => outputs.has(file))
    // https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: field 22, and ours begin with the third.
    return { pid, parent: Number(parent), group: Number(group), born: fields[19] ?? '', marked }
  } catch {
    return null
  }
}

/**
 * Reaches every process of one run. On any system that is the process group of `leader`; on Linux it is also whoever left
 * the group but still carries the run's tag in its environment, writes to the run's output, or is or was at an earlier look
 * a descendant of one of these.
 */
export function createReach(leader: number, tag: string) {
  /** When each process that was found at some look was started: another with its id is another. */
  const known = new Map<number, string>()
  const hasProc = existsSync('/proc/self/stat')
  // The script's own ends of its output, while it certainly has them.
  const outputs = new Set(
    [1, 2].flatMap((fd) => {
      try {
        const file = readlinkSync(`/proc/${leader}/fd/${fd}`)
        return /^(pipe|socket):/.test(file) ? [file] : []
      } catch {
        return []
      }
    }),
  )

  /** Those that live, with the group of each; the leader and its group included. */
  async function living(): Promise<Map<number, number>> {
    const names = await readdir('/proc').catch(() => [])
    const seen: Seen[] = []
    for (const name of names) {
      const one = /^\d+$/.test(name) && name !== String(process.pid) ? await look(Number(name), tag, outputs) : null
      if (one) seen.push(one)
    }
    const found = new Map<number, number>()
    for (let more = true; more; ) {
      more = false
      for (const { pid, parent, group, born, marked } of seen) {
        const ours = marked || group === leader || pid === leader || known.get(pid) === born || found.has(parent)
        if (ours && !found.has(pid)) {
          found.set(pid, group)
          known.set(pid, born)
          more = true
        }
      }
    }
    return found
  }

  return {
    /** Whether any of them lives. */
    isAlive: async () => (hasProc ? (await living()).size > 0 : send(-leader, 0)),
    /** Asks all of them to end, each once. */
    async terminate(): Promise<void> {
      // Looked at first: who has lost its parent may not be known as its child any more.
      const found = await living()
      send(-leader, 'SIGTERM')
      for (const [pid, group] of found) if (group !== leader) send(pid, 'SIGTERM')
    },
    /** Ends all of them, those that are being started meanwhile included; the ids of those that cannot be ended. */
    async end(): Promise<number[]> {
      if (!hasProc) send(-leader, 'SIGKILL')
      for (let i = 0; i < LOOKS; i++) {
        const found = await living()
        if (found.size === 0) return []
        // First none of them may go on, or a process that starts others would outrun the look.
        for (const pid of found.keys()) send(pid, 'SIGSTOP')
        for (const pid of found.keys()) send(pid, 'SIGKILL')
        await pause(BETWEEN_MS)
      }
      return [...(await living()).keys()]
    },
  }
}

/** Sends a signal to a process, or to a group (negative); false if there is none that takes it from us. */
function send(to: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return kill(to, signal)
  } catch {
    return false
  }
}
