import { startService } from '../commands/http/server.ts'
import { startEndpoints } from '../commands/network/endpoints.ts'
import type { Row } from './row.ts'

const CANARY = 'canary-secret-value'

/** Deployments and the secrets that they use. What a secret is stands in its answers, as careless services have it. */
async function startDeployments() {
  const state = { expired: true, run: 'failed' }
  const secret = {
    name: 'billing-client-secret',
    expired_at: '2026-11-20T00:00:00Z',
    users: 'billing, invoices',
    owner: '@payments',
    value: CANARY,
  }
  const service = await startService((seen, _incoming, outgoing) => {
    const say = (status: number, value: unknown) => outgoing.writeHead(status).end(JSON.stringify(value))
    if (seen.method === 'GET' && seen.url === '/deployments/billing/secrets?state=expired')
      return say(200, { secrets: state.expired ? [secret] : [] })
    if (seen.method === 'GET' && seen.url === '/deployments/billing/runs?state=failed')
      return say(200, { runs: state.run === 'failed' ? [{ id: 'r-31', commit: 'c0ffee' }] : [] })
    if (seen.method === 'GET' && seen.url === '/runs/r-31') return say(200, { state: state.run })
    if (seen.method !== 'POST' || seen.url !== '/runs/r-31/retry') return say(404, { error: 'not found' })
    if (state.expired) return say(422, { error: 'token has expired' })
    state.run = 'succeeded'
    return say(202, { state: 'running' })
  })
  const deployment = { deployment: { type: 'text', pattern: '[a-z-]+' } }
  const settings = {
    baseUrl: service.origin,
    params: deployment,
    lists: {
      'expired-secrets': {
        noun: 'secret',
        path: '/deployments/{deployment}/secrets?state=expired',
        items: '/secrets',
        id: '/name',
        show: { 'expired since': '/expired_at', 'used by': '/users', owner: '/owner' },
      },
      'failed-runs': {
        noun: 'deployment',
        path: '/deployments/{deployment}/runs?state=failed',
        items: '/runs',
        id: '/id',
        show: { commit: '/commit' },
      },
    },
    operations: {
      'deploy-again': {
        summary: 'Start a failed deployment once more',
        list: 'failed-runs',
        send: { method: 'POST', path: '/runs/{id}/retry' },
        none: [{ list: 'expired-secrets', says: 'A secret of the deployment is expired still' }],
        item: { path: '/runs/{id}', at: '/state', changed: ['running', 'succeeded'], open: ['failed'] },
      },
    },
  }
  return { state, settings, stop: () => service.stop() }
}

export const NETWORK_ROWS: readonly Row[] = [
  {
    id: 'A4',
    failure: 'A VPC endpoint change: several systems time out at once',
    playbook: 'network/endpoints-unreachable',
    peer: 'TCP and TLS servers',
    async begin() {
      const there = await startEndpoints()
      const local = (port: number) => ({ host: '127.0.0.1', port })
      const endpoints = {
        warehouse: local(there.plain),
        vault: { ...local(there.good), tls: true, serverName: 'localhost' },
        queue: local(there.gone),
        registry: { ...local(there.ended), tls: true, serverName: 'localhost' },
      }
      return {
        connections: { office: { kind: 'network', environment: 'production', endpoints, ca: there.ca } },
        secrets: {},
        alert: async () => ({ labels: { alertname: 'EndpointsUnreachable', connection: 'office' } }),
        // In the thread, and in the channel of infra.
        evidence: [
          /2 of 4 endpoints of office do not answer as they should: queue \(TCP\), registry \(TLS\).*C0000INFRA/,
        ],
        stop: () => there.stop(),
      }
    },
  },
  {
    id: 'D7',
    failure: 'Expired secret in a deployment',
    playbook: 'network/secret-expired',
    peer: 'an HTTP server',
    async begin() {
      const deployments = await startDeployments()
      const firing = { labels: { alertname: 'DeploymentSecretExpired', connection: 'deploys', deployment: 'billing' } }
      return {
        connections: { deploys: { kind: 'http', environment: 'production', ...deployments.settings } },
        secrets: {},
        alert: async () => firing,
        // Its owner rotates it, out of our sight; then somebody on call asks for the deployment.
        evidence: [
          /billing-client-secret.*2026-11-20T00:00:00Z.*billing, invoices.*@payments/,
          /Handed over to @platform/,
        ],
        async recover(desk, id) {
          const thread = await desk.thread(id)
          if (thread.includes(CANARY)) throw new Error('the thread shows the secret')
          deployments.state.expired = false
          await desk.ask(id, 'deploy-again')
          await desk.approve(id)
        },
        async mended() {
          if (deployments.state.run !== 'succeeded') throw new Error('not deployed')
        },
        guards: [
          {
            async arrange(desk) {
              Object.assign(deployments.state, { expired: true, run: 'failed' })
              return desk.fire(firing)
            },
            says: /expired still \(expired-secrets: billing-client-secret\)/,
          },
        ],
        stop: () => deployments.stop(),
      }
    },
  },
]
