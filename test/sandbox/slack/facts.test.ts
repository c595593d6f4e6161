import { expect, it } from '@jest/globals'
import { facts } from '../../../src/sandbox/slack/facts.ts'
import { BLOCKS_OF } from '../../../src/sandbox/slack/surfaces.ts'
import type { Facts } from '../../harness/facts.ts'

it('has the form of all facts, each with its source and the day that it was read', () => {
  const formed: Facts = facts
  for (const { says, source, read } of formed.facts) {
    expect(says).toMatch(/\.$/)
    expect(source.length).toBeGreaterThan(10)
    expect(read).toMatch(/^\d{4}-\d\d-\d\d$/)
  }
  expect(new Set(formed.facts.map((fact) => fact.says)).size).toBe(formed.facts.length)
  expect(formed.unchecked.every(({ says, why }) => says.length > 0 && why.length > 0)).toBe(true)
})

it('says of every block type of a message or modal alone that it stands there alone', () => {
  const said = facts.facts.map((fact) => fact.says).join('\n')
  for (const type of ['markdown', 'plan', 'task_card', 'context_actions', 'alert']) expect(said).toContain(type)
  expect(BLOCKS_OF.home).not.toContain('alert')
})
