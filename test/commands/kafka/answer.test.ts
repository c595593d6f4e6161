import { expect, it } from '@jest/globals'
import kafkajs from 'kafkajs'
import { answered } from '../../../commands/kafka/answer.ts'
import { createIdSet } from '../../../commands/kafka/id-set.ts'
import { Unanswered } from '../../../src/domain/command.ts'

const { KafkaJSConnectionError, KafkaJSNumberOfRetriesExceeded, KafkaJSProtocolError } = kafkajs
const said = (type: string) => new KafkaJSProtocolError(Object.assign(new Error(type), { type, code: 1 }))
const tried = (cause: Error) =>
  new KafkaJSNumberOfRetriesExceeded(cause as never, { retryCount: 0, retryTime: 0 } as never)

it.each([
  ['a connection that broke', new KafkaJSConnectionError('Connection error')],
  ['one that broke at the last try', tried(new KafkaJSConnectionError('Connection error'))],
  ['a broker that waited too long for its replicas', said('REQUEST_TIMED_OUT')],
  ['records that too few replicas have', tried(said('NOT_ENOUGH_REPLICAS_AFTER_APPEND'))],
])('%s leaves it open whether the records landed', async (_, error) => {
  await expect(answered('to produce', () => Promise.reject(error))).rejects.toBeInstanceOf(Unanswered)
})

it.each([
  ['a record that is too large', said('MESSAGE_TOO_LARGE')],
  ['a broker that does not lead', tried(said('NOT_LEADER_FOR_PARTITION'))],
])('%s was refused by the broker itself: nothing landed', async (_, error) => {
  await expect(answered('to produce', () => Promise.reject(error))).rejects.toBe(error)
})

it('an id is new once, however many there are', () => {
  const ids = createIdSet()
  const all = Array.from({ length: 5_000 }, (_, n) => `o${n}`)
  expect(all.filter((id) => ids.add(id))).toHaveLength(5_000)
  expect(all.filter((id) => ids.add(id))).toEqual([])
})
