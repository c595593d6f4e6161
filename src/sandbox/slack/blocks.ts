import { accessory, action, feedback, IMAGE, input } from './elements.ts'
import {
  all,
  type Check,
  choice,
  type Field,
  list,
  plain,
  primitive,
  type Report,
  record,
  some,
  string,
  text,
  typed,
} from './schema.ts'
import type { Json } from './state.ts'
import { BLOCKS_OF, checkElements, type Surface } from './surfaces.ts'

/** What Slack answers to blocks or a view that it does not take. */
export interface Refusal {
  error: 'invalid_blocks' | 'msg_blocks_too_long' | 'invalid_attachments' | 'invalid_arguments'
  messages: string[]
}

const anything: Check = () => {}
const flag = { optional: primitive('boolean') }
const block = (fields: Record<string, Field>) => record({ block_id: { optional: string(255) }, ...fields })
const nested =
  (name: string): Check =>
  (value, pointer, report) =>
    typed(BLOCKS, [name])(value, pointer, report)
const richText = nested('rich_text')
const cell = typed({
  raw_text: record({ text: string(3000) }),
  raw_number: record({ value: primitive('number'), text: string(3000) }),
  rich_text: richText,
})
const mrkdwn = (max: number) => text(max, ['mrkdwn'], 0)

/**
 * The limits of each block type, from https://docs.slack.dev/reference/block-kit/blocks and the notes in
 * @slack/types 3.2; surfaces.ts says which of them may stand where. A block with any field that is not named here is refused, as Slack does.
 */
export const BLOCKS: Readonly<Record<string, Check>> = {
  actions: block({ elements: list(action, 25) }),
  alert: block({ text: text(200), level: { optional: choice('default', 'info', 'warning', 'error', 'success') } }),
  card: all(
    block({
      hero_image: { optional: nestedImage() },
      icon: { optional: nestedImage() },
      title: { optional: mrkdwn(150) },
      subtitle: { optional: mrkdwn(150) },
      body: { optional: mrkdwn(200) },
      actions: { optional: list(action, 5) },
    }),
    some('hero_image', 'title', 'actions', 'body'),
  ),
  carousel: block({ elements: list(nested('card'), 10) }),
  container: all(
    block({
      title: { optional: plain(150) },
      rich_text_title: { optional: richText },
      subtitle: { optional: text(150) },
      child_blocks: (value, pointer, report) => list(typed(BLOCKS, CHILDREN), 10)(value, pointer, report),
      width: { optional: choice('narrow', 'standard', 'wide', 'full') },
      icon: { optional: nestedImage() },
      is_collapsible: flag,
      default_collapsed: flag,
      has_header_divider: flag,
    }),
    some('title', 'rich_text_title'),
  ),
  context: block({
    elements: list(typed({ image: IMAGE, plain_text: text(3000), mrkdwn: text(3000) }), 10),
  }),
  context_actions: block({ elements: list(feedback, 5) }),
  data_table: block({
    rows: list(list(cell, 20), 101, 2),
    caption: string(3000, 1),
    page_size: { optional: primitive('number') },
    row_header_column_index: { optional: primitive('number') },
  }),
  divider: block({}),
  file: block({ source: choice('remote'), external_id: string(255, 1) }),
  header: block({ text: plain(150), level: { optional: primitive('number') } }),
  image: all(
    block({
      image_url: { optional: string(3000, 1) },
      slack_file: { optional: anything },
      alt_text: string(2000),
      title: { optional: plain(2000) },
    }),
    some('image_url', 'slack_file'),
  ),
  input: block({
    label: plain(2000),
    hint: { optional: plain(2000) },
    optional: flag,
    element: input,
    dispatch_action: flag,
  }),
  markdown: block({ text: string(12_000, 1) }),
  plan: block({ title: string(3000, 1), tasks: { optional: list(nested('task_card'), 50, 0) } }),
  rich_text: block({ elements: list(richElement(), 1000, 0) }),
  section: all(
    block({
      text: { optional: text(3000) },
      fields: { optional: list(text(2000), 10) },
      accessory: { optional: accessory },
      expand: flag,
    }),
    some('text', 'fields'),
  ),
  table: block({
    rows: list(list(cell, 20), 100),
    column_settings: {
      optional: list(record({ align: { optional: choice('left', 'center', 'right') }, is_wrapped: flag }), 20, 0),
    },
  }),
  task_card: block({
    task_id: string(255, 1),
    title: string(3000, 1),
    details: { optional: richText },
    output: { optional: richText },
    sources: { optional: list(typed({ url: record({ url: string(3000, 1), text: string(3000, 1) }) }), 50, 0) },
    status: choice('pending', 'in_progress', 'complete', 'error'),
  }),
  video: block({
    video_url: string(3000, 1),
    thumbnail_url: string(3000, 1),
    alt_text: string(2000),
    title: plain(199),
    title_url: { optional: string(3000) },
    author_name: { optional: string(49) },
    provider_name: { optional: string(3000) },
    provider_icon_url: { optional: string(3000) },
    description: { optional: plain(200) },
  }),
}

const CHILDREN = 'actions context divider file header image input rich_text section table video'.split(' ')

function nestedImage(): Check {
  return typed({ image: IMAGE })
}

function richElement(): Check {
  const leaf = anything
  const section = record({ elements: list(leaf, 1000, 0) })
  const quoted = record({
    elements: list(leaf, 1000, 0),
    border: { optional: primitive('number') },
    language: { optional: string(255) },
  })
  return typed({
    rich_text_section: section,
    rich_text_quote: quoted,
    rich_text_preformatted: quoted,
    rich_text_list: record({
      elements: list(typed({ rich_text_section: section }), 1000),
      style: choice('bullet', 'ordered'),
      indent: { optional: primitive('number') },
      offset: { optional: primitive('number') },
      border: { optional: primitive('number') },
    }),
  })
}

/** Ids that Slack wants unique: `block_id` in the whole payload, `action_id` within its block. */
function checkUnique(blocks: readonly unknown[], pointer: string, report: Report): void {
  const blockIds = new Set<string>()
  blocks.forEach((one, index) => {
    const actionIds = new Set<string>()
    const walk = (node: unknown, where: string): void => {
      if (typeof node !== 'object' || node === null) return
      const { block_id, action_id } = node as Json
      for (const [id, seen, name] of [
        [block_id, blockIds, 'block_id'],
        [action_id, actionIds, 'action_id'],
      ] as const) {
        if (typeof id !== 'string') continue
        if (seen.has(id)) report(`\`${name}\` "${id}" already exists`, `${where}/${name}`)
        seen.add(id)
      }
      for (const [key, value] of Object.entries(node)) walk(value, `${where}/${key}`)
    }
    walk(one, `${pointer}/${index}`)
  })
}

const count = (node: unknown, type: string): number =>
  typeof node !== 'object' || node === null
    ? 0
    : Object.values(node).reduce((sum, value) => sum + count(value, type), (node as Json).type === type ? 1 : 0)

/** The characters of every `text` string, however deep. */
const characters = (node: unknown): number =>
  typeof node !== 'object' || node === null
    ? 0
    : Object.entries(node).reduce(
        (sum, [key, value]) => sum + (key === 'text' && typeof value === 'string' ? value.length : characters(value)),
        0,
      )

function collect(run: (report: Report) => void): string[] {
  const messages: string[] = []
  run((message, pointer) => void messages.push(`[ERROR] ${message} [json-pointer:${pointer}]`))
  return messages
}

/**
 * What Slack has against these blocks of a message, or null. Beyond each block: 50 blocks, one table, 12,000
 * characters of markdown in sum, and an undocumented cap on all text, measured by users at 13,297 characters less
 * some 60 a block (slackapi/bolt-js#2509 and #2867).
 */
export function refuseBlocks(blocks: readonly unknown[]): Refusal | null {
  const messages = collect((report) => {
    list(typed(BLOCKS, BLOCKS_OF.message), 50, 0)(blocks, '/blocks', report)
    checkElements(blocks, 'message', '/blocks', report)
    checkUnique(blocks, '/blocks', report)
  })
  if (messages.length > 0) return { error: 'invalid_blocks', messages }
  if (count(blocks, 'table') > 1) return { error: 'invalid_attachments', messages: ['[ERROR] only_one_table_allowed'] }
  const cells = blocks.filter((one) => ['table', 'data_table'].includes(String((one as Json).type)))
  if (characters(cells) > 10_000)
    return {
      error: 'invalid_blocks',
      messages: ['[ERROR] tables hold at most 10000 characters [json-pointer:/blocks]'],
    }
  const markdown = blocks.filter((one) => (one as Json).type === 'markdown')
  if (characters(markdown) > 12_000 || characters(blocks) + 60 * blocks.length > 13_297 + 60)
    return { error: 'msg_blocks_too_long', messages: [] }
  return null
}

/** What Slack has against a view, or null: title and buttons 24 characters, 100 blocks, 250 kB in all. */
export function refuseView(view: unknown): Refusal | null {
  const common = (surface: Surface) => ({
    blocks: list(typed(BLOCKS, BLOCKS_OF[surface]), 100, 0),
    private_metadata: { optional: string(3000) },
    callback_id: { optional: string(255) },
    external_id: { optional: string(255) },
  })
  const modal = record({
    ...common('modal'),
    title: plain(24),
    submit: { optional: plain(24) },
    close: { optional: plain(24) },
    clear_on_close: flag,
    notify_on_close: flag,
    submit_disabled: flag,
  })
  const messages = collect((report) => {
    typed({ modal, home: record(common('home')) })(view, '/view', report)
    const { type, blocks, submit } = (view ?? {}) as Json
    if (!Array.isArray(blocks)) return
    checkElements(blocks, type === 'home' ? 'home' : 'modal', '/view/blocks', report)
    checkUnique(blocks, '/view/blocks', report)
    if (type === 'modal' && !submit && count(blocks, 'input') > 0) report('missing required field: submit', '/view')
  })
  return messages.length > 0 ? { error: 'invalid_arguments', messages } : null
}

/** Blocks as Slack gives them back: ids for those without, and the defaults of text objects spelt out. */
export function storeBlocks(blocks: readonly Json[], newId: () => string): Json[] {
  const fill = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(fill)
    if (typeof node !== 'object' || node === null) return node
    const filled = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, fill(value)]))
    if (filled.type === 'plain_text') return { emoji: true, ...filled }
    if (filled.type === 'mrkdwn') return { verbatim: false, ...filled }
    if (typeof filled.type === 'string' && filled.type in INTERACTIVE) return { action_id: newId(), ...filled }
    if (typeof filled.type === 'string' && filled.type in BLOCKS && !('alt_text' in filled && !('title' in filled)))
      return { block_id: newId(), ...filled }
    return filled
  }
  return blocks.map((one) => {
    const filled = fill(one) as Json
    return { ...filled, block_id: filled.block_id ?? newId() }
  })
}

const INTERACTIVE: Readonly<Record<string, true>> = Object.fromEntries(
  'button overflow static_select checkboxes radio_buttons datepicker timepicker plain_text_input users_select'
    .split(' ')
    .map((type) => [type, true]),
)
