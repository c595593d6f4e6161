import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { kill } from 'node:process'
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'

/** The variable that names a run to every process that it starts, as long as none of them takes it away. */
export const TAG = 'KEYTURN_RUN'

/** A look is repeated this often to see what was started during the last one. */
const LOOKS = 40
const BETWEEN_MS = 20

/** Processes that are looked at before others have their turn. */
const TURN = 200

type Seen = { pid: number; parent: number; group: number; born: number }

/** What the system says of a process; null when it has ended. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
function look(pid: number): Seen | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name before it may hold anything, `)` included; what follows begins with the third field.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [state, parent, group] = fields
    if (state === 'Z' || state === 'X') return null
    return { pid, parent: Number(parent), group: Number(group), born: Number(fields[19]) }
  } catch {
    return null
  }
}

const read = <T>(from: () => T, otherwise: T): T => {
  try {
    return from()
  } catch {
    // It has ended, or is another user's.
    return otherwise
  }
}

/**
 * Reaches every process of one run. On any system that is the process group of `leader`; on Linux it is also whoever left
 * the group but still carries the run's tag in its environment, writes to the run's output, or is or was at an earlier look
 * a descendant of one of these.
 */
export function createReach(leader: number, tag: string) {
  /** When each process that was found at some look was started: another with its id is another. */
  const known = new Map<number, number>()
  const hasProc = existsSync('/proc/self/stat')
  const born = look(leader)?.born ?? 0
  const link = (pid: number, fd: number) => read(() => readlinkSync(`/proc/${pid}/fd/${fd}`), '')
  // The script's own ends of its output, while it certainly has them.
  const outputs = new Set([1, 2].map((fd) => link(leader, fd)).filter((file) => /^(pipe|socket):/.test(file)))

  /** Whether it says by itself that it is of this run. */
  function isMarked(pid: number): boolean {
    const environment = read(() => readFileSync(`/proc/${pid}/environ`, 'latin1'), '')
    return `\0${environment}`.includes(`\0${TAG}=${tag}\0`) || [1, 2].some((fd) => outputs.has(link(pid, fd)))
  }

  /** Those that live, with the group of each; the leader and its group included. */
  async function living(): Promise<Map<number, number>> {
    const pids = read(() => readdirSync('/proc'), []).filter(
      (name) => /^\d+$/.test(name) && name !== String(process.pid),
    )
    const seen: (Seen & { marked: boolean })[] = []
    for (const [i, pid] of pids.map(Number).entries()) {
      if (i % TURN === TURN - 1) await nextTurn()
      const one = look(pid)
      // Nothing that is older than the run is of it.
      if (one && one.born >= born) seen.push({ ...one, marked: one.group !== leader && isMarked(pid) })
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
