import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from '@jest/globals'
import { witnessFile } from '../src/witness-file.ts'

let folder: string
let path: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyturn-witness-'))
  path = join(folder, 'witness.json')
})
afterEach(() => rm(folder, { recursive: true }))

it('keeps what was written last, and nothing else beside it', async () => {
  const file = witnessFile(path)
  expect(await file.read()).toBeNull()
  for (const seen of [1, 2]) await file.write({ id: 'worker-1', seen, at: 3 })
  expect(await witnessFile(path).read()).toEqual({ id: 'worker-1', seen: 2, at: 3 })
  expect(await readdir(folder)).toEqual(['witness.json'])
})

it('is written by all workers of a machine at once', async () => {
  const workers = Array.from({ length: 8 }, (_, seen) => ({ id: 'worker-1', seen, at: 3 }))
  await Promise.all(workers.map((one) => witnessFile(path).write(one)))
  expect(workers).toContainEqual(await witnessFile(path).read())
})

it.each(['', '{"id":"worker-1","se', '{"id":"","seen":1,"at":3}', '[]'])('knows nothing from %j', async (text) => {
  await writeFile(path, text)
  expect(await witnessFile(path).read()).toBeNull()
})

it('says which file cannot be read or written', async () => {
  await expect(witnessFile(folder).read()).rejects.toThrow(`witnessFile ${folder} cannot be read`)
  await expect(witnessFile(join(folder, 'gone/witness.json')).write({ id: 'a', seen: 1, at: 3 })).rejects.toThrow(
    'gone',
  )
})
