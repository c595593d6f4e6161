import { Fragment, createElement as h, type ReactNode } from 'react'
import { control, fieldId, isGroup, type Place } from './controls.ts'
import { icon } from './icons.ts'
import { type Json, objects, plain, string, type View } from './model.ts'
import { drawn, elementsOf, type Scene, textOf } from './rich.ts'

/** Where blocks stand: the prefix of the ids in them, and the view whose field errors they show. */
export interface Surface {
  prefix: string
  view?: View
}

/** The blocks of a message or view, in order; a block that cannot be shown says so in its place. */
export function blocksOf(blocks: Json[], surface: Surface, scene: Scene): ReactNode {
  return blocks.map((block, index) => {
    const id = string(block.block_id) || String(index)
    return h('div', { key: id, 'data-key': `block-${id}`, className: `block ${string(block.type)}` }, one(block, id))
  })

  function one(block: Json, id: string): ReactNode {
    const place: Place = { block: string(block.block_id), prefix: surface.prefix }
    const draw = OWN[string(block.type)]
    if (draw) return draw(block, place, scene, surface)
    if (LIBRARY.has(string(block.type))) return drawn(literal(block), scene)
    return h('p', { className: 'unknown' }, `The sandbox cannot show a block of type "${block.type}" (block ${id}).`)
  }
}

type Draw = (block: Json, place: Place, scene: Scene, surface: Surface) => ReactNode

/** What the library draws as Slack does. What it would parse as mrkdwn although Slack does not is made rich_text first. */
const LIBRARY = new Set(['rich_text', 'markdown', 'table', 'plan', 'task_card', 'card', 'carousel', 'image', 'video'])

const OWN: Record<string, Draw> = {
  header: (block, _, scene) => h('h3', null, textOf(block.text, scene)),
  divider: () => h('hr'),
  section: (block, place, scene) =>
    h(
      Fragment,
      null,
      h(
        'div',
        { className: 'body' },
        block.text ? textOf(block.text, scene) : null,
        block.fields
          ? h(
              'div',
              { className: 'fields' },
              objects(block.fields).map((field, key) => h('div', { key }, textOf(field, scene))),
            )
          : null,
      ),
      block.accessory ? h('div', { className: 'accessory' }, control(block.accessory as Json, place, scene)) : null,
    ),
  context: (block, place, scene) =>
    objects(block.elements).map((element, key) =>
      h('div', { key }, element.type === 'image' ? control(element, place, scene) : textOf(element, scene)),
    ),
  actions: (block, place, scene) =>
    objects(block.elements).map((element, key) => h(Fragment, { key }, control(element, place, scene))),
  context_actions: (block, place, scene) =>
    objects(block.elements).map((element, key) => h(Fragment, { key }, control(element, place, scene))),
  alert: (block, _, scene) => {
    const level = (['info', 'warning', 'error', 'success'] as const).find((one) => one === block.level) ?? 'default'
    return h(
      'div',
      { className: `alert-box ${level}`, role: 'status' },
      icon(level),
      h('div', null, textOf(block.text, scene)),
    )
  },
  data_table: (block, _, scene) =>
    h(
      Fragment,
      null,
      h('p', { className: 'caption' }, plain(block.caption)),
      drawn(literal({ ...block, type: 'table' }), scene),
    ),
  file: (block) => h('p', { className: 'unknown' }, `Remote file ${string(block.external_id)}`),
  container: (block, _, scene, surface) =>
    h(
      'details',
      { open: block.default_collapsed !== true },
      h('summary', null, textOf(block.title ?? block.rich_text_title, scene)),
      blocksOf(objects(block.child_blocks), surface, scene),
    ),
  input: (block, place, scene, { view }) => {
    const element = (block.element ?? {}) as Json
    const optional = block.optional === true
    const inside = { ...place, required: !optional, labelled: true, dispatches: block.dispatch_action === true }
    const id = fieldId(place, element)
    const label = [plain(block.label), optional ? h('small', { key: 'optional' }, ' (optional)') : null]
    const error = view?.errors?.[place.block]
    return h(
      isGroup(element) ? 'fieldset' : 'div',
      { className: 'input-block', 'data-input': place.block, 'data-required': optional ? undefined : '' },
      isGroup(element) ? h('legend', null, label) : h('label', { htmlFor: id }, label),
      control(element, inside, scene),
      h('p', { id: `${id}-error`, className: 'field-error', role: 'alert', 'data-error': place.block }, error ?? ''),
      block.hint ? h('p', { id: `${id}-hint`, className: 'hint' }, plain(block.hint)) : null,
    )
  },
}

/** The block with the cells of its tables as rich_text, which the library shows as they are. */
function literal(block: Json): Json {
  if (block.type !== 'table' || !Array.isArray(block.rows)) return block
  const cell = (value: Json) =>
    value.type === 'rich_text' ? value : { type: 'rich_text', elements: elementsOf({ ...value, type: 'raw_text' }) }
  return { ...block, rows: block.rows.map((row) => objects(row).map(cell)) }
}
