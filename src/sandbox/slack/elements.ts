import {
  all,
  type Check,
  choice,
  type Field,
  list,
  plain,
  primitive,
  record,
  some,
  string,
  text,
  typed,
} from './schema.ts'

/** Checks by element type, with the limits of https://docs.slack.dev/reference/block-kit/block-elements */
const flag = { optional: primitive('boolean') }
const anything: Check = () => {}
const loose = { optional: anything }
const actionId = { action_id: { optional: string(255, 1) } }
const option = (label: Check) =>
  record({ text: label, value: string(150), description: { optional: plain(75) }, url: { optional: string(3000) } })
const plainOption = option(plain(75))
const anyOption = option(text(75))
const confirm = {
  optional: record({
    title: { optional: plain(100) },
    text: text(300),
    confirm: { optional: plain(30) },
    deny: { optional: plain(30) },
    style: { optional: choice('primary', 'danger') },
  }),
}
const common = { ...actionId, confirm, focus_on_load: flag }
const placeholder = { placeholder: { optional: plain(150) } }
const groups = { optional: list(record({ label: plain(75), options: list(plainOption, 100) }), 100) }
const select = (fields: Record<string, Field>) => record({ ...common, ...placeholder, ...fields })
const limit = { max_selected_items: { optional: primitive('number') } }
const options = { options: { optional: list(plainOption, 100) }, option_groups: groups }
const external = { min_query_length: { optional: primitive('number') } }
const chosen = { optional: list(anything, 100) }
const inline = { response_url_enabled: flag, filter: loose, default_to_current_conversation: flag }
const style = { optional: choice('primary', 'danger') }
const label = { accessibility_label: { optional: string(75) } }
const dispatch = { dispatch_action_config: loose }
const typing = {
  ...actionId,
  ...placeholder,
  ...dispatch,
  focus_on_load: flag,
  initial_value: { optional: string(3000) },
}
const choices = (initial: Record<string, Field>) => record({ ...common, options: list(anyOption, 10), ...initial })

export const IMAGE: Check = all(
  record({ image_url: { optional: string(3000, 1) }, slack_file: loose, alt_text: string(2000) }),
  some('image_url', 'slack_file'),
)

/** The interactive elements, and the image. */
export const ELEMENTS: Readonly<Record<string, Check>> = {
  button: record({
    ...actionId,
    confirm,
    text: plain(75),
    url: { optional: string(3000) },
    value: { optional: string(2000) },
    style,
    ...label,
  }),
  checkboxes: choices({ initial_options: chosen }),
  datepicker: record({ ...common, ...placeholder, initial_date: { optional: string(10) } }),
  datetimepicker: record({ ...common, initial_date_time: { optional: primitive('number') } }),
  timepicker: record({
    ...common,
    ...placeholder,
    initial_time: { optional: string(5) },
    timezone: { optional: string(255) },
  }),
  image: IMAGE,
  multi_static_select: all(select({ ...options, ...limit, initial_options: chosen }), some('options', 'option_groups')),
  multi_external_select: select({ ...external, ...limit, initial_options: chosen }),
  multi_users_select: select({ ...limit, initial_users: chosen }),
  multi_conversations_select: select({ ...limit, ...inline, initial_conversations: chosen }),
  multi_channels_select: select({ ...limit, initial_channels: chosen }),
  overflow: record({ ...actionId, confirm, options: list(plainOption, 5) }),
  radio_buttons: choices({ initial_option: loose }),
  static_select: all(select({ ...options, initial_option: loose }), some('options', 'option_groups')),
  external_select: select({ ...external, initial_option: loose }),
  users_select: select({ initial_user: { optional: string(255) } }),
  conversations_select: select({ ...inline, initial_conversation: { optional: string(255) } }),
  channels_select: select({ ...inline, initial_channel: { optional: string(255) } }),
  workflow_button: record({ ...actionId, text: plain(75), workflow: anything, style, ...label }),
  plain_text_input: record({
    ...typing,
    multiline: flag,
    min_length: { optional: primitive('number') },
    max_length: { optional: primitive('number') },
  }),
  email_text_input: record(typing),
  url_text_input: record(typing),
  number_input: record({
    ...typing,
    is_decimal_allowed: primitive('boolean'),
    min_value: { optional: string(255) },
    max_value: { optional: string(255) },
  }),
  rich_text_input: record({
    ...actionId,
    ...placeholder,
    ...dispatch,
    focus_on_load: flag,
    initial_value: loose,
    max_lines: loose,
  }),
  file_input: record({
    ...actionId,
    filetypes: { optional: list(string(255), 100) },
    max_files: { optional: primitive('number') },
  }),
  feedback_buttons: record({ ...actionId, positive_button: anything, negative_button: anything }),
  icon_button: record({
    ...actionId,
    icon: string(255),
    text: plain(75),
    value: { optional: string(2000) },
    confirm,
    visible_to_user_ids: loose,
    ...label,
  }),
}

const MENUS = ['static_select', 'external_select', 'users_select', 'conversations_select', 'channels_select']
const SELECTS = [...MENUS, ...MENUS.map((name) => `multi_${name}`)]
const PICKERS = ['checkboxes', 'radio_buttons', 'datepicker', 'timepicker', ...SELECTS]
const TEXTS = [
  'plain_text_input',
  'email_text_input',
  'url_text_input',
  'number_input',
  'rich_text_input',
  'file_input',
]

/** An element allowed inside an actions block, beside a section, or as the input of an input block. */
export const action = typed(ELEMENTS, [
  'button',
  'overflow',
  'datetimepicker',
  'workflow_button',
  'rich_text_input',
  ...PICKERS,
])
export const accessory = typed(ELEMENTS, ['button', 'overflow', 'image', 'workflow_button', ...PICKERS])
export const input = typed(ELEMENTS, ['datetimepicker', ...TEXTS, ...PICKERS])
export const feedback = typed(ELEMENTS, ['feedback_buttons', 'icon_button'])
