import { expect, it } from '@jest/globals'
import { isAllowed } from '../../../commands/s3/connection.ts'

it.each(['in/../other/a', '../lake2/a', 'in/./a', 'in/..', '..', './in/a'])(
  'the key %s is outside, since a server may climb by it',
  (key) => {
    expect(isAllowed({ buckets: ['lake', 'lake/in'] }, 'lake', key)).toBe(false)
  },
)

it.each(['in/a', 'in/..a/b', 'in/a..', 'in/...'])('the key %s is inside', (key) => {
  expect(isAllowed({ buckets: ['lake/in'] }, 'lake', key)).toBe(true)
})
