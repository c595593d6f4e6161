import { expect, it } from '@jest/globals'
import { rolloutRestart } from '../../../commands/kubernetes/rollout-restart.ts'
import { createWorld, propose } from '../context.ts'
import { startService } from '../http/server.ts'

it('a redirect of the API server to another host is not followed', async () => {
  const other = await startService((_seen, _incoming, outgoing) => outgoing.end('{}'))
  const server = await startService((_seen, _incoming, outgoing) => {
    outgoing.writeHead(307, { location: `${other.origin}/taken` })
    outgoing.end()
  })
  const settings = { server: server.origin, tokenFrom: 'T', namespaces: { shop: { deployments: { web: {} } } } }
  const world = createWorld({ connections: { k: { kind: 'kubernetes', settings } }, secrets: { T: 'canary' } })
  const planned = propose(rolloutRestart, { connection: 'k', namespace: 'shop', deployments: 'web' }, world.read())
  await expect(planned).rejects.toThrow('got no complete answer')
  expect(server.seen).toHaveLength(1)
  expect(other.seen).toEqual([])
  await world.close()
  await Promise.all([server.stop(), other.stop()])
})
