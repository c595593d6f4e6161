import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** Produces with kcat, which is librdkafka: one record a line of `text`, or all of it as one with `whole`. */
export async function kcat(broker: string, topic: string, text: string | Buffer, options: readonly string[] = []) {
  const child = spawn('kcat', ['-P', '-b', broker, '-t', topic, ...options], { stdio: ['pipe', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (bytes: Buffer) => (said += bytes))
  child.stdin.end(text)
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`kcat ended with ${code}: ${said}`)
}
