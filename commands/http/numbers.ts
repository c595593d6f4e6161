import type { ExactNumber } from '../../src/domain/exact.ts'

type Reviver = (this: unknown, key: string, value: unknown, context: { source?: string }) => unknown
const engine = JSON as unknown as {
  parse(text: string, reviver: Reviver): unknown
  rawJSON(text: string): ExactNumber
}

/** As JSON.parse, but every number that would be written otherwise than it stands (2^53 + 1, 1.0, 1e3) is kept as it stands. */
export const parseAsItStands = (text: string): unknown =>
  engine.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && String(value) !== source ? engine.rawJSON(source) : value,
  )
