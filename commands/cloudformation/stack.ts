import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { cloudformation, serviceOf } from './connection.ts'
import { isBusy, sidesOf, stacksOf, updatedOf, versionAt } from './look.ts'

const SHOWN = 40

/** Shows what is deployed of a service: by stack and colour as set and as answered, with parameters and outputs. */
export const cloudformationStack = defineRead({
  id: 'cloudformation.stack',
  summary: 'Show the stacks of a service, and which version each colour has and answers',
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
    const facts = [...stacks.values()].flatMap((stack) => [
      [stack.StackName ?? '', 'status', [stack.StackStatus, stack.StackStatusReason].filter(Boolean).join(': ')],
      [stack.StackName ?? '', 'last updated', updatedOf(stack)],
      ...(stack.Parameters ?? []).map((p) => [
        stack.StackName ?? '',
        `parameter ${p.ParameterKey}`,
        p.ResolvedValue ?? p.ParameterValue ?? '',
      ]),
      ...(stack.Outputs ?? []).map((o) => [stack.StackName ?? '', `output ${o.OutputKey}`, o.OutputValue ?? '']),
    ])
    return {
      summary: `${name} (${environment}, ${settings.region}) runs ${live.map((s) => `${s.version} on ${s.colour}`).join(' and ') || 'nowhere'}${busy.length > 0 ? `; a deploy is going on: ${busy.join(', ')}` : ''}.`,
      blocks: [
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
