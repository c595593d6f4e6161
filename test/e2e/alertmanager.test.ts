import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { parse } from 'yaml'
import { PROGRAM } from '../commands/alertmanager/server.ts'
import { describeWith } from '../harness/peer.ts'
import { startWorld } from './world.ts'

/** The receiver as the README says, sent to another port and with another place for the token. */
async function receivers(port: number, tokenFile: string): Promise<unknown> {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
  const block = /```yaml\n(receivers:[^`]+)```/.exec(readme)?.[1]
  if (!block) throw new Error('the README shows no receivers for Alertmanager any more')
  const { receivers } = parse(block) as {
    receivers: { webhook_configs: { url: string; http_config: { authorization: { credentials_file: string } } }[] }[]
  }
  for (const hook of receivers[0]?.webhook_configs ?? []) {
    hook.url = hook.url.replace(/:\d+/, `:${port}`)
    hook.http_config.authorization.credentials_file = tokenFile
  }
  return receivers
}

describeWith([PROGRAM], 'a real Alertmanager', () => {
  let world: Awaited<ReturnType<typeof startWorld>>
  let child: ChildProcess
  let api = ''

  beforeAll(async () => {
    world = await startWorld({ playbooks: {}, connections: {} })
    const port = await world.freePort()
    api = `http://127.0.0.1:${port}`
    const tokenFile = join(world.folder, 'token')
    await writeFile(tokenFile, world.tokens.ALERTS_TOKEN)
    const route = { receiver: 'keyturn', group_by: ['alertname'], group_wait: '50ms', group_interval: '500ms' }
    const config = { route, receivers: await receivers(Number(new URL(world.webhook).port), tokenFile) }
    const file = join(world.folder, 'am.yml')
    await writeFile(file, JSON.stringify(config))
    const where = [`--storage.path=${join(world.folder, 'am')}`, `--web.listen-address=127.0.0.1:${port}`]
    child = spawn(PROGRAM, [`--config.file=${file}`, ...where, '--cluster.listen-address='], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    await new Promise<void>((up, fail) => {
      child.stderr?.on('data', (line) => String(line).includes('Listening') && up())
      child.once('exit', (code) => fail(new Error(`Alertmanager ended with ${code}`)))
    })
  })
  afterAll(async () => {
    if (child && child.exitCode === null) {
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    }
    await world?.stop()
  })

  it('opens a thread, and its resolve closes it', async () => {
    const send = async (more: object) => {
      const alerts = [
        {
          labels: { alertname: 'DiskFull', host: 'db-1', severity: 'critical' },
          annotations: { summary: '98 % used' },
          ...more,
        },
      ]
      const body = JSON.stringify(alerts)
      const answer = await fetch(`${api}/api/v2/alerts`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      })
      expect(answer.status).toBe(200)
    }
    await send({})
    const root = await world.see('root', (m) => m.text.startsWith('DiskFull: firing'))
    expect(JSON.stringify(root.blocks)).toContain('98 % used')
    await send({ endsAt: new Date().toISOString() })
    await world.see('root', (m) => m.text.startsWith('DiskFull: resolved'))
    expect(world.messages().filter((m) => world.keyOf(m) === 'root')).toHaveLength(1)
  })
})
