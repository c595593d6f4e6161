import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const [USER, PASSWORD] = ['keyturn', 'canary-password']
const BCRYPT = '$2b$04$k1ZsN4LhMQWvRxpFEDehIegcHIhpCLT/2bGc8qy2whcvj5O1cf9qC'
export const PROGRAM = 'prometheus-alertmanager'

/** A real Alertmanager on a free loopback port, which tells nobody of anything; for USER with PASSWORD alone, if it is guarded. */
export async function startAlertmanager(isGuarded = false) {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-alertmanager-'))
  const config = { route: { receiver: 'nobody' }, receivers: [{ name: 'nobody' }] }
  await writeFile(join(folder, 'am.yml'), JSON.stringify(config))
  const port = await freePort()
  const web = join(folder, 'web.yml')
  if (isGuarded) await writeFile(web, JSON.stringify({ basic_auth_users: { [USER]: BCRYPT } }))
  const where = [`--storage.path=${join(folder, 'data')}`, `--web.listen-address=127.0.0.1:${port}`]
  const child = spawn(
    PROGRAM,
    [
      `--config.file=${join(folder, 'am.yml')}`,
      ...where,
      '--cluster.listen-address=',
      ...(isGuarded ? [`--web.config.file=${web}`] : []),
    ],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  )
  await new Promise<void>((up, fail) => {
    let output = ''
    child.stderr?.on('data', (line) => {
      output += line
      if (/Listening|TLS is disabled/.test(output)) up()
    })
    child.once('exit', (code) => fail(new Error(`Alertmanager ended with ${code}:\n${output}`)))
  })
  const origin = `http://127.0.0.1:${port}`
  const send = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(`${origin}/api/v2/${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${await answer.text()}`)
    return answer
  }
  return {
    origin,
    fire: (...labels: Record<string, string>[]) =>
      send(
        'POST',
        'alerts',
        labels.map((l) => ({ labels: l })),
      ),
    /** Labels of the alerts that are heard. */
    async heard(): Promise<Record<string, string>[]> {
      const all = (await (await send('GET', 'alerts?silenced=false')).json()) as { labels: Record<string, string> }[]
      return all.map((a) => a.labels)
    },
    silence: (body: Record<string, unknown>) => send('POST', 'silences', body),
    async silences() {
      return (await (await send('GET', 'silences')).json()) as {
        id: string
        comment: string
        createdBy: string
        startsAt: string
        endsAt: string
        status: { state: string }
        matchers: unknown[]
      }[]
    },
    expire: (id: string) => send('DELETE', `silence/${id}`),
    async stop() {
      if (child.exitCode === null) {
        const gone = once(child, 'exit')
        child.kill('SIGKILL')
        await gone
      }
      await rm(folder, { recursive: true })
    },
  }
}
export type Alertmanager = Awaited<ReturnType<typeof startAlertmanager>>

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
