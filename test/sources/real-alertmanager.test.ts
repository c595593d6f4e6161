import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import type { Alert } from '../../src/domain/alert.ts'
import { describeIfInstalled, PROGRAM } from '../commands/alertmanager/server.ts'
import { startEdge } from './edge.ts'

describeIfInstalled('a real Alertmanager (left out where prometheus-alertmanager is not installed)', () => {
  const arrivals: Alert[] = []
  let failing = 0
  let changed = Promise.withResolvers<void>()
  const change = () => {
    changed.resolve()
    changed = Promise.withResolvers<void>()
  }
  let edge: Awaited<ReturnType<typeof startEdge>>
  let child: ChildProcess
  let folder: string
  let api: string
  let output = ''

  const arrived = async (name: string, status: Alert['status']): Promise<Alert> => {
    for (;;) {
      const next = changed.promise
      const found = arrivals.find((a) => a.labels.alertname === name && a.status === status)
      if (found) return found
      await next
    }
  }
  const send = async (alertname: string, more: Record<string, unknown> = {}) => {
    const annotations = { runbook_url: 'http://127.0.0.1/runbook' }
    const reply = await fetch(`${api}/api/v2/alerts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify([{ labels: { alertname }, annotations, ...more }]),
    })
    expect(reply.status).toBe(200)
  }
  const refused = (status: number) => edge.lines.filter((line) => JSON.parse(line).status === status).length

  beforeAll(async () => {
    edge = await startEdge({
      onAlerts: async ({ alerts }) => {
        if (failing > 0) {
          failing--
          throw new Error('the store is away')
        }
        arrivals.push(...alerts)
        change()
      },
    })
    folder = await mkdtemp(join(tmpdir(), 'alertmanager-'))
    const hook = (name: string, token: string) => ({
      name,
      webhook_configs: [
        {
          url: `${edge.url}/webhooks/am`,
          send_resolved: true,
          http_config: { authorization: { type: 'Bearer', credentials: token } },
        },
      ],
    })
    const config = {
      route: {
        receiver: 'keyturn',
        group_by: ['alertname'],
        group_wait: '50ms',
        group_interval: '500ms',
        // What failed is sent again with its group's next flush too: put that off, to see retries alone.
        routes: [
          { receiver: 'stranger', matchers: ['alertname="Refused"'], group_interval: '1h' },
          { receiver: 'keyturn', matchers: ['alertname="StoredLater"'], group_interval: '1h' },
        ],
      },
      receivers: [hook('keyturn', 's3cret'), hook('stranger', 'wrong')],
    }
    await writeFile(join(folder, 'am.yml'), JSON.stringify(config))
    const port = await freePort()
    api = `http://127.0.0.1:${port}`
    child = spawn(
      PROGRAM,
      [
        `--config.file=${join(folder, 'am.yml')}`,
        `--storage.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
        '--cluster.listen-address=',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    )
    await new Promise<void>((resolve, reject) => {
      child.stderr!.on('data', (data) => {
        output += data
        if (output.includes('Listening on') || output.includes('TLS is disabled')) resolve()
      })
      child.once('exit', () => reject(new Error(`Alertmanager ended:\n${output}`)))
    })
  })

  afterAll(async () => {
    if (child?.exitCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await ended
    }
    await edge?.close()
    if (folder) await rm(folder, { recursive: true })
  })

  it('delivers firing, and then resolved with the same fingerprint', async () => {
    await send('DiskFull')
    const firing = await arrived('DiskFull', 'firing')
    expect(firing).toMatchObject({ endsAt: null, labels: { alertname: 'DiskFull' } })
    expect(firing.links[0]).toEqual({ title: 'Runbook', url: 'http://127.0.0.1/runbook' })
    await send('DiskFull', { startsAt: firing.startsAt, endsAt: new Date().toISOString() })
    const resolved = await arrived('DiskFull', 'resolved')
    expect(resolved.fingerprint).toBe(firing.fingerprint)
    expect(resolved.endsAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  })

  it('sends again what got a 503, and never what got a 4xx', async () => {
    await send('Refused')
    failing = 2
    await send('StoredLater')
    const stored = await arrived('StoredLater', 'firing')
    expect(stored.labels.alertname).toBe('StoredLater')
    expect(failing).toBe(0)
    // Two retries, about 0.5 and 0.9 s apart, went by meanwhile; a retry of the refused one would have too.
    expect(refused(401)).toBe(1)
    expect(arrivals.some((a) => a.labels.alertname === 'Refused')).toBe(false)
  })
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
