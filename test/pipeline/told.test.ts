import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, it } from '@jest/globals'
import { z } from 'zod'
import { Refused, Unanswered } from '../../src/domain/command.ts'
import { sentenceOf } from '../../src/pipeline/told.ts'

const RAW =
  /ZodError|invalid_type|"code"|Cannot read|is not a function|Unexpected token|ECONN|ENOTFOUND|fetch failed|\n|[{}[\]]/
const thrown = (work: () => unknown): unknown => {
  try {
    work()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

it('a command that refuses is told word by word', () => {
  expect(sentenceOf(new Refused('There is nothing to do.'))).toBe('There is nothing to do.')
  expect(sentenceOf(new Unanswered('No answer: it may have landed.'))).toBe('No answer: it may have landed.')
})

it('the error of a schema says where and what, and is no dump', () => {
  const schema = z.object({ pool: z.object({ slots: z.number(), name: z.string() }) })
  const raw = thrown(() => schema.parse({ pool: { slots: 'x' } }))
  for (const error of [raw, new Error('airflow: GET pools answered oddly', { cause: raw })]) {
    expect(sentenceOf(error)).toMatch(/not what was expected at pool\.slots: .+, and 1 more$/)
    expect(sentenceOf(error)).not.toMatch(RAW)
  }
  expect(sentenceOf(new Error('airflow: GET pools', { cause: raw }))).toMatch(/^airflow: GET pools: /)
})

it.each([
  ['a property of nothing', () => (undefined as unknown as { a: { b: 1 } }).a.b],
  ['what is no function', () => (({}) as { f(): void }).f()],
  ['what is no JSON', () => JSON.parse('<html>')],
  ['a text that is no URL', () => new URL('nowhere')],
])('a mistake in code is not quoted: %s', (_what, work) => {
  expect(sentenceOf(thrown(work))).toMatch(/could not be understood; the log/)
  expect(sentenceOf(thrown(work))).not.toMatch(RAW)
})

it('a peer that is away is told in words, with its place', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  const error = await fetch(`http://127.0.0.1:${port}/`).catch((raw: unknown) => raw)
  expect(sentenceOf(error)).toBe(
    `it could not be reached: nothing listens there: is it down, or the address or port wrong? (127.0.0.1:${port})`,
  )
  expect(sentenceOf(new Error('metadata', { cause: error }))).toMatch(/^metadata: it could not be reached/)
  expect(sentenceOf(AbortSignal.timeout(0).reason ?? new DOMException('timed out', 'TimeoutError'))).toBe(
    'There was no answer in time.',
  )
})

it('what a library says otherwise is its first line', () => {
  expect(sentenceOf(new Error('airflow: GET dags answered 403\nand more'))).toBe('airflow: GET dags answered 403')
  expect(sentenceOf('text')).toBe('text')
})
