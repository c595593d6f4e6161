import { z } from 'zod'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { digest } from '../../src/domain/plan.ts'
import { narrowed } from '../aws/narrow.ts'
import { github } from '../github/connection.ts'
import { refuseUnlessGreen } from '../github/verdict.ts'
import { rest, waiting } from '../settle.ts'
import { chooseColours, type RollBack, refuseUnlessReady, untilHealthy } from './colours.ts'
import { type Colour, cloudformation, serviceOf } from './connection.ts'
import {
  fingerprintOf,
  isBusy,
  readAnew,
  rightsOf,
  type Side,
  sidesOf,
  stacksOf,
  trafficOf,
  updatedOf,
  versionAt,
} from './look.ts'
import { updating } from './rights.ts'
import { holds, probeUpdate, sendUpdate, type Update, untilUpdated } from './update.ts'

/** The states from which CloudFormation takes an update. */
const UPDATABLE = new Set([
  'CREATE_COMPLETE',
  'UPDATE_COMPLETE',
  'UPDATE_ROLLBACK_COMPLETE',
  'IMPORT_COMPLETE',
  'IMPORT_ROLLBACK_COMPLETE',
])

/**
 * Puts a commit with green checks on the idle colour, waits until its version endpoint answers that commit several times
 * in a row, moves the users there, and only when they get that commit takes the other colour to 0. Where nothing tells what
 * the users get, both colours go on.
 */
export const rollBack = defineChange({
  id: 'cloudformation.roll-back',
  summary: 'Roll a blue/green service back to a commit with green checks',
  effect: 'once',
  risk: 'high',
  runMinutes: 180,
  params: z.object({
    connection: z.string().describe('CloudFormation connection'),
    service: z.string().describe('Service, as the connection names it'),
    commit: z
      .string()
      .regex(/^(idle|[0-9a-f]{40})$/, 'a full commit id, 40 hex digits in small letters, or "idle"')
      .describe('Full commit id, or "idle" for the one that the idle colour has'),
  }),
  async plan({ connection, service: name, commit: wanted }, ctx) {
    const { client, settings, environment } = await ctx.connect(cloudformation, connection)
    const service = serviceOf(settings, name)
    const stacks = await stacksOf(client.reads, service, ctx.signal)
    const busy = [...stacks.values()].find(isBusy)
    if (busy)
      throw new Refused(
        `A deploy of "${busy.StackName}" is going on (${busy.StackStatus ?? 'in a state that is not told'}). Wait until it is over.`,
      )
    const broken = [...stacks.values()].find((stack) => !UPDATABLE.has(stack.StackStatus ?? ''))
    if (broken)
      throw new Refused(
        `"${broken.StackName}" is ${broken.StackStatus}: CloudFormation takes no update before that is mended.`,
      )
    const { to, from, commit } = chooseColours(name, sidesOf(service, stacks), wanted)
    const ci = await ctx.connect(github, settings.checks)
    await refuseUnlessGreen(ci.client, ci.settings, service.repository, commit, ctx.signal)
    const at = (side: Side): Colour => service.colours[side.colour]!
    const asked = { incident: ctx.origin.incident, at: ctx.requestedAt.toISOString() }
    const tokens = digest({ connection, name, commit, ...asked }).slice(7, 39)
    const update = (step: string, { stack }: { stack: string }, set: Record<string, string>): Update => ({
      stack,
      set,
      token: `keyturn-${step}-${tokens}`,
      asked: ctx.requestedAt.toISOString(),
      role: settings.stackRoleArn ?? null,
    })
    // Never fewer copies than bear the load now.
    const copies = String(Math.max(to.capacity, from.capacity))
    const wants = { [at(to).version]: commit, [at(to).capacity]: copies }
    const ready = holds(stacks.get(to.stack)!, { set: wants })
    const deploy = ready ? null : update('deploy', to, wants)
    const { traffic: switched, publicUrl } = service
    const users = trafficOf(service, stacks)
    if (switched && users === null)
      throw new Refused(
        `${switched.parameter} of "${switched.stack}" names neither colour of ${name}: who the users get is not known. Correct "traffic" of the connection.`,
      )
    const traffic =
      switched && users !== to.colour
        ? update('traffic', switched, { [switched.parameter]: switched.values[to.colour]! })
        : null
    // Whoever does not know where the users are takes nothing away from them.
    const drain = switched || publicUrl ? update('drain', from, { [at(from).capacity]: '0' }) : null
    if (!drain && !deploy)
      throw new Refused(
        `${to.colour} of ${name} runs ${commit} already. What the users get is not known: the connection names no "traffic" and no "publicUrl". Move them by hand, then take ${from.colour} to 0.`,
      )
    const anew = [...stacks.values()].flatMap((stack) =>
      readAnew(stack).map(({ key }) => `${key} of ${stack.StackName}`),
    )
    const call = ({ stack, set, token }: Update) =>
      `UpdateStack ${stack} ${Object.entries(set)
        .map(([key, value]) => `${key}=${value}`)
        .join(' ')} ClientRequestToken=${token}`
    return {
      summary: `Roll ${name} back from ${from.version} (${from.colour}) to ${commit} (${to.colour})`,
      targets: [...stacks.values()].map((stack) => ({
        id: `cloudformation:${connection}/${stack.StackName}`,
        name: stack.StackName ?? '',
        fingerprint: fingerprintOf(stack),
        details: {
          Stack: stack.StackId ?? '',
          Environment: environment,
          Region: settings.region,
          Status: stack.StackStatus ?? '',
          'Last updated': updatedOf(stack),
          ...Object.fromEntries(
            [from, to]
              .filter((side) => side.stack === stack.StackName)
              .map((side) => [side.colour, `${side.version || 'no version'}, ${side.capacity} copies`]),
          ),
          ...(switched?.stack === stack.StackName ? { Traffic: `set to ${users}` } : {}),
          'Changed with': rightsOf(stack, settings.stackRoleArn),
          Checks: `those of ${commit} are green`,
        },
      })),
      steps: [
        ...(deploy
          ? [
              { id: 'deploy', title: `Set ${to.colour} to ${commit}, ${copies} copies`, detail: call(deploy) },
              { id: 'deployed', title: `Wait until ${to.stack} is updated`, detail: `DescribeStacks ${to.stack}` },
            ]
          : []),
        {
          id: 'healthy',
          title: `Wait until ${to.colour} answers that commit ${service.healthyAnswers} times in a row`,
          detail: `GET ${at(to).url}, for at most ${service.healthyMinutes} minutes`,
        },
        ...(traffic
          ? [
              { id: 'traffic', title: `Move the users to ${to.colour}`, detail: call(traffic) },
              {
                id: 'moved',
                title: `Wait until ${traffic.stack} is updated`,
                detail: `DescribeStacks ${traffic.stack}, then ${switched?.waitSeconds ?? 0} s`,
              },
            ]
          : []),
        ...(publicUrl
          ? [
              {
                id: 'public',
                title: `Wait until users get that commit ${service.healthyAnswers} times in a row`,
                detail: `GET ${publicUrl}, for at most ${service.healthyMinutes} minutes`,
              },
            ]
          : []),
        ...(drain
          ? [
              { id: 'drain', title: `Take ${from.colour} to 0 copies`, detail: call(drain) },
              { id: 'drained', title: `Wait until ${from.stack} is updated`, detail: `DescribeStacks ${from.stack}` },
            ]
          : []),
      ],
      warnings: [
        'Data that the newer version wrote stays, and so does what it changed in the schema: make sure that the older one can work with it.',
        ...(drain
          ? []
          : [
              `${from.colour} goes on, and users may still get ${from.version}: the connection names no "traffic" and no "publicUrl" of ${name}. Move them by hand.`,
            ]),
        ...(anew.length > 0
          ? [
              `Systems Manager holds ${anew.join(', ')}: each update takes the value that it has by then, shown here or not.`,
            ]
          : []),
      ],
      data: {
        connection,
        service: name,
        commit,
        to: to.colour,
        from: from.colour,
        bad: from.version,
        deploy,
        traffic,
        drain,
        held: [...new Set([...stacks.values()].flatMap((stack) => readAnew(stack).map((one) => one.held)))].sort(),
      } satisfies RollBack,
    }
  },

  async run({ data, targets }, given) {
    const ctx = await narrowed(given, cloudformation, data.connection, (own, { services }) =>
      updating(own, services[data.service], data),
    )
    const { client, settings } = await ctx.connect(cloudformation, data.connection)
    const service = serviceOf(settings, data.service)
    const { deploy, traffic, drain } = data
    const wait = (update: Update) => {
      const look = { everySeconds: settings.pollSeconds, note: (note: string) => ctx.progress(0, 1, note) }
      return untilUpdated(client.reads, update, look, ctx.signal)
    }
    if (deploy) {
      await ctx.step('deploy', async () => {
        const stacks = await stacksOf(client.reads, service, ctx.signal)
        const moved = targets.find((target) => fingerprintOf(stacks.get(target.name)!) !== target.fingerprint)
        if (moved) throw new Refused(`The stack "${moved.name}" is no longer as it was shown. Make the plan again.`)
        await sendUpdate(client.writes, stacks.get(deploy.stack)!, deploy, ctx.signal)
        return null
      })
      await ctx.step('deployed', () => wait(deploy))
    }
    const healthy = (what: string, url: string, hint = '') =>
      waiting(ctx.signal, () => untilHealthy(data, service, { what, url, hint }, settings.pollSeconds, ctx))
    await ctx.step('healthy', () => healthy(data.to, service.colours[data.to]!.url))
    if (traffic) {
      await ctx.step('traffic', async () => {
        const stacks = await stacksOf(client.reads, service, ctx.signal)
        const busy = [...stacks.values()].find(isBusy)
        if (busy) throw new Refused(`Another deploy of "${busy.StackName}" has begun. Both colours were left running.`)
        if (holds(stacks.get(traffic.stack)!, traffic)) return null
        if (trafficOf(service, stacks) !== data.from)
          throw new Refused(`The traffic was moved by somebody else meanwhile. Both colours were left running.`)
        await sendUpdate(client.writes, stacks.get(traffic.stack)!, traffic, ctx.signal)
        return null
      })
      await ctx.step('moved', async () => {
        await wait(traffic)
        await waiting(ctx.signal, () => rest(service.traffic?.waitSeconds ?? 0, ctx.signal))
        return null
      })
    }
    const { publicUrl } = service
    const back = service.traffic
      ? `. The traffic is set to ${data.to}; to move it back set ${service.traffic.parameter}=${service.traffic.values[data.from]} in "${service.traffic.stack}"`
      : ''
    if (publicUrl && drain) await ctx.step('public', () => healthy('what users get', publicUrl, back))
    if (!drain)
      return `${data.service} runs ${data.commit} on ${data.to}; ${data.from} runs as well. Move the users by hand.`
    await ctx.step('drain', async () => {
      const stacks = await stacksOf(client.reads, service, ctx.signal)
      await refuseUnlessReady(data, service, stacks, ctx)
      await sendUpdate(client.writes, stacks.get(drain.stack)!, drain, ctx.signal)
      return null
    })
    await ctx.step('drained', () => wait(drain))
    return `${data.service} runs ${data.commit} on ${data.to}; ${data.from} has 0 copies.`
  },

  async verify({ data }, ctx) {
    const { client, settings } = await ctx.connect(cloudformation, data.connection)
    const service = serviceOf(settings, data.service)
    const stacks = await stacksOf(client.reads, service, ctx.signal)
    const answers = async (title: string, url: string) => {
      const seen = await versionAt(service, url, ctx.signal)
      const ok = 'commit' in seen && seen.commit === data.commit
      return { title, ok, detail: 'commit' in seen ? seen.commit : seen.fault }
    }
    const left = sidesOf(service, stacks).find((side) => side.colour === data.from)
    const users = trafficOf(service, stacks)
    return [
      await answers(`${data.to} answers the commit`, service.colours[data.to]!.url),
      ...(service.traffic
        ? [{ title: `The traffic is set to ${data.to}`, ok: users === data.to, detail: users ?? 'neither colour' }]
        : []),
      ...(service.publicUrl ? [await answers('Users get the commit', service.publicUrl)] : []),
      data.drain
        ? { title: `${data.from} has no copies`, ok: left?.capacity === 0, detail: `${left?.capacity} copies` }
        : { title: 'Users were moved', ok: false, detail: 'not known: move them by hand' },
    ]
  },

  async probe({ data }, step, ctx) {
    const { client, settings } = await ctx.connect(cloudformation, data.connection)
    const service = serviceOf(settings, data.service)
    const update = step.startsWith('deploy')
      ? data.deploy
      : step.startsWith('drain')
        ? data.drain
        : ['traffic', 'moved'].includes(step)
          ? data.traffic
          : null
    if (step === 'healthy' || step === 'public') {
      const url = step === 'public' ? service.publicUrl : service.colours[data.to]!.url
      const seen = await versionAt(service, url ?? '', ctx.signal)
      const detail = `${step === 'public' ? 'what users get' : data.to} ${'commit' in seen ? `answers ${seen.commit}` : seen.fault}`
      // One answer is not several in a row: a resumed run waits for them again.
      return { landed: 'no', detail }
    }
    if (!update) return { landed: 'cannot_tell', detail: `The plan has no step ${step}.` }
    if (['deploy', 'traffic', 'drain'].includes(step)) return probeUpdate(client.reads, update, ctx.signal)
    const stack = (await stacksOf(client.reads, service, ctx.signal)).get(update.stack)!
    const done = !isBusy(stack) && holds(stack, update)
    return { landed: done ? 'yes' : 'no', detail: `"${update.stack}" is ${stack.StackStatus}` }
  },
})
