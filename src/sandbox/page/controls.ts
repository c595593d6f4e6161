import { createElement as h, type ReactNode } from 'react'
import { channelsOf, type Json, objects, peopleOf, plain, safeUrl, string } from './model.ts'
import { type Scene, textOf } from './rich.ts'

/** Where a control stands: its block, the prefix of its id, and how its input block labels and demands it. */
export interface Place {
  block: string
  prefix: string
  required?: boolean
  labelled?: boolean
  dispatches?: boolean
}

/**
 * An interactive element as a native control. The client script reads `data-*`: the element's type, action_id and
 * block_id on `[data-control]`, the option's JSON on `data-option`, the confirm object's JSON on `data-confirm`.
 */
export function control(element: Json, place: Place, scene: Scene): ReactNode {
  const type = string(element.type)
  const marks = {
    'data-control': type,
    'data-action': string(element.action_id),
    'data-block': place.block,
    'data-confirm': element.confirm ? JSON.stringify(element.confirm) : undefined,
    'data-dispatch': place.dispatches ? '' : undefined,
  }
  if (type === 'button') return button(element, marks, scene)
  if (type === 'overflow') return overflow(element, marks)
  if (type === 'image') return image(element)
  const id = fieldId(place, element)
  const name = place.labelled ? undefined : plain(element.placeholder) || string(element.action_id)
  const common = { id, 'aria-label': name, required: place.required, 'aria-describedby': `${id}-hint ${id}-error` }
  if (type in SINGLE) return select(element, optionsOf(element, scene), { ...marks, ...common })
  if (type in MULTIPLE) return choices('checkbox', element, optionsOf(element, scene), marks, id)
  if (type === 'checkboxes') return choices('checkbox', element, objects(element.options), marks, id)
  if (type === 'radio_buttons') return choices('radio', element, objects(element.options), marks, id)
  if (!(type in INPUT)) return h('p', { className: 'unknown' }, `The sandbox cannot show the element "${type}".`)
  const text = {
    ...marks,
    ...common,
    className: 'field',
    placeholder: plain(element.placeholder) || undefined,
    minLength: numeric(element.min_length),
    maxLength: numeric(element.max_length),
    autoFocus: element.focus_on_load === true || undefined,
  }
  if (element.multiline === true)
    return h('textarea', { ...text, rows: 4, defaultValue: string(element.initial_value), key: id })
  const initial =
    element.initial_value ?? element.initial_date ?? element.initial_time ?? local(element.initial_date_time)
  return h('input', {
    ...text,
    type: INPUT[type],
    defaultValue: string(initial),
    min: element.min_value as string | undefined,
    max: element.max_value as string | undefined,
    step: type === 'number_input' ? (element.is_decimal_allowed ? 'any' : '1') : undefined,
    inputMode: type === 'number_input' ? (element.is_decimal_allowed ? 'decimal' : 'numeric') : undefined,
    autoComplete: 'off',
    key: id,
  })
}

/** The id of the control of an element, which its label points at. */
export function fieldId(place: Place, element: Json): string {
  return `${place.prefix}-${place.block}-${string(element.action_id)}`.replace(/\s/g, '_')
}

/** Whether the control of an element is a group of boxes, which wants a legend and not a label. */
export function isGroup(element: Json): boolean {
  const type = string(element.type)
  return type in MULTIPLE || type === 'checkboxes' || type === 'radio_buttons'
}

const SINGLE = { static_select: 1, users_select: 1, channels_select: 1, conversations_select: 1 }
const MULTIPLE = {
  multi_static_select: 1,
  multi_users_select: 1,
  multi_channels_select: 1,
  multi_conversations_select: 1,
}
const INPUT: Record<string, string> = {
  plain_text_input: 'text',
  number_input: 'number',
  email_text_input: 'email',
  url_text_input: 'url',
  datepicker: 'date',
  timepicker: 'time',
  datetimepicker: 'datetime-local',
}

function button(element: Json, marks: object, scene: Scene): ReactNode {
  const style = element.style === 'primary' || element.style === 'danger' ? ` ${element.style}` : ''
  const url = safeUrl(string(element.url))
  const common = {
    ...marks,
    className: `btn${style}`,
    'data-value': typeof element.value === 'string' ? element.value : undefined,
    'aria-label': string(element.accessibility_label) || undefined,
  }
  const label = textOf(element.text, scene)
  if (url) return h('a', { ...common, href: url, target: '_blank', rel: 'noopener noreferrer' }, label)
  return h('button', { ...common, type: 'button' }, label)
}

function overflow(element: Json, marks: object): ReactNode {
  const items = objects(element.options).map((option, index) =>
    h(
      'button',
      { ...marks, key: index, type: 'button', role: 'menuitem', 'data-option': JSON.stringify(option) },
      plain(option.text),
    ),
  )
  return h(
    'details',
    { className: 'overflow' },
    h('summary', { className: 'btn', 'aria-label': 'More options' }, '⋯'),
    h('div', { role: 'menu' }, items),
  )
}

function image(element: Json): ReactNode {
  const url = safeUrl(string(element.image_url))
  return url ? h('img', { src: url, alt: string(element.alt_text), className: 'thumb' }) : null
}

function optionsOf(element: Json, scene: Scene): Json[] {
  const type = string(element.type)
  const named = (id: string, name: string) => ({ text: { type: 'plain_text', text: name }, value: id })
  if (type.includes('users')) return peopleOf(scene.state).map((user) => named(user.id, user.real_name || user.name))
  if (type.includes('channels') || type.includes('conversations'))
    return channelsOf(scene.state, scene.look.as).map((channel) => named(channel.id, `#${channel.name}`))
  return [...objects(element.options), ...objects(element.option_groups).flatMap((group) => objects(group.options))]
}

function initialsOf(element: Json): string[] {
  const many = [element.initial_options, element.initial_users, element.initial_channels, element.initial_conversations]
  const one = [element.initial_option, element.initial_user, element.initial_channel, element.initial_conversation]
  const all = [...many.flatMap((value) => (Array.isArray(value) ? value : [])), ...one]
  return all.map((value) => (typeof value === 'string' ? value : string((value as Json | undefined)?.value)))
}

function select(element: Json, options: Json[], attributes: object): ReactNode {
  const initial = initialsOf(element)
  const entry = (option: Json, index: number) =>
    h('option', { key: index, value: string(option.value), 'data-option': JSON.stringify(option) }, plain(option.text))
  const groups = objects(element.option_groups)
  const list = groups.length
    ? groups.map((group, index) =>
        h('optgroup', { key: index, label: plain(group.label) }, objects(group.options).map(entry)),
      )
    : options.map(entry)
  const none = h('option', { key: 'none', value: '' }, plain(element.placeholder) || 'Choose an option')
  const chosen = initial.find((value) => options.some((option) => option.value === value)) ?? ''
  return h('select', { ...attributes, className: 'field', defaultValue: chosen }, none, list)
}

function choices(type: 'checkbox' | 'radio', element: Json, options: Json[], marks: object, id: string): ReactNode {
  const initial = initialsOf(element)
  const rows = options.map((option, index) =>
    h(
      'label',
      { key: index },
      h('input', {
        type,
        name: id,
        value: string(option.value),
        'data-option': JSON.stringify(option),
        defaultChecked: initial.includes(string(option.value)),
      }),
      h('span', null, plain(option.text), option.description ? h('small', null, plain(option.description)) : null),
    ),
  )
  return h('div', { ...marks, id, className: 'choices', role: type === 'radio' ? 'radiogroup' : 'group' }, rows)
}

function numeric(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}

function local(seconds: unknown): string {
  if (typeof seconds !== 'number') return ''
  const at = new Date(seconds * 1000)
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}
