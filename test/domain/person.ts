import type { Person } from '../../src/domain/policy.ts'

/** An account in good standing, in no group, unless `patch` says otherwise. */
export const person = (user: string, patch: Partial<Person> = {}): Person => ({
  user,
  name: user,
  deleted: false,
  bot: false,
  guest: false,
  external: false,
  usergroups: [],
  ...patch,
})
