import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { members, QueryFault, startQuery } from '../aws/query-server.ts'

type Stack = {
  StackName: string
  StackId: string
  StackStatus: string
  CreationTime: string
  LastUpdatedTime?: string
  parameters: Record<string, string>
  capabilities: string[]
  /** Set while an update goes on: what it leaves when it is over, and after how many looks. */
  update?: { parameters: Record<string, string>; looks: number; token: string }
}
type Event = { token: string; status: string; reason?: string; resource: string; at: string }

/** CloudFormation with stacks whose updates end after some looks, and a service that runs what the stacks say. */
export async function startCloudFormation() {
  const state = {
    stacks: new Map<string, Stack>(),
    events: new Map<string, Event[]>(),
    /** Looks that an update takes. */
    looks: 2,
    /** When set, the next update is rolled back for this reason. */
    failure: null as string | null,
    /** Answers of the version endpoint that are still those of before, after an update. */
    warmUp: 1,
    /** When set, what every version endpoint answers instead. */
    answers: null as string | null,
    /** Where the users come in: answers that still go to the colour of before, after the parameter `Live` was changed. */
    lag: 0,
    /** When set, the colour that the users get, whatever a parameter says. */
    users: null as string | null,
    /** Parameters whose values Systems Manager holds, by their name. */
    held: new Map<string, string>(),
    /** Called after each request to a version endpoint. */
    onVersion: (_colour: string) => {},
  }
  const tokens = new Set<string>()
  let clock = Date.parse('2026-11-21T02:00:00.000Z')
  const tick = () => {
    clock += 60_000
    return new Date(clock).toISOString()
  }

  const find = (form: URLSearchParams): Stack => {
    const name = form.get('StackName') ?? ''
    const stack = [...state.stacks.values()].find((one) => one.StackName === name || one.StackId === name)
    if (!stack) throw new QueryFault('ValidationError', `Stack with id ${name} does not exist`)
    return stack
  }
  const eventsOf = (stack: Stack) => state.events.get(stack.StackName) ?? []
  const note = (stack: Stack, event: Omit<Event, 'at'>) =>
    state.events.set(stack.StackName, [{ ...event, at: new Date(clock).toISOString() }, ...eventsOf(stack)])

  function go(stack: Stack): void {
    const { update } = stack
    if (!update || update.looks-- > 0) return
    delete stack.update
    const failed = state.failure
    state.failure = null
    if (failed) {
      note(stack, { token: update.token, resource: 'Service', status: 'UPDATE_FAILED', reason: failed })
      stack.StackStatus = 'UPDATE_ROLLBACK_COMPLETE'
    } else {
      stack.parameters = update.parameters
      stack.StackStatus = 'UPDATE_COMPLETE'
    }
    note(stack, { token: update.token, resource: stack.StackName, status: stack.StackStatus })
  }

  const server = await startQuery('cloudformation', '2010-05-15', {
    DescribeStacks(form) {
      const stack = find(form)
      go(stack)
      const { parameters, capabilities, update: _, ...shown } = stack
      const Parameters = Object.entries(parameters).map(([ParameterKey, ParameterValue]) => ({
        ParameterKey,
        ParameterValue: ParameterKey === 'Password' ? '****' : ParameterValue,
        ...(state.held.has(ParameterKey) && { ResolvedValue: state.held.get(ParameterKey) }),
      }))
      const Outputs = [
        { OutputKey: 'Url', OutputValue: 'https://checkout.example.com' },
        { OutputKey: 'ApiKey', OutputValue: 'canary-api-key' },
        { OutputKey: 'Dsn', OutputValue: 'postgres://shop:canary-dsn@db/shop' },
      ]
      return { Stacks: [{ ...shown, Parameters, Capabilities: capabilities, Outputs }] }
    },
    DescribeStackEvents(form) {
      const stack = find(form)
      const from = Number(form.get('NextToken') ?? 0)
      const page = eventsOf(stack).slice(from, from + 2)
      return {
        StackEvents: page.map((event, i) => ({
          StackId: stack.StackId,
          EventId: `e${from + i}`,
          StackName: stack.StackName,
          LogicalResourceId: event.resource,
          ResourceStatus: event.status,
          ResourceStatusReason: event.reason,
          ClientRequestToken: event.token,
          Timestamp: event.at,
        })),
        NextToken: eventsOf(stack).length > from + 2 ? from + 2 : undefined,
      }
    },
    UpdateStack(form) {
      const stack = find(form)
      if (stack.StackStatus.endsWith('_IN_PROGRESS'))
        throw new QueryFault(
          'ValidationError',
          `Stack:${stack.StackId} is in ${stack.StackStatus} state and can not be updated.`,
        )
      const token = form.get('ClientRequestToken') ?? ''
      if (!/^[a-zA-Z0-9][-a-zA-Z0-9]{0,127}$/.test(token)) throw new QueryFault('ValidationError', 'no valid token')
      if (tokens.has(token)) throw new QueryFault('TokenAlreadyExistsException', `the token ${token} was used before`)
      if (form.get('UsePreviousTemplate') !== 'true')
        throw new QueryFault('ValidationError', 'Either Template URL or Template Body must be specified.')
      const given = [...form].filter(([key]) => key.startsWith('Capabilities.')).map(([, value]) => value)
      const lacks = stack.capabilities.filter((one) => !given.includes(one))
      if (lacks.length > 0)
        throw new QueryFault('InsufficientCapabilitiesException', `Requires capabilities : [${lacks}]`)
      const parameters: Record<string, string> = {}
      for (const { ParameterKey: key = '', ParameterValue, UsePreviousValue } of members(form, 'Parameters')) {
        if (!Object.hasOwn(stack.parameters, key))
          throw new QueryFault('ValidationError', `Parameters: [${key}] do not exist in the template`)
        parameters[key] = UsePreviousValue === 'true' ? stack.parameters[key]! : (ParameterValue ?? '')
      }
      const missing = Object.keys(stack.parameters).filter((key) => !Object.hasOwn(parameters, key))
      if (missing.length > 0) throw new QueryFault('ValidationError', `Parameters: [${missing}] must have values`)
      if (Object.entries(parameters).every(([key, value]) => stack.parameters[key] === value))
        throw new QueryFault('ValidationError', 'No updates are to be performed.')
      tokens.add(token)
      stack.StackStatus = 'UPDATE_IN_PROGRESS'
      stack.LastUpdatedTime = tick()
      stack.update = { parameters, looks: state.looks, token }
      note(stack, { token, resource: stack.StackName, status: 'UPDATE_IN_PROGRESS' })
      return { StackId: stack.StackId }
    },
  })

  const stale = new Map<string, { set: string; left: number }>()
  let before: { users: string; left: number } | null = null
  /** The colour that the parameter `Live` of any stack names, as soon as all have heard of it. */
  const usersAt = (): string => {
    const live = [...state.stacks.values()].find((one) => Object.hasOwn(one.parameters, 'Live'))?.parameters.Live ?? ''
    before ??= { users: live, left: state.lag }
    if (before.users !== live && before.left-- <= 0) before = { users: live, left: state.lag }
    return state.users ?? before.users
  }
  const service = createServer((request, reply) => {
    const [, asked = ''] = (request.url ?? '').split('/')
    const colour = asked === 'public' ? usersAt() : asked
    const name = `${colour[0]?.toUpperCase()}${colour.slice(1)}`
    const stack = [...state.stacks.values()].find((one) => Object.hasOwn(one.parameters, `${name}Version`))
    const copies = Number(stack?.parameters[`${name}Copies`] ?? 0)
    const set = `${stack?.parameters[`${name}Version`]} ${copies > 0}`
    const seen = stale.get(colour) ?? { set: '', left: 0 }
    if (seen.set !== set) stale.set(colour, { set, left: state.warmUp })
    else stale.set(colour, { set, left: Math.max(0, seen.left - 1) })
    const warm = stale.get(colour)!.left === 0
    if (copies === 0 || !warm) reply.writeHead(503).end('no healthy copies')
    else reply.writeHead(200).end(JSON.stringify({ commit: state.answers ?? set.split(' ')[0], built: 'yesterday' }))
    state.onVersion(asked)
  })
  service.listen(0, '127.0.0.1')
  await once(service, 'listening')
  const origin = `http://127.0.0.1:${(service.address() as AddressInfo).port}`

  return {
    ...server,
    state,
    url: (colour: string) => `${origin}/${colour}/version`,
    /** Puts a stack with these parameters there, as an update at `LastUpdatedTime` left it. */
    addStack(StackName: string, parameters: Record<string, string>) {
      state.stacks.set(StackName, {
        StackName,
        StackId: `arn:aws:cloudformation:us-east-1:123456789012:stack/${StackName}/0a1b`,
        StackStatus: 'UPDATE_COMPLETE',
        CreationTime: '2026-01-05T09:00:00.000Z',
        LastUpdatedTime: tick(),
        parameters: { ...parameters },
        capabilities: ['CAPABILITY_IAM'],
      })
      for (const name of ['Blue', 'Green'].filter((one) => Object.hasOwn(parameters, `${one}Version`)))
        stale.set(name.toLowerCase(), {
          set: `${parameters[`${name}Version`]} ${Number(parameters[`${name}Copies`]) > 0}`,
          left: 0,
        })
      return state.stacks.get(StackName)!
    },
    async close() {
      service.closeAllConnections()
      await Promise.all([server.close(), new Promise((done) => service.close(done))])
    },
  }
}
export type CloudFormation = Awaited<ReturnType<typeof startCloudFormation>>
