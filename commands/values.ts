import { RE2JS } from 're2js'
import { z } from 'zod'
import { Refused } from '../src/domain/command.ts'

const MOST = 1_000

const isPattern = (text: string) => {
  try {
    RE2JS.compile(text)
    return true
  } catch {
    return false
  }
}

/** What a person or an alert may put into one place of a configured call. */
export const Value = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('integer'), min: z.number().int(), max: z.number().int() }),
  z.strictObject({ type: z.literal('choice'), values: z.array(z.string().min(1)).min(1) }),
  /** RE2 syntax; must match the whole value. */
  z.strictObject({ type: z.literal('text'), pattern: z.string().refine(isPattern, 'not an RE2 pattern') }),
])
export type Value = z.infer<typeof Value>

/** Why a value does not fit; null if it does. */
function fault(type: Value, value: string): string | null {
  if (value.length > MOST) return `is longer than ${MOST} characters`
  if (/\p{Cc}/u.test(value)) return 'holds a control character'
  if (type.type === 'choice') return type.values.includes(value) ? null : `is none of ${type.values.join(', ')}`
  if (type.type === 'text' && value.startsWith('-')) return 'begins with "-" and could be read as an option'
  if (type.type === 'text') return RE2JS.compile(type.pattern).matches(value) ? null : `does not match ${type.pattern}`
  const number = /^-?(0|[1-9]\d{0,14})$/.test(value) ? Number(value) : Number.NaN
  return number >= type.min && number <= type.max ? null : `is no whole number from ${type.min} to ${type.max}`
}

/** The values of `name=value` lines, each checked against its type. Throws Refused with every fault at once. */
export function readValues(
  what: string,
  types: Readonly<Record<string, Value>>,
  lines: readonly string[],
): Record<string, string> {
  const values: Record<string, string> = {}
  const faults: string[] = []
  for (const line of lines) {
    const at = line.indexOf('=')
    const name = at < 0 ? line : line.slice(0, at)
    const value = at < 0 ? '' : line.slice(at + 1)
    const type = Object.hasOwn(types, name) ? types[name] : undefined
    if (!type) faults.push(`It takes no ${JSON.stringify(name.slice(0, 60))}`)
    else if (Object.hasOwn(values, name)) faults.push(`${name} is given twice`)
    else {
      const problem = fault(type, value)
      if (problem) faults.push(`${name} ${problem}`)
      values[name] = value
    }
  }
  for (const name of Object.keys(types)) if (!Object.hasOwn(values, name)) faults.push(`${name} is missing`)
  if (faults.length > 0) throw new Refused(`${what} can't be called: ${faults.join('; ')}.`)
  return values
}
