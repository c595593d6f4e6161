import { z } from 'zod'
import { refuseBlocks, storeBlocks } from '../blocks.ts'
import { type Content, type Json, slackId } from '../state.ts'
import { flag, fromJson, objectsFromJson, SlackError } from './method.ts'

/** The arguments that make up a message, the same in posting, updating and answering a response_url. */
export const ContentArgs = z.object({
  text: z.string().optional(),
  blocks: z.unknown().optional(),
  attachments: z.unknown().optional(),
  metadata: z.unknown().optional(),
  link_names: flag.optional(),
  parse: z.string().optional(),
})

const Metadata = z.object({ event_type: z.string().min(1), event_payload: z.record(z.string(), z.unknown()) })
const TEXT_LIMIT = 40_000

/** What was sent, checked against Slack's limits and made ready to store; fields that were not sent are undefined. */
export function parseContent(args: z.output<typeof ContentArgs>): Partial<Content> & { warnings: Json } {
  const blocks = objectsFromJson(args.blocks, 'invalid_blocks_format')
  const attachments = objectsFromJson(args.attachments, 'invalid_attachments')
  const rawMetadata = fromJson(args.metadata, 'invalid_metadata_format')
  const metadata = rawMetadata === undefined ? undefined : Metadata.safeParse(rawMetadata)
  if (metadata && !metadata.success) throw new SlackError('invalid_metadata_format')
  if (metadata && JSON.stringify(metadata.data).length > 16_384) throw new SlackError('metadata_too_large')
  if (attachments && attachments.length > 100) throw new SlackError('too_many_attachments')
  const nested = (attachments ?? []).map((attachment) => (Array.isArray(attachment.blocks) ? attachment.blocks : []))
  for (const list of [blocks ?? [], ...nested]) {
    const refusal = refuseBlocks(list)
    if (!refusal) continue
    const errors = refusal.messages.map((message) => message.replace('[ERROR] ', ''))
    throw new SlackError(refusal.error, { errors, response_metadata: { messages: refusal.messages } })
  }
  const truncated = (args.text?.length ?? 0) > TEXT_LIMIT
  return {
    text: args.text?.slice(0, TEXT_LIMIT),
    blocks: blocks && storeBlocks(blocks, () => slackId('').slice(0, 5)),
    attachments: attachments?.map((attachment, index) => ({ id: index + 1, ...attachment })),
    metadata: metadata?.data,
    linkNames: args.link_names || args.parse === 'full',
    warnings: truncated
      ? {
          warning: 'message_truncated',
          response_metadata: {
            warnings: ['message_truncated'],
            messages: ['[WARN] Your message was truncated but still posted'],
          },
        }
      : {},
  }
}

/** Slack's fallback for a message that has blocks or attachments only. */
export const NO_FALLBACK = "This content can't be displayed."
