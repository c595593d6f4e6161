import { fork } from 'node:child_process'
import { parseArgs } from 'node:util'

/** Milliseconds: long enough to watch a run, and to cancel it or kill its worker in the middle. */
const TABLE_CHANGES = 10_000

const say = (text: string) => process.stdout.write(`${text}\n`)

/**
 * The stage runs in a process group of its own, which a terminal's Ctrl-C does not reach: what it started would end in
 * any order. It ends in the right one when this process says so, or is gone.
 */
function supervise(): void {
  const child = fork(import.meta.filename, process.argv.slice(2), { detached: true })
  let asked = false
  const ask = () => {
    if (!asked && child.connected) child.send('stop')
    asked = true
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, ask)
  // npm passes a SIGTERM to its shell only, which ends without a word to this process.
  const parent = process.ppid
  if (process.env.npm_lifecycle_event) setInterval(() => process.ppid !== parent && ask(), 200).unref()
  child.once('exit', (code) => process.exit(code ?? 1))
}

async function run(): Promise<void> {
  // Who reads the output may go first, as `| head` does: what was started is ended all the same.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  // Not in the other process: a library in it ends the process at once when a signal comes.
  const [{ startStage }, { play }] = await Promise.all([import('./stage.ts'), import('./story.ts')])
  const { values } = parseArgs({ options: { play: { type: 'boolean', default: false } } })
  const asked = Promise.withResolvers<void>()
  process.once('message', () => asked.resolve())
  process.once('disconnect', () => asked.resolve())

  say('Starting Redis, Postgres, S3, DynamoDB, the Slack sandbox, the bot and a worker…')
  const stage = await startStage({
    port: 0,
    env: process.env,
    ...(values.play ? {} : { updateTableMs: TABLE_CHANGES }),
  })
  try {
    if (values.play) {
      const told = await Promise.race([play(stage), asked.promise])
      for (const line of told ?? []) say(line)
      return
    }
    say(`Open ${stage.url}

1. Fire an alert in the panel below: its thread opens in #data-oncall.
2. Open the thread: the playbook, the evidence and a plan are there.
3. Be Ada (top right), approve with a reason, and watch the target change.
The table takes ten seconds to change: time to kill the worker in the middle.
Ctrl-C ends everything.`)
    await asked.promise
  } finally {
    await stage.stop()
  }
}

if (!process.send) supervise()
else
  run()
    .catch((error: unknown) => {
      process.stderr.write(`${(error as Error).message}\n`)
      process.exitCode = 1
    })
    .finally(() => process.exit())
