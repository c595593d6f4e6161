import { expect, it } from '@jest/globals'
import { commands } from '../../commands/index.ts'
import { EXECUTORS, UNCOVERED } from './executors.ts'

it('every command that changes something has its line, or is named as one that has none', () => {
  const changes = commands.filter((c) => c.effect !== 'read').map((c) => c.id)
  expect([...Object.keys(EXECUTORS), ...Object.keys(UNCOVERED)].sort()).toEqual(changes.sort())
})

it('every line names the parameters that its command must have', () => {
  for (const [id, [, sample]] of Object.entries(EXECUTORS)) {
    const parsed = commands.find((c) => c.id === id)!.params.safeParse({ ...sample, connection: 'any' })
    expect([id, parsed.error?.issues ?? []]).toEqual([id, []])
  }
})
