import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { cloudformation } from '../../../commands/cloudformation/connection.ts'
import { rollBack } from '../../../commands/cloudformation/roll-back.ts'
import { cloudformationStack } from '../../../commands/cloudformation/stack.ts'
import { startSts } from '../aws/sts-server.ts'
import { createWorld, propose, type World } from '../context.ts'
import { type GitHub, startGitHub, TOKEN } from '../github/server.ts'
import { type CloudFormation, startCloudFormation } from './server.ts'

const GOOD = 'a'.repeat(40)
const BAD = 'b'.repeat(40)
const OLDER = 'c'.repeat(40)

describe('blue/green rollback', () => {
  let aws: CloudFormation
  let ci: GitHub
  let sts: Awaited<ReturnType<typeof startSts>>
  let world: World
  let worldOf: (more?: object) => World
  beforeEach(async () => {
    aws = await startCloudFormation()
    sts = await startSts()
    ci = await startGitHub('shop/checkout')
    for (const commit of [OLDER, GOOD]) ci.push(commit, 'fine')
    ci.push(BAD, 'buggy', [{ name: 'tests', status: 'in_progress', conclusion: null }])
    aws.addStack('checkout', {
      BlueVersion: GOOD,
      BlueCopies: '0',
      GreenVersion: BAD,
      GreenCopies: '3',
      Password: 'canary-database-password',
    })
    const colour = (name: string) => ({
      stack: 'checkout',
      version: `${name}Version`,
      capacity: `${name}Copies`,
      url: aws.url(name.toLowerCase()),
    })
    aws.addStack('edge', { Live: 'green', Certificate: 'canary-certificate' })
    const service = { repository: 'shop/checkout', colours: { blue: colour('Blue'), green: colour('Green') } }
    const traffic = { stack: 'edge', parameter: 'Live', values: { blue: 'blue', green: 'green' }, waitSeconds: 0 }
    worldOf = (more = {}) =>
      createWorld({
        secrets: { K: 'local', CI_TOKEN: TOKEN },
        connections: {
          ci: {
            kind: 'github',
            settings: {
              baseUrl: ci.baseUrl,
              tokenFrom: 'CI_TOKEN',
              repositories: { 'shop/checkout': { required: ['tests'] } },
            },
          },
          prod: {
            kind: 'cloudformation',
            settings: {
              region: 'us-east-1',
              endpoint: aws.endpoint,
              ...sts.settings,
              ...more,
              accessKeyIdFrom: 'K',
              secretAccessKeyFrom: 'K',
              checks: 'ci',
              backoffMs: 1,
              pollSeconds: 0.002,
              services: {
                checkout: { ...service, healthyAnswers: 3, traffic, show: ['Url', 'Dsn', 'ApiKey'] },
                hasty: { ...service, healthyMinutes: 0.0005, traffic },
                seen: { ...service, healthyAnswers: 3, traffic, publicUrl: aws.url('public') },
                routed: { ...service, healthyAnswers: 3, healthyMinutes: 0.005, publicUrl: aws.url('public') },
                blind: { ...service, healthyAnswers: 3 },
                ghost: {
                  ...service,
                  colours: { blue: colour('Blue'), green: { ...colour('Green'), stack: 'nowhere' } },
                },
              },
            },
          },
        },
      })
    world = worldOf()
  })
  afterEach(async () => {
    await world.close()
    await Promise.all([aws.close(), ci.close(), sts.close()])
  })

  const at = { connection: 'prod', service: 'checkout', commit: 'idle' }
  const stack = () => aws.state.stacks.get('checkout')!
  const refusal = (more: object = {}) =>
    propose(rollBack, { ...at, ...more }, world.read()).then(
      () => 'planned',
      (error: Error) => `${error.name}: ${error.message}`,
    )

  it('shows which version each colour has and answers, and no hidden parameter', async () => {
    if (cloudformationStack.effect !== 'read') throw new Error('no read')
    const found = await cloudformationStack.read(at, world.read())
    expect(found.summary).toContain(`runs ${BAD} on green`)
    expect(found.blocks[0]).toEqual({ type: 'text', text: 'The traffic is set to green.' })
    expect(found.blocks[1]).toMatchObject({
      rows: [
        ['blue', 'checkout', GOOD, '0', 'idle'],
        ['green', 'checkout', BAD, '3', BAD],
      ],
    })
    expect(JSON.stringify(found)).not.toContain('canary')
    expect(found.blocks[2]).toMatchObject({
      rows: expect.arrayContaining([
        ['checkout', 'output Url', 'https://checkout.example.com'],
        ['checkout', 'output Dsn', '[secret]'],
        ['checkout', 'output ApiKey', '[secret]'],
        ['checkout', 'not shown', '1 parameters and outputs'],
        ['edge', 'parameter Live', 'green'],
      ]),
    })
  })

  it('shows no parameter and no output that the settings do not name, and what users get', async () => {
    if (cloudformationStack.effect !== 'read') throw new Error('no read')
    const found = await cloudformationStack.read({ ...at, service: 'seen' }, world.read())
    expect(JSON.stringify(found)).not.toMatch(/canary|checkout\.example\.com/)
    expect(found.blocks[0]).toEqual({ type: 'text', text: `The traffic is set to green. Users get ${BAD}.` })
    const blind = await cloudformationStack.read({ ...at, service: 'blind' }, world.read())
    expect(blind.blocks[0]).toMatchObject({ text: expect.stringContaining('Which colour the users get is not known') })
  })

  it('keeps no value of a parameter in its plan', async () => {
    stack().parameters.ApiToken = 'canary-token'
    const one = await propose(rollBack, at, world.read())
    expect(JSON.stringify(one)).not.toContain('canary')
    stack().parameters.ApiToken = 'another'
    expect((await propose(rollBack, at, world.read())).targets).not.toEqual(one.targets)
  })

  it('raises the idle colour, waits for its commit, and only then takes the other one away', async () => {
    const plan = await propose(rollBack, at, world.read())
    expect(plan.summary).toBe(`Roll checkout back from ${BAD} (green) to ${GOOD} (blue)`)
    expect(plan.steps.map((step) => step.id)).toEqual([
      ...['deploy', 'deployed', 'healthy', 'traffic', 'moved', 'drain', 'drained'],
    ])
    const greenCopies: string[] = []
    aws.state.onVersion = () => void greenCopies.push(stack().parameters.GreenCopies!)
    const { ctx, recording } = world.run(plan)
    await rollBack.run(plan, ctx)
    expect(recording.finished.map((step) => step.id)).toEqual(plan.steps.map((step) => step.id))
    expect(stack().parameters).toMatchObject({
      BlueVersion: GOOD,
      BlueCopies: '3',
      GreenVersion: BAD,
      GreenCopies: '0',
      Password: 'canary-database-password',
    })
    // One while it warms up, three in a row, one just before the change.
    expect(greenCopies).toEqual(Array(5).fill('3'))
    const checks = await rollBack.verify(plan, world.read())
    expect(checks.map((check) => check.ok)).toEqual([true, true, true])
    expect((await rollBack.probe(plan, 'drained', world.read())).landed).toBe('yes')
  })

  it('gives every update a token of its own, the same whenever this plan is made again', async () => {
    const [one, again] = [await propose(rollBack, at, world.read()), await propose(rollBack, at, world.read())]
    expect(one).toEqual(again)
    await rollBack.run(one, world.run(one).ctx)
    const tokens = aws.sent('UpdateStack').map((form) => form.get('ClientRequestToken'))
    expect(new Set(tokens).size).toBe(3)
  })

  it('puts a given commit on the idle colour, if its checks are green', async () => {
    const plan = await propose(rollBack, { ...at, commit: OLDER }, world.read())
    await rollBack.run(plan, world.run(plan).ctx)
    expect(stack().parameters).toMatchObject({ BlueVersion: OLDER, GreenCopies: '0' })
  })

  it('leaves the other colour running when the right commit is not answered', async () => {
    aws.state.answers = OLDER
    const plan = await propose(rollBack, { ...at, service: 'hasty' }, world.read())
    await expect(rollBack.run(plan, world.run(plan).ctx)).rejects.toThrow('blue did not answer')
    expect(stack().parameters).toMatchObject({ BlueCopies: '3', GreenCopies: '3' })
    expect((await rollBack.probe(plan, 'healthy', world.read())).landed).toBe('no')
    // What is half done is gone on with: the same commit, and only what is missing.
    aws.state.answers = null
    expect(await refusal()).toContain('Give the commit of the one that stays')
    const rest = await propose(rollBack, { ...at, commit: GOOD }, world.read())
    expect(rest.steps.map((step) => step.id)).toEqual(['healthy', 'traffic', 'moved', 'drain', 'drained'])
    await rollBack.run(rest, world.run(rest).ctx)
    expect(stack().parameters).toMatchObject({ BlueCopies: '3', GreenCopies: '0' })
  })

  it('begins to count again when another answer comes between', async () => {
    const plan = await propose(rollBack, at, world.read())
    let asked = 0
    aws.state.onVersion = () => {
      asked += 1
      aws.state.answers = asked === 3 ? OLDER : null
    }
    await rollBack.run(plan, world.run(plan).ctx)
    // Warming up, two good, one other, three good, and one before the change.
    expect(asked).toBe(8)
  })

  it('takes no single answer for several in a row', () => {
    const colour = { stack: 'checkout', version: 'V', capacity: 'C', url: 'https://blue.example.com/version' }
    const service = {
      repository: 'shop/checkout',
      colours: { blue: colour, green: { ...colour, version: 'W', capacity: 'D' } },
    }
    const settings = (healthyAnswers: number) =>
      cloudformation.settings.safeParse({
        region: 'eu-west-1',
        checks: 'ci',
        services: { checkout: { ...service, healthyAnswers } },
      })
    expect(settings(2).error).toBeUndefined()
    expect(settings(1).error?.issues[0]?.path).toEqual(['services', 'checkout', 'healthyAnswers'])
  })

  it('says why CloudFormation took an update back', async () => {
    aws.state.failure = 'Image not found'
    const plan = await propose(rollBack, { ...at, commit: OLDER }, world.read())
    await expect(rollBack.run(plan, world.run(plan).ctx)).rejects.toThrow('Service: Image not found')
    expect(stack().parameters.GreenCopies).toBe('3')
    expect((await rollBack.probe(plan, 'deployed', world.read())).landed).toBe('no')
  })

  it('knows by its token that an update landed whose reply was lost', async () => {
    const plan = await propose(rollBack, at, world.read())
    expect((await rollBack.probe(plan, 'deploy', world.read())).landed).toBe('no')
    aws.lose('UpdateStack')
    await expect(rollBack.run(plan, world.run(plan).ctx)).rejects.toMatchObject({ name: 'Unanswered' })
    expect((await rollBack.probe(plan, 'deploy', world.read())).landed).toBe('yes')
    expect(aws.sent('UpdateStack')).toHaveLength(1)
  })

  it('cannot tell whether its update landed while a strange one is under way', async () => {
    const plan = await propose(rollBack, at, world.read())
    stack().StackStatus = 'UPDATE_IN_PROGRESS'
    expect((await rollBack.probe(plan, 'deploy', world.read())).landed).toBe('cannot_tell')
  })

  it('changes nothing when the stack was updated after the plan was shown', async () => {
    const plan = await propose(rollBack, at, world.read())
    stack().LastUpdatedTime = '2026-11-21T04:00:00.000Z'
    await expect(rollBack.run(plan, world.run(plan).ctx)).rejects.toThrow('no longer as it was shown')
    expect(aws.sent('UpdateStack')).toHaveLength(0)
  })

  it.each([
    [
      'another deploy has begun',
      () => void Object.assign(stack(), { StackStatus: 'UPDATE_IN_PROGRESS' }),
      'Another deploy',
    ],
    [
      'the colour that goes has got a fix',
      () => void Object.assign(stack().parameters, { GreenVersion: OLDER }),
      'Both colours were left',
    ],
    [
      'the colour that stays has stopped',
      () => void Object.assign(aws.state, { answers: 'something' }),
      'does not run',
    ],
  ])('takes nothing away when %s while it waited', async (_, meanwhile, why) => {
    const plan = await propose(rollBack, at, world.read())
    let asked = 0
    aws.state.onVersion = () => {
      asked += 1
      if (asked === 4) meanwhile()
    }
    await expect(rollBack.run(plan, world.run(plan).ctx)).rejects.toThrow(why)
    expect(stack().parameters.GreenCopies).toBe('3')
  })

  it('stops waiting when it is cancelled', async () => {
    aws.state.looks = Number.POSITIVE_INFINITY
    const plan = await propose(rollBack, at, world.read())
    const stop = new AbortController()
    const { ctx } = world.run(plan, { signal: stop.signal })
    const run = rollBack.run(plan, { ...ctx, progress: () => stop.abort(new Error('cancelled')) })
    await expect(run).rejects.toThrow()
    expect(aws.sent('UpdateStack')).toHaveLength(1)
  })

  it('is cancelled, and not of unknown outcome, while it only asks the version endpoint', async () => {
    aws.state.answers = OLDER
    const plan = await propose(rollBack, at, world.read())
    const stop = new AbortController()
    aws.state.onVersion = () => stop.abort(new Error('cancelled'))
    const run = rollBack.run(plan, world.run(plan, { signal: stop.signal }).ctx)
    await expect(run).rejects.toMatchObject({ name: 'Refused' })
    expect(stack().parameters).toMatchObject({ BlueCopies: '3', GreenCopies: '3' })
  })

  it('refuses a commit whose checks are not green, and one that nobody knows', async () => {
    ci.push(OLDER, 'red', [{ name: 'tests', status: 'completed', conclusion: 'failure' }])
    expect(await refusal({ commit: OLDER })).toContain('are not green: tests ended with failure')
    expect(await refusal({ commit: 'd'.repeat(40) })).toContain('There is no commit')
  })

  it.each([
    ['a deploy is going on', 'UPDATE_IN_PROGRESS', 'A deploy of "checkout" is going on (UPDATE_IN_PROGRESS)'],
    ['a clean-up is going on', 'UPDATE_COMPLETE_CLEANUP_IN_PROGRESS', 'is going on'],
    ['an update hangs', 'UPDATE_ROLLBACK_FAILED', 'takes no update before that is mended'],
  ])('refuses while %s', async (_, status, why) => {
    stack().StackStatus = status
    expect(await refusal()).toContain(why)
  })

  it('refuses what it cannot know or need not do', async () => {
    expect(await refusal({ commit: BAD })).toContain('on green already')
    expect(await refusal({ service: 'other' })).toContain('does not list the service "other"')
    expect(await refusal({ service: 'ghost' })).toContain('There is no stack "nowhere"')
    stack().parameters.GreenCopies = '0'
    expect(await refusal()).toContain('Neither colour')
    for (const commit of ['', 'main', '$(id)', `${GOOD} `]) expect(await refusal({ commit })).toMatch(/^ZodError/)
  })

  describe('moves the users', () => {
    const seen = { ...at, service: 'seen' }
    const users = async () => (await fetch(aws.url('public'))).status

    it('before it takes anything away, and waits until they get the commit', async () => {
      aws.state.lag = 4
      const plan = await propose(rollBack, seen, world.read())
      expect(plan.steps.map((step) => step.id)).toEqual([
        ...['deploy', 'deployed', 'healthy', 'traffic', 'moved', 'public', 'drain', 'drained'],
      ])
      const outages: string[] = []
      const { ctx } = world.run(plan)
      const { step } = ctx
      const watched = async (id: string, work: () => Promise<unknown>) => {
        const done = await step(id, work as never)
        if ((await users()) !== 200) outages.push(id)
        return done
      }
      await rollBack.run(plan, { ...ctx, step: watched as typeof step })
      expect(outages).toEqual([])
      expect(stack().parameters).toMatchObject({ BlueCopies: '3', GreenCopies: '0' })
      expect(aws.state.stacks.get('edge')!.parameters.Live).toBe('blue')
      expect((await rollBack.verify(plan, world.read())).map((check) => check.ok)).toEqual([true, true, true, true])
      for (const id of ['traffic', 'moved', 'drain'])
        expect([id, (await rollBack.probe(plan, id, world.read())).landed]).toEqual([id, 'yes'])
    })

    it('and takes nothing away when they still get the other one, whoever moves them', async () => {
      aws.state.users = 'green'
      const plan = await propose(rollBack, { ...at, service: 'routed' }, world.read())
      expect(plan.steps.map((step) => step.id)).toEqual([
        ...['deploy', 'deployed', 'healthy', 'public', 'drain', 'drained'],
      ])
      await expect(rollBack.run(plan, world.run(plan).ctx)).rejects.toThrow(
        /what users get did not answer a{40} within .* green still runs, nothing was taken away/,
      )
      expect(stack().parameters).toMatchObject({ BlueCopies: '3', GreenCopies: '3' })
      expect((await rollBack.verify(plan, world.read())).map((check) => check.ok)).toEqual([true, false, false])
      // A router follows by itself, and the rest is done.
      aws.state.users = 'blue'
      const rest = await propose(rollBack, { ...at, service: 'routed', commit: GOOD }, world.read())
      await rollBack.run(rest, world.run(rest).ctx)
      expect(stack().parameters.GreenCopies).toBe('0')
    })

    it('not where it does not know how: both colours go on, and it says so', async () => {
      const plan = await propose(rollBack, { ...at, service: 'blind' }, world.read())
      expect(plan.steps.map((step) => step.id)).toEqual(['deploy', 'deployed', 'healthy'])
      expect(plan.warnings[1]).toContain('green goes on, and users may still get')
      expect(await rollBack.run(plan, world.run(plan).ctx)).toContain('Move the users by hand')
      expect(stack().parameters).toMatchObject({ BlueCopies: '3', GreenCopies: '3' })
      expect((await rollBack.verify(plan, world.read())).map((check) => check.ok)).toEqual([true, false])
      expect(await refusal({ service: 'blind', commit: GOOD })).toContain('What the users get is not known')
    })

    it('refuses when their parameter names neither colour, and when somebody else moved them meanwhile', async () => {
      const plan = await propose(rollBack, seen, world.read())
      const { ctx } = world.run(plan)
      const { step } = ctx
      const meddled = async (id: string, work: () => Promise<unknown>) => {
        if (id === 'traffic') aws.state.stacks.get('edge')!.parameters.Live = 'half'
        return step(id, work as never)
      }
      await expect(rollBack.run(plan, { ...ctx, step: meddled as typeof step })).rejects.toThrow(
        'moved by somebody else',
      )
      expect(await refusal({ service: 'seen', commit: GOOD })).toContain('Live of "edge" names neither colour')
    })

    it('outlives a throttled account and knows after a lost reply that they were moved', async () => {
      const plan = await propose(rollBack, seen, world.read())
      const { ctx } = world.run(plan)
      const { step } = ctx
      const unlucky = async (id: string, work: () => Promise<unknown>) => {
        if (id === 'deployed') aws.refuse('DescribeStacks', 12)
        if (id === 'traffic') aws.lose('UpdateStack')
        return step(id, work as never)
      }
      await expect(rollBack.run(plan, { ...ctx, step: unlucky as typeof step })).rejects.toMatchObject({
        name: 'Unanswered',
      })
      expect((await rollBack.probe(plan, 'traffic', world.read())).landed).toBe('yes')
      expect(stack().parameters.GreenCopies).toBe('3')
    })
  })

  it('says whose rights an update takes, and that parameters of Systems Manager are read anew', async () => {
    aws.state.held.set('Image', 'ami-1')
    stack().parameters.Image = '/images/checkout'
    const plan = await propose(rollBack, at, world.read())
    expect(plan.targets[0]?.details['Changed with']).toBe('those of the connection itself')
    expect(plan.warnings.at(-1)).toContain('Systems Manager holds Image of checkout: each update takes the value')
  })

  it('is changed in a session that may update these stacks only, where a service role changes the rest', async () => {
    const stackRoleArn = 'arn:aws:iam::123456789012:role/checkout-deploy'
    aws.state.held.set('Image', 'ami-1')
    stack().parameters.Image = '/images/checkout:3'
    await world.close()
    world = worldOf({ stackRoleArn })
    const plan = await propose(rollBack, at, world.read())
    expect(sts.policies()).toEqual([])
    await rollBack.run(plan, world.run(plan).ctx)
    const updating = ['UpdateStack', 'DescribeStacks', 'DescribeStackEvents'].map((one) => `cloudformation:${one}`)
    expect(sts.policies()).toEqual([
      [
        {
          Effect: 'Allow',
          Action: updating,
          Resource: ['checkout', 'edge'].map((one) => `arn:aws:cloudformation:us-east-1:123456789012:stack/${one}/*`),
        },
        { Effect: 'Allow', Action: ['iam:PassRole'], Resource: [stackRoleArn] },
        {
          Effect: 'Allow',
          Action: ['ssm:GetParameters'],
          Resource: ['arn:aws:ssm:us-east-1:123456789012:parameter/images/checkout'],
        },
      ],
    ])
    aws.state.failure = 'no capacity'
    const again = await propose(rollBack, { ...at, commit: OLDER }, world.read())
    await expect(rollBack.run(again, world.run(again).ctx)).rejects.toThrow('no capacity')
    expect(sts.asked()).toEqual(updating.toSorted())
  })

  it('keeps the rights of its own role where CloudFormation changes the stacks with those', async () => {
    const plan = await propose(rollBack, at, world.read())
    await rollBack.run(plan, world.run(plan).ctx)
    expect(sts.policies()).toEqual([])
  })

  it('takes no traffic that would not tell the colours apart', () => {
    const colour = { stack: 'a', version: 'V', capacity: 'C', url: 'https://blue.example.com/version' }
    const parse = (values: object) =>
      cloudformation.settings.safeParse({
        ...{ region: 'eu-west-1', checks: 'ci' },
        services: {
          checkout: {
            repository: 'shop/checkout',
            colours: { blue: colour, green: { ...colour, version: 'W', capacity: 'D' } },
            traffic: { stack: 'edge', parameter: 'Live', values },
          },
        },
      }).success
    expect(parse({ blue: '1', green: '2' })).toBe(true)
    expect([parse({ blue: '1', green: '1' }), parse({ blue: '1' }), parse({ red: '1', green: '2' })]).toEqual([
      ...[false, false, false],
    ])
  })
})
