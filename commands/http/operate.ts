import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { defineChange, Refused } from '../../src/domain/command.ts'
import {
  type Data,
  hold,
  look,
  openOperation,
  send,
  sendInTime,
  slowed,
  survey,
  targetsOf,
  verifyAll,
} from './change.ts'
import { below } from './within.ts'

/** Each is a step of its own, so that it is known of each whether it landed. */
const MOST = 10

const Params = z.object({
  connection: z.string().describe('HTTP connection'),
  operation: z.string().describe('Name of the operation in the settings'),
  args: z.array(z.string()).default([]).describe('Its parameters, one name=value each'),
})

const stepOf = (id: string) => `change ${id}`

/** A configured change of the few things that the service lists now: one after the other, up to the first that fails. */
export const operate = defineChange<typeof Params, Data>({
  id: 'http.operate',
  summary: 'Run a configured operation of a web service on the few things it lists',
  effect: 'once',
  risk: 'medium',
  params: Params,

  async plan({ connection, operation: name, args }, ctx) {
    const { service, operation, list, values, items } = await survey(connection, name, args, ctx)
    if (items.length > MOST)
      throw new Refused(`${operation.list} holds ${items.length}, more than ${MOST}: that is for http.bulk.`)
    const { method } = operation.send
    const held = hold(operation, { connection, operation: name, values }, items, ctx.requestedAt)
    return {
      summary: `${operation.summary}: ${items.map((i) => i.id).join(', ')}`,
      targets: targetsOf(connection, list.noun, items),
      steps: held.map(({ id, path, body, key }) => ({
        id: stepOf(id),
        title: `${method} ${path}`.slice(0, 300),
        detail: [
          `${method} ${below(service.settings, path).href}`,
          ...(operation.keyHeader ? [`${operation.keyHeader}: ${key}`] : []),
          ...(body ? [body] : []),
        ].join('\n'),
      })),
      warnings: [],
      data: { connection, operation: name, values, items: held },
    }
  },

  async run({ data }, ctx) {
    const { service, operation } = await openOperation(data.connection, data.operation, ctx)
    for (const [index, item] of data.items.entries()) {
      await ctx.step(stepOf(item.id), () =>
        sendInTime(
          () => send(service, operation, item, ctx.signal),
          (waitMs) => {
            ctx.progress(index, data.items.length, slowed(waitMs))
            return pause(waitMs, undefined, { signal: ctx.signal })
          },
        ),
      )
      ctx.progress(index + 1, data.items.length)
    }
    return `${operation.summary}: ${data.items.map((i) => i.id).join(', ')}`
  },

  verify: ({ data }, ctx) => verifyAll(data, ctx),

  async probe({ data }, step, ctx) {
    const item = data.items.find(({ id }) => stepOf(id) === step)
    if (!item) return { landed: 'cannot_tell', detail: `The plan has no step ${step}.` }
    const { changed, open } = await look(data, [item], ctx)
    const landed = changed.length > 0 ? 'yes' : open.length > 0 ? 'no' : 'cannot_tell'
    const says = { yes: 'is changed', no: 'is not changed', cannot_tell: 'does not tell' }[landed]
    return { landed, detail: `${item.id} ${says}.` }
  },
})
