import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { commands } from '../../commands/index.ts'
import { EXECUTOR_FLAWS } from './executor-flaws.ts'
import { openRig } from './executor-rig.ts'
import { createExecutorsPart, EXECUTORS } from './executors.ts'
import { unquoted } from './shapes.ts'
import { startTcp, watchConnects } from './taps.ts'

let rig: Awaited<ReturnType<typeof openRig>>
beforeAll(async () => {
  rig = await openRig(EXECUTORS, commands)
})
afterAll(() => rig.stop())

it('every command that changes something has its line', () => {
  const changes = commands.filter((c) => c.effect !== 'read').map((c) => c.id)
  expect(Object.keys(EXECUTORS).sort()).toEqual(changes.sort())
})

it.each(Object.entries(EXECUTORS))('good parameters of %s reach the change', async (id, [, sample]) => {
  const { asked, fault, reached } = await rig.call(id, sample)
  expect({ reached, fault, asked: reached ? [] : asked.map((one) => one.shape) }).toEqual({
    reached: true,
    fault: undefined,
    asked: [],
  })
})

/** A planted flaw must show within so many vectors. */
const WITHIN = 100

it.each(EXECUTOR_FLAWS)('it is found out that $name', async ({ id, all, found }) => {
  const part = createExecutorsPart({ [id]: EXECUTORS[id]! }, all)
  let said: unknown
  for (let seed = 1; seed <= WITHIN && !said; seed += 1)
    await part.run(seed).catch((error: unknown) => {
      said = error
    })
  await part.close()
  expect(said).toMatchObject({ name: 'Violation', message: expect.stringMatching(found) })
})

it.each([
  [
    'Sql',
    'COPY "a" FROM \'s3://lake/a\'',
    'COPY "b""c" FROM \'s3://lake/\'\'b\'',
    "COPY \"b\" FROM 's3://lake/' or 'b'",
  ],
  ['commands', "rm -- 'a' 'b'", `rm -- 'it'\\''s'`, `rm -- 'it's'`],
] as const)('in %s a value in its quotes is a value, and one that leaves them is seen', (language, one, other, bad) => {
  expect(unquoted(language, other)).toBe(unquoted(language, one))
  expect(unquoted(language, bad)).not.toBe(unquoted(language, one))
})

it('an address that is connected to is seen, whoever connects', async () => {
  const server = await startTcp((socket) => void socket.end('HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n'))
  const connects = watchConnects()
  try {
    await once(connect(server.port, '127.0.0.1').resume(), 'close')
    await fetch(`http://127.0.0.1:${server.port}`)
    expect(connects.seen).toEqual([`127.0.0.1:${server.port}`, `127.0.0.1:${server.port}`])
  } finally {
    connects.stop()
    await server.stop()
  }
})
