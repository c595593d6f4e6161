import { type CloudFormation, startCloudFormation } from '../commands/cloudformation/server.ts'
import { type GitHub, startGitHub, TOKEN } from '../commands/github/server.ts'
import type { Row } from './row.ts'

export const GOOD = 'a'.repeat(40)
export const BAD = 'b'.repeat(40)
const OLDER = 'c'.repeat(40)

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
            traffic: { stack: 'edge', parameter: 'Live', values: { blue: 'blue', green: 'green' }, waitSeconds: 0 },
            publicUrl: aws.url('public'),
            colours: { blue: colour('Blue'), green: colour('Green') },
          },
        },
      },
    },
    secrets: { K: 'local-secret', CI_TOKEN: TOKEN },
    arrange() {
      ci.commits.clear()
      ci.push(OLDER, 'Sell gift cards')
      ci.push(GOOD, 'Round to cents')
      ci.push(BAD, 'Add a coupon', [{ name: 'tests', status: 'in_progress', conclusion: null }])
      aws.addStack('checkout', { BlueVersion: GOOD, BlueCopies: '0', GreenVersion: BAD, GreenCopies: '2' })
      aws.addStack('edge', { Live: 'green' })
    },
    mended(want: object = { BlueVersion: GOOD, BlueCopies: '2', GreenVersion: BAD, GreenCopies: '0' }) {
      const now = JSON.stringify(aws.state.stacks.get('checkout')?.parameters)
      if (now !== JSON.stringify(want)) throw new Error(`not rolled back: ${now}`)
      const users = aws.state.stacks.get('edge')?.parameters.Live?.replace(/^./, (first) => first.toUpperCase())
      if (want[`${users}Copies` as keyof typeof want] === '0')
        throw new Error(`the users are on ${users}, which has no copies`)
    },
    close: () => Promise.all([aws.close(), ci.close()]),
  }
}

const labels = { connection: 'shop', service: 'checkout', ci: 'ci', repository: 'shop/checkout' }
type Firing = { labels: Record<string, string>; annotations?: Record<string, string> }

function row(
  of: Pick<Row, 'id' | 'failure' | 'playbook'>,
  firing: Firing,
  more: Pick<Awaited<ReturnType<Row['begin']>>, 'evidence' | 'recover'>,
  mended: object | undefined,
  guards: readonly { arrange(aws: CloudFormation, ci: GitHub): void; says: RegExp }[],
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
        ...more,
        mended: async () => shop.mended(mended),
        guards: guards.map((guard) => ({
          async arrange(desk) {
            shop.arrange()
            guard.arrange(shop.aws, shop.ci)
            return desk.fire(firing)
          },
          says: guard.says,
        })),
        async stop() {
          await shop.close()
        },
      }
    },
  }
}

const deploying = {
  arrange: (aws: CloudFormation) =>
    void Object.assign(aws.state.stacks.get('checkout')!, { StackStatus: 'UPDATE_IN_PROGRESS' }),
  says: /A deploy of "checkout" is going on/,
}
const red = {
  arrange: (_: CloudFormation, ci: GitHub) =>
    void ci.push(GOOD, 'red', [{ name: 'tests', status: 'completed', conclusion: 'failure' }]),
  says: /are not green: tests ended with failure/,
}
const deployed = new RegExp(`runs ${BAD} on green`)
const lastGood = new RegExp(`newest commit of shop/checkout \\(main\\) with green checks is ${GOOD}`)

export const DEPLOY_ROWS: readonly Row[] = [
  row(
    { id: 'C3', failure: 'A buggy version of a service is live', playbook: 'deploy/buggy-version-live' },
    { labels: { alertname: 'BuggyVersionLive', ...labels } },
    {
      evidence: [deployed, lastGood, /Wait until blue answers that commit 3 times in a row/],
      async recover(desk, id) {
        await desk.approve(id)
        // The version before has the bug as well.
        await desk.ask(id, 'roll-back-to-another-commit', { commit: OLDER })
        await desk.approve(id)
      },
    },
    { BlueVersion: GOOD, BlueCopies: '0', GreenVersion: OLDER, GreenCopies: '2' },
    [deploying, red],
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
    { evidence: [/are not green: tests/, deployed, lastGood] },
    undefined,
    [red, deploying],
  ),
]
