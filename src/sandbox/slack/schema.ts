/** Where a fault is (a JSON pointer) and what it is, in the words of Slack's `response_metadata.messages`. */
export type Report = (message: string, pointer: string) => void
/** Looks at one value and reports each fault; the rest of the payload is of no concern to it. */
export type Check = (value: unknown, pointer: string, report: Report) => void
/** A check that tolerates a missing field. */
export type Field = Check | { optional: Check }

type Fields = Record<string, Field>

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A string of `min` to `max` characters. */
export const string =
  (max: number, min = 0): Check =>
  (value, pointer, report) => {
    if (typeof value !== 'string') return report('must be a string', pointer)
    if (value.length > max) report(`must be less than ${max + 1} characters`, pointer)
    if (value.length < min) report(`must be more than ${min - 1} characters`, pointer)
  }

/** One of the given strings. */
export const choice =
  (...allowed: string[]): Check =>
  (value, pointer, report) => {
    if (!allowed.includes(value as string)) report(`must be one of ${allowed.join(', ')}`, pointer)
  }

/** A value of a JavaScript type, whatever it says. */
export const primitive =
  (type: 'boolean' | 'number' | 'string' | 'object'): Check =>
  (value, pointer, report) => {
    if (typeof value !== type) report(`must be a ${type}`, pointer)
  }

/** An array of `min` to `max` items. */
export const list =
  (item: Check, max: number, min = 1): Check =>
  (value, pointer, report) => {
    if (!Array.isArray(value)) return report('must be an array', pointer)
    if (value.length > max) report(`no more than ${max} items allowed`, pointer)
    if (value.length < min) report(`no fewer than ${min} items allowed`, pointer)
    value.forEach((one, index) => {
      item(one, `${pointer}/${index}`, report)
    })
  }

/** An object with these fields and no others. `type` may always be there. */
export const record =
  (fields: Fields): Check =>
  (value, pointer, report) => {
    if (!isObject(value)) return report('must be an object', pointer)
    for (const [name, field] of Object.entries(fields)) {
      const check = typeof field === 'function' ? field : field.optional
      if (value[name] !== undefined && value[name] !== null) check(value[name], `${pointer}/${name}`, report)
      else if (typeof field === 'function') report(`missing required field: ${name}`, pointer)
    }
    for (const name of Object.keys(value))
      if (!(name in fields) && name !== 'type') report(`invalid additional property: ${name}`, pointer)
  }

/** An object whose `type` picks its check from the table. */
export const typed =
  (table: Readonly<Record<string, Check>>, allowed: readonly string[] = Object.keys(table)): Check =>
  (value, pointer, report) => {
    if (!isObject(value)) return report('must be an object', pointer)
    const type = String(value.type)
    const check = allowed.includes(type) ? table[type] : undefined
    if (!check) return report(`unsupported type: ${type}`, `${pointer}/type`)
    check(value, pointer, report)
  }

/** A text object of `min` to `max` characters; Slack reports a fault in it twice, as here. */
export const text =
  (max: number, types: readonly ('plain_text' | 'mrkdwn')[] = ['plain_text', 'mrkdwn'], min = 1): Check =>
  (value, pointer, report) => {
    const faults: [string, string][] = []
    const collect: Report = (message, where) => void faults.push([message, where])
    const fields = { text: string(max, min) }
    typed(
      {
        plain_text: record({ ...fields, emoji: { optional: primitive('boolean') } }),
        mrkdwn: record({ ...fields, verbatim: { optional: primitive('boolean') } }),
      },
      types,
    )(value, pointer, collect)
    if (faults.length > 0) report('failed to match all allowed schemas', pointer)
    for (const [message, where] of faults) report(message, where)
  }
/** A plain text object. */
export const plain = (max: number): Check => text(max, ['plain_text'])

/** Runs several checks on the same value. */
export const all =
  (...checks: Check[]): Check =>
  (value, pointer, report) => {
    for (const check of checks) check(value, pointer, report)
  }

/** At least one of these fields must be there. */
export const some =
  (...names: string[]): Check =>
  (value, pointer, report) => {
    if (isObject(value) && names.every((name) => value[name] === undefined || value[name] === null))
      report(`missing required field: ${names.join(' or ')}`, pointer)
  }
