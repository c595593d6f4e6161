import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { maskSecrets, maskValue } from '../mask.ts'
import { cloudformation, serviceOf } from './connection.ts'
import { isBusy, sidesOf, stacksOf, trafficOf, updatedOf, versionAt } from './look.ts'

const SHOWN = 40

/** Shows what is deployed of a service: by stack and colour as set and as answered, where the users are, and what may be shown. */
export const cloudformationStack = defineRead({
  id: 'cloudformation.stack',
  summary: 'Show the stacks of a service, which version each colour has and answers, and which one the users get',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('CloudFormation connection'),
    service: z.string().describe('Service, as the connection names it'),
  }),
  async read({ connection, service: name }, ctx) {
    const { client, settings, environment } = await ctx.connect(cloudformation, connection)
    const service = serviceOf(settings, name)
    const stacks = await stacksOf(client.reads, service, ctx.signal)
    const sides = sidesOf(service, stacks)
    const rows: string[][] = []
    for (const side of sides) {
      const seen = side.capacity > 0 ? await versionAt(service, service.colours[side.colour]!.url, ctx.signal) : null
      const says = seen === null ? 'idle' : 'commit' in seen ? seen.commit : seen.fault
      rows.push([side.colour, side.stack, side.version, String(side.capacity), says])
    }
    const live = sides.filter((side) => side.capacity > 0)
    const busy = [...stacks.values()].filter(isBusy).map((stack) => `${stack.StackName} is ${stack.StackStatus}`)
    const shown = new Set([
      ...Object.values(service.colours).flatMap((colour) => [colour.version, colour.capacity]),
      ...(service.traffic ? [service.traffic.parameter] : []),
      ...service.show,
    ])
    const facts = [...stacks.values()].flatMap((stack) => {
      const { StackName = '', StackStatus, StackStatusReason, Parameters = [], Outputs = [] } = stack
      const values = [
        ...Parameters.map((p) => ({
          what: 'parameter',
          key: p.ParameterKey ?? '',
          value: p.ResolvedValue ?? p.ParameterValue,
        })),
        ...Outputs.map((o) => ({ what: 'output', key: o.OutputKey ?? '', value: o.OutputValue })),
      ]
      const hidden = values.filter(({ key }) => !shown.has(key))
      const state = [StackStatus, StackStatusReason && maskSecrets(StackStatusReason)].filter(Boolean).join(': ')
      return [
        [StackName, 'status', state],
        [StackName, 'last updated', updatedOf(stack)],
        ...values
          .filter(({ key }) => shown.has(key))
          .map(({ what, key, value }) => [StackName, `${what} ${key}`, maskValue(key, value ?? '')]),
        ...(hidden.length > 0 ? [[StackName, 'not shown', `${hidden.length} parameters and outputs`]] : []),
      ]
    })
    const users: string[] = []
    if (service.traffic) users.push(`The traffic is set to ${trafficOf(service, stacks) ?? 'neither colour'}`)
    if (service.publicUrl) {
      const seen = await versionAt(service, service.publicUrl, ctx.signal)
      users.push(`Users get ${'commit' in seen ? seen.commit : `no version: ${seen.fault}`}`)
    }
    if (users.length === 0)
      users.push('Which colour the users get is not known: the connection names no traffic and no publicUrl')
    return {
      summary: `${name} (${environment}, ${settings.region}) runs ${live.map((s) => `${s.version} on ${s.colour}`).join(' and ') || 'nowhere'}${busy.length > 0 ? `; a deploy is going on: ${busy.join(', ')}` : ''}.`,
      blocks: [
        { type: 'text', text: `${users.join('. ')}.` },
        { type: 'table', columns: ['Colour', 'Stack', 'Version set', 'Copies', 'Version answered'], rows, omitted: 0 },
        {
          type: 'table',
          columns: ['Stack', 'What', 'Value'],
          rows: facts.slice(0, SHOWN).map(([stack = '', what = '', value = '']) => [stack, what, value.slice(0, 200)]),
          omitted: Math.max(0, facts.length - SHOWN),
        },
      ],
    }
  },
})
