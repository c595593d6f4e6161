/** How the value of each kind of element is called in Slack's `view.state.values`. */
const FIELD = {
  datepicker: 'selected_date',
  timepicker: 'selected_time',
  datetimepicker: 'selected_date_time',
  static_select: 'selected_option',
  radio_buttons: 'selected_option',
  overflow: 'selected_option',
  users_select: 'selected_user',
  channels_select: 'selected_channel',
  conversations_select: 'selected_conversation',
  checkboxes: 'selected_options',
  multi_static_select: 'selected_options',
  multi_users_select: 'selected_users',
  multi_channels_select: 'selected_channels',
  multi_conversations_select: 'selected_conversations',
}

/** @param {Element | undefined} node */
const optionOf = (node) =>
  node?.getAttribute('data-option') ? JSON.parse(node.getAttribute('data-option') ?? '') : null

/**
 * The value of a control as Slack would send it: `{ value }`, `{ selected_option }`, `{ selected_date }`, …
 * @param {HTMLElement} control an element with `data-control`
 * @returns {Record<string, unknown>}
 */
export function entryOf(control) {
  const type = control.dataset.control ?? ''
  if (type === 'button') return { value: control.dataset.value }
  const field = FIELD[/** @type {keyof typeof FIELD} */ (type)] ?? 'value'
  if (type === 'overflow') return { [field]: optionOf(control) }
  if (control.classList.contains('choices')) {
    const chosen = [...control.querySelectorAll('input:checked')].map(optionOf)
    if (type === 'radio_buttons') return { [field]: chosen[0] ?? null }
    return { [field]: field === 'selected_options' ? chosen : chosen.map((option) => option.value) }
  }
  const { value } = /** @type {HTMLInputElement} */ (control)
  if (control instanceof HTMLSelectElement) {
    const option = optionOf(control.selectedOptions[0])
    return { [field]: field === 'selected_option' ? option : (option?.value ?? null) }
  }
  if (type === 'datetimepicker') return { [field]: value ? Math.floor(new Date(value).getTime() / 1000) : null }
  return { [field]: value === '' ? null : value }
}

/**
 * The values of all controls in a view, by block_id and action_id.
 * @param {Element} view
 */
export function entriesOf(view) {
  /** @type {Record<string, Record<string, unknown>>} */
  const values = {}
  for (const control of /** @type {NodeListOf<HTMLElement>} */ (view.querySelectorAll('[data-control]'))) {
    const { control: type = '', block = '', action = '' } = control.dataset
    if (type === 'button' || type === 'overflow') continue
    values[block] = { ...values[block], [action]: { type, ...entryOf(control) } }
  }
  return values
}

/**
 * What Slack refuses before it asks the bot: block_id → what is wrong with the field.
 * @param {Element} view
 */
export function faultsOf(view) {
  /** @type {Record<string, string>} */
  const faults = {}
  for (const input of /** @type {NodeListOf<HTMLElement>} */ (view.querySelectorAll('[data-input]'))) {
    const control = /** @type {HTMLInputElement | null} */ (input.querySelector('[data-control]'))
    if (!control) continue
    const group = control.classList.contains('choices')
    const blank = group
      ? !control.querySelector('input:checked')
      : control.validity.valueMissing || control.value.trim() === ''
    const block = input.dataset.input ?? ''
    if (!group && control.validity.badInput) faults[block] = 'Please enter a number.'
    else if (blank && 'required' in input.dataset) faults[block] = 'Please complete this required field.'
    else if (!group && !blank && !control.validity.valid) faults[block] = control.validationMessage
    else if (!blank && control.minLength > 0 && control.value.length < control.minLength)
      faults[block] = `Please enter at least ${control.minLength} characters.`
  }
  return faults
}
