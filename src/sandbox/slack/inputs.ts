import type { Json } from './state.ts'

/** An element found in blocks, with the block that holds it. */
export interface Found {
  element: Json
  block: Json
}

type Values = Record<string, Record<string, Json>>

/** Every element with an action_id, at any depth of containers. */
export function elementsOf(blocks: readonly Json[]): Found[] {
  return blocks.flatMap((block) => {
    const nested = [block.child_blocks, block.type === 'carousel' ? block.elements : []]
    const own = [block.elements, block.actions].flat()
    const elements = [...own, block.accessory, block.element].filter(
      (one): one is Json => typeof one === 'object' && one !== null && typeof (one as Json).action_id === 'string',
    )
    const inner = nested.flat().filter((one): one is Json => typeof one === 'object' && one !== null)
    return [...elements.map((element) => ({ element, block })), ...elementsOf(inner)]
  })
}

const CHOSEN: Readonly<Record<string, string>> = {
  static_select: 'selected_option',
  external_select: 'selected_option',
  radio_buttons: 'selected_option',
  overflow: 'selected_option',
  checkboxes: 'selected_options',
  multi_static_select: 'selected_options',
  multi_external_select: 'selected_options',
  users_select: 'selected_user',
  multi_users_select: 'selected_users',
  conversations_select: 'selected_conversation',
  multi_conversations_select: 'selected_conversations',
  channels_select: 'selected_channel',
  multi_channels_select: 'selected_channels',
  datepicker: 'selected_date',
  timepicker: 'selected_time',
  datetimepicker: 'selected_date_time',
  rich_text_input: 'rich_text_value',
  plain_text_input: 'value',
  email_text_input: 'value',
  url_text_input: 'value',
  number_input: 'value',
}

/** The field of an element's state that holds what was chosen or typed; undefined for buttons. */
export const stateField = (element: Json): string | undefined => CHOSEN[String(element.type)]

const initialOf = (element: Json, field: string): unknown =>
  element[field.replace('selected', 'initial')] ??
  element.initial_value ??
  (field.endsWith('options') || field.endsWith('users') ? [] : null)

/** `state.values` as Slack sends it: for each stateful element what was entered, else its initial value, else null. */
export function stateValues(blocks: readonly Json[], entered: Values): Values {
  const values: Values = {}
  for (const { element, block } of elementsOf(blocks)) {
    const field = stateField(element)
    if (!field || element.type === 'overflow') continue
    const [blockId, actionId] = [String(block.block_id), String(element.action_id)]
    const given = entered[blockId]?.[actionId]
    const value = given?.[field] === '' ? null : (given?.[field] ?? initialOf(element, field))
    values[blockId] = { ...values[blockId], [actionId]: { type: element.type, [field]: value } }
  }
  return values
}

/** The options of an element, those in groups among them. */
const optionsOf = (element: Json): Json[] =>
  [element.options, ...((element.option_groups as Json[] | undefined) ?? []).map((group) => group.options)]
    .flat()
    .filter((one): one is Json => typeof one === 'object' && one !== null)

/** The option of the element with that value. Throws if it has none: nobody could have chosen it. */
export function optionOf(element: Json, value: unknown): Json {
  const found = optionsOf(element).find((option) => option.value === value)
  if (!found) throw new Error(`${element.type} ${element.action_id} has no option ${JSON.stringify(value)}`)
  return found
}

/** What Slack's own client refuses before it sends a modal: empty required fields, text too short or too long. */
export function inputErrors(blocks: readonly Json[], values: Values): Record<string, string> {
  const errors: Record<string, string> = {}
  for (const { element, block } of elementsOf(blocks)) {
    const field = stateField(element)
    if (block.type !== 'input' || !field) continue
    const blockId = String(block.block_id)
    const value = values[blockId]?.[String(element.action_id)]?.[field]
    const empty = value === null || value === undefined || (Array.isArray(value) && value.length === 0)
    if (empty && block.optional !== true) errors[blockId] = 'Please complete this required field.'
    if (typeof value !== 'string') continue
    if (value.length > Number(element.max_length ?? 3000))
      errors[blockId] = `This entry has to be ${element.max_length ?? 3000} characters or fewer.`
    if (value.length < Number(element.min_length ?? 0))
      errors[blockId] = `This entry has to be ${element.min_length} characters or more.`
    if (element.type === 'number_input' && !/^-?\d+(\.\d+)?$/.test(value)) errors[blockId] = 'Enter a number.'
  }
  return errors
}
