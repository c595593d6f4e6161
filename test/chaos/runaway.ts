import { readdirSync, readFileSync } from 'node:fs'
import { execute } from '../../commands/script/execute.ts'
import { type Random, randomOf } from './scheduler.ts'
import { Violation } from './violation.ts'

/** How long anything of a script may live on after its deadline, in milliseconds. */
const WITHIN = 5000
const [TIMEOUT, GRACE, MOST] = [400, 300, 2048]

/** A word that every process of a script has among its arguments, where no environment and no open file is needed to see it. */
const markOf = (seed: number) => `keyturn-runaway-${process.pid}-${seed}`

/** Living processes that have the mark among their arguments. */
function marked(mark: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      const state = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '')[0]
      return state !== 'Z' && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(mark)
    } catch {
      return false
    }
  })
}

const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`

/** What a process has still got that tells whose it is, besides its parent. */
type Ties = { environment: boolean; output: boolean }

/** A shell script that does not end by itself, and how it and what it starts try to stay. */
function runaway(random: Random, mark: string, depth = 0, ties: Ties = { environment: true, output: true }): string {
  const deaf = random.chance(0.6) ? "trap '' TERM INT HUP; " : ''
  // Ends before its deadline, and leaves behind what it has started.
  const leaves = depth < 2 && random.chance(0.2)
  const last = random.pick([
    `while :; do sleep 60; done; : ${mark}`,
    `while :; do echo ${mark} on and on; done`,
    `yes ${mark}`,
    `while :; do :; done; : ${mark}`,
  ])
  const children = Array.from({ length: depth < 2 ? random.below(3) : 0 }, () => {
    const start =
      (wrap: (child: string) => string, cut: Partial<Ties>, orphan = leaves) =>
      () => {
        const left = { ...ties, ...cut }
        // Without a tie, and its parent gone before anybody looked, it is nobody's: docs/security.md says so.
        // A script that ends at once may do so before its output could be looked at.
        if (orphan && !left.environment && (!left.output || depth === 0)) return ''
        return wrap(quote(runaway(random, mark, depth + 1, left)))
      }
    return random.pick([
      start((child) => `sh -c ${child} &`, {}),
      start((child) => `setsid sh -c ${child} &`, {}),
      start((child) => `setsid sh -c ${child} >/dev/null 2>&1 </dev/null &`, { output: false }),
      start((child) => `(nohup setsid sh -c ${child} >/dev/null 2>&1 &)`, { output: false }, true),
      start((child) => `setsid env -i PATH="$PATH" sh -c ${child} &`, { environment: false }),
      // One that starts another and ends, again and again: nobody's child, and another process at every look.
      () =>
        ties.environment || ties.output
          ? `setsid sh -c ${quote(`(sleep 0.05; exec sh -c "$0" "$0") & : ${mark}`)} &`
          : '',
    ])()
  })
  return `${deaf}${children.join(' ')} ${leaves ? `: ${mark}` : last}`
}

/** A script that will not end: soon after its deadline nothing of it lives, and its output is bounded and marked as cut. */
export async function runAway(seed: number): Promise<void> {
  const mark = markOf(seed)
  const script = runaway(randomOf(seed), mark)
  const start = performance.now()
  const ended = await execute({
    path: '/bin/sh',
    args: ['-c', script],
    cwd: '/',
    env: { PATH: '/usr/bin:/bin' },
    timeoutMs: TIMEOUT,
    graceMs: GRACE,
    maxOutputBytes: MOST,
    secrets: [],
    signal: new AbortController().signal,
  })
  const late = Math.round(performance.now() - start - TIMEOUT)
  const left = marked(mark)
  for (const pid of left) process.kill(Number(pid), 'SIGKILL')
  if (left.length > 0 || ended.left.length > 0) throw new Violation(`${left.length} processes live on after: ${script}`)
  if (late > WITHIN) throw new Violation(`took ${late} ms after its deadline to end: ${script}`)
  if (Buffer.byteLength(ended.output) > 2 * MOST)
    throw new Violation(`kept ${ended.output.length} characters of output`)
  if (ended.cut !== ended.output.includes('… cut: ')) throw new Violation('a cut is not marked')
}
