import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import type { Alert, Batch } from '../../src/domain/alert.ts'
import { PROGRAM } from '../commands/alertmanager/server.ts'
import { describeWith } from '../harness/peer.ts'
import { startEdge } from './edge.ts'

describeWith([PROGRAM], 'a real Alertmanager', () => {
  const arrivals: Alert[] = []
  const batches: Batch[] = []
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
  /** The next message about this group for which `test` holds. */
  const told = async (alertname: string, test: (batch: Batch) => boolean): Promise<Batch> => {
    for (;;) {
      const next = changed.promise
      const at = batches.findIndex((b) => b.alerts[0]?.labels.alertname === alertname && test(b))
      if (at >= 0) return batches.splice(0, at + 1).at(-1)!
      await next
    }
  }
  const sendMany = async (alertname: string, ids: readonly string[], more: Record<string, unknown> = {}) => {
    const reply = await fetch(`${api}/api/v2/alerts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(ids.map((id) => ({ labels: { alertname, id }, ...more }))),
    })
    expect(reply.status).toBe(200)
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
      onAlerts: async (batch) => {
        const { alerts } = batch
        if (failing > 0) {
          failing--
          throw new Error('the store is away')
        }
        arrivals.push(...alerts)
        batches.push(batch)
        change()
      },
    })
    folder = await mkdtemp(join(tmpdir(), 'alertmanager-'))
    const hook = (name: string, token: string, more = {}) => ({
      name,
      webhook_configs: [
        {
          ...more,
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
          { receiver: 'few', matchers: ['alertname=~"Many.*"'] },
        ],
      },
      receivers: [hook('keyturn', 's3cret'), hook('stranger', 'wrong'), hook('few', 's3cret', { max_alerts: 2 })],
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

  it('names so many alerts of a group only, the first by their labels, and says how many more there are', async () => {
    await sendMany('ManyEnd', ['a', 'b', 'c', 'd'])
    const first = await told('ManyEnd', (b) => b.truncated === 2)
    expect(first.alerts.map((a) => a.labels.id)).toEqual(['a', 'b'])
    expect(first.group).toEqual({
      source: 'am',
      key: '{}/{alertname=~"Many.*"}:{alertname="ManyEnd"}',
      labels: { alertname: 'ManyEnd' },
      over: false,
    })
    expect(first.alerts.map((a) => a.group)).toEqual([first.group!.key, first.group!.key])
    await sendMany('ManyEnd', ['a', 'b', 'c', 'd'], {
      startsAt: first.alerts[0]!.startsAt,
      endsAt: new Date().toISOString(),
    })
    const last = await told('ManyEnd', (b) => b.group?.over === true)
    expect(last.group?.key).toBe(first.group?.key)
    expect([last.truncated, ...last.alerts.map((a) => a.status)]).toEqual([2, 'resolved', 'resolved'])
  })

  it('takes the status of a cut message from the alerts that it names: the others may still fire', async () => {
    await sendMany('ManyGoOn', ['a', 'b', 'c'])
    const { alerts } = await told('ManyGoOn', (b) => b.truncated === 1)
    const endsAt = new Date().toISOString()
    await sendMany('ManyGoOn', ['a', 'b'], { startsAt: alerts[0]!.startsAt, endsAt })
    const cut = await told('ManyGoOn', (b) => b.alerts.every((a) => a.status === 'resolved'))
    // Versions from 0.32 on say with a reason that it goes on; this is taken for the end of all, with a note for people.
    expect([cut.truncated, cut.group?.over]).toEqual([1, true])
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
