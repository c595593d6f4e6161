import { z } from 'zod'
import { type Refusal, refuseBlocks, refuseView } from '../blocks.ts'
import { fromJson, type Method, method, SlackError } from './method.ts'

const Message = z.looseObject({ blocks: z.array(z.unknown()).default([]) })
const List = z.array(z.unknown())

/** `[ERROR] what [json-pointer:/blocks/0]` as blocks.validate says it. */
const issueOf = (line: string) => {
  const [, message, pointer] = /^\[ERROR\] (.*?)(?: \[json-pointer:(.*)\])?$/s.exec(line) ?? []
  return { pointer: pointer ?? '', code: 'failed_constraint', message: message ?? line }
}

/** Whether Slack would take blocks, a message, or a view: https://docs.slack.dev/reference/methods/blocks.validate */
export const blocks: Record<string, Method> = {
  'blocks.validate': method({
    tier: 'unlimited',
    args: z.object({
      blocks: z.unknown().optional(),
      message: z.unknown().optional(),
      view: z.unknown().optional(),
    }),
    call(args) {
      const given = (['blocks', 'message', 'view'] as const).filter((name) => args[name] !== undefined)
      const [kind] = given
      if (!kind || given.length > 1) throw new SlackError('invalid_arguments')
      const payload = fromJson(args[kind], 'invalid_arguments')
      const parsed =
        kind === 'message' ? Message.safeParse(payload) : kind === 'blocks' ? List.safeParse(payload) : null
      if (parsed && !parsed.success) throw new SlackError('invalid_arguments')
      const refusal: Refusal | null =
        kind === 'view'
          ? refuseView(payload)
          : refuseBlocks(kind === 'message' ? Message.parse(payload).blocks : List.parse(payload))
      if (refusal) throw new SlackError(`invalid_${kind}`, { errors: refusal.messages.map(issueOf) })
      return {}
    },
  }),
}
