import type { z } from 'zod'

const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  nan: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a set of named values',
  record: 'a set of named values',
  date: 'a date',
}
const FORMATS: Readonly<Record<string, string>> = {
  url: 'a web address',
  datetime: 'a time such as 2026-01-31T09:00:00Z',
  date: 'a date such as 2026-01-31',
  uuid: 'a UUID',
  email: 'an e-mail address',
  ipv4: 'an IP address',
}
/** How zod's own sentences begin; any other was written for people. */
const ITS_OWN = /^(Invalid |Too (small|big)|Unrecognized key)/

/** What is wrong with a value, for the person who gave it: the end of a sentence that begins with the value's name. */
export function whatIsWrong(issue: z.core.$ZodIssue): string {
  if (issue.code === 'custom' || !ITS_OWN.test(issue.message)) return issue.message
  switch (issue.code) {
    case 'invalid_type':
      return issue.message.includes('received undefined')
        ? 'is missing'
        : `must be ${KINDS[issue.expected] ?? issue.expected}`
    case 'too_small':
      return bound(issue.origin, issue.inclusive ? 'at least' : 'more than', issue.minimum)
    case 'too_big':
      return bound(issue.origin, issue.inclusive ? 'at most' : 'less than', issue.maximum)
    case 'invalid_format':
      return FORMATS[issue.format] ? `must be ${FORMATS[issue.format]}` : 'does not have the form that is asked for'
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}`
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`
    case 'unrecognized_keys':
      return `has parts that nobody knows: ${issue.keys.join(', ')}`
    default:
      return 'has none of the forms that are allowed'
  }
}

function bound(of: string, how: string, value: number | bigint): string {
  if (of === 'string')
    return how === 'at least' && Number(value) === 1 ? 'must not be empty' : `must have ${how} ${value} characters`
  if (of === 'array' || of === 'set')
    return how === 'at least' && Number(value) === 1 ? 'must not be empty' : `must have ${how} ${value} entries`
  return `must be ${how} ${value}`
}
