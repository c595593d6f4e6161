import { type CloudFormation, startCloudFormation } from '../commands/cloudformation/server.ts'
import { type GitHub, startGitHub, TOKEN } from '../commands/github/server.ts'
import type { Row } from './row.ts'

export const GOOD = 'a'.repeat(40)
export const BAD = 'b'.repeat(40)

/** A stack `checkout` with the buggy version on green, the one before on blue, and the CI that knows both. */
export async function startShop() {
  const aws = await startCloudFormation()
  const ci = await startGitHub('shop/checkout')
  const colour = (name: string) => ({
    stack: 'checkout',
    version: `${name}Version`,
    capacity: `${name}Copies`,
    url: aws.url(name.toLowerCase()),
  })
  return {
    aws,
    ci,
    connections: {
      ci: {
        kind: 'github',
        environment: 'production',
        baseUrl: ci.baseUrl,
        tokenFrom: 'CI_TOKEN',
        repositories: { 'shop/checkout': { required: ['tests'] } },
      },
      shop: {
        kind: 'cloudformation',
        environment: 'production',
        region: 'us-east-1',
        endpoint: aws.endpoint,
        accessKeyIdFrom: 'K',
        secretAccessKeyFrom: 'K',
        checks: 'ci',
        pollSeconds: 0.01,
        services: {
          checkout: {
            repository: 'shop/checkout',
            healthyAnswers: 3,
            colours: { blue: colour('Blue'), green: colour('Green') },
          },
        },
      },
    },
    secrets: { K: 'local-secret', CI_TOKEN: TOKEN },
    arrange() {
      ci.commits.clear()
      ci.push(GOOD, 'Round to cents')
      ci.push(BAD, 'Add a coupon', [{ name: 'tests', status: 'in_progress', conclusion: null }])
      aws.addStack('checkout', { BlueVersion: GOOD, BlueCopies: '0', GreenVersion: BAD, GreenCopies: '2' })
    },
    mended() {
      const now = JSON.stringify(aws.state.stacks.get('checkout')?.parameters)
      const want = { BlueVersion: GOOD, BlueCopies: '2', GreenVersion: BAD, GreenCopies: '0' }
      if (now !== JSON.stringify(want)) throw new Error(`not rolled back: ${now}`)
    },
    close: () => Promise.all([aws.close(), ci.close()]),
  }
}

const labels = { connection: 'shop', service: 'checkout', ci: 'ci', repository: 'shop/checkout' }
type Firing = { labels: Record<string, string>; annotations?: Record<string, string> }

function row(
  of: Pick<Row, 'id' | 'failure' | 'playbook'>,
  firing: Firing,
  guard: { arrange(aws: CloudFormation, ci: GitHub): void; says: RegExp },
): Row {
  return {
    ...of,
    peer: 'servers that speak the wire protocols of CloudFormation and GitHub, and the service’s version endpoints',
    async begin() {
      const shop = await startShop()
      return {
        connections: shop.connections,
        secrets: shop.secrets,
        async alert() {
          shop.arrange()
          return firing
        },
        mended: async () => shop.mended(),
        guard: {
          async arrange(desk) {
            shop.arrange()
            guard.arrange(shop.aws, shop.ci)
            return desk.fire(firing)
          },
          says: guard.says,
        },
        async stop() {
          await shop.close()
        },
      }
    },
  }
}

export const DEPLOY_ROWS: readonly Row[] = [
  row(
    { id: 'C3', failure: 'A buggy version of a service is live', playbook: 'deploy/buggy-version-live' },
    { labels: { alertname: 'BuggyVersionLive', ...labels } },
    {
      arrange: (aws) => void Object.assign(aws.state.stacks.get('checkout')!, { StackStatus: 'UPDATE_IN_PROGRESS' }),
      says: /A deploy of "checkout" is going on/,
    },
  ),
  row(
    {
      id: 'D4',
      failure: 'A change was deployed before its tests had finished',
      playbook: 'deploy/deployed-before-tests',
    },
    {
      labels: { alertname: 'DeployedBeforeTests', ...labels, commit: BAD },
      annotations: { last_green_commit: GOOD },
    },
    {
      arrange: (_, ci) => void ci.push(GOOD, 'red', [{ name: 'tests', status: 'completed', conclusion: 'failure' }]),
      says: /are not green: tests ended with failure/,
    },
  ),
]
