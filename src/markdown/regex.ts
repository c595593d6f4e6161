import { RE2JS } from 're2js'
import type { RegexTest } from '../domain/playbook.ts'

const compiled = new Map<string, RE2JS>()

function compile(pattern: string): RE2JS {
  const known = compiled.get(pattern)
  if (known) return known
  const re = RE2JS.compile(pattern)
  compiled.set(pattern, re)
  return re
}

/**
 * Whether the whole of a value matches an RE2 pattern, in time linear in the value. Patterns come from playbooks, so
 * the compiled ones are kept for good. Throws for a pattern that `whyNot` refuses.
 */
export const matchesWhole: RegexTest = (pattern, value) => compile(pattern).matches(value)

/** Why RE2 cannot compile a pattern, or null if it can. */
export function whyNot(pattern: string): string | null {
  try {
    compile(pattern)
    return null
  } catch (error) {
    return (error as Error).message.replace(/^error parsing regexp: /, '')
  }
}
