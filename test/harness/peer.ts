import { accessSync, constants, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { describe } from '@jest/globals'

/** Where Debian puts what it keeps off the PATH: the servers of Postgres, by version. */
const beside = (): string[] => {
  try {
    return readdirSync('/usr/lib/postgresql').map((version) => join('/usr/lib/postgresql', version, 'bin'))
  } catch {
    return []
  }
}

/** The path of a program of this machine, or null. */
export function programOf(name: string): string | null {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), ...beside(), '/usr/sbin'])
    try {
      accessSync(join(folder, name), constants.X_OK)
      return join(folder, name)
    } catch {}
  return null
}

/**
 * `describe` for tests on a peer that nobody of this project wrote. Where a program that it takes is not installed they are
 * skipped, and their name says which one is missing; with CI set they fail instead.
 */
export function describeWith(programs: readonly string[], name: string, tests: () => void): void {
  const missing = programs.filter((program) => programOf(program) === null)
  if (missing.length === 0 || process.env.CI) describe(name, tests)
  else describe.skip(`${name} (not run: ${missing.join(', ')} is not installed)`, tests)
}
