import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** A TCP port of the loopback interface that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** Starts a program and resolves when it has printed `ready`; rejects with what it printed if it ends before. */
export async function startProgram(
  command: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; ready: string },
): Promise<ChildProcess> {
  const child = spawn(command, args, { env: options.env, stdio: ['ignore', 'pipe', 'pipe'] })
  await new Promise<void>((ready, fail) => {
    let output = ''
    const hear = (chunk: Buffer) => {
      output = (output + chunk).slice(-20_000)
      if (output.includes(options.ready)) ready()
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    child.once('exit', (code) => fail(new Error(`${command} ended with ${code} before it was ready:\n${output}`)))
    child.once('error', fail)
  })
  return child
}

/** Ends a program and waits for that; one that is gone already is fine. */
export async function endProgram(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill(signal)
  await gone
}
