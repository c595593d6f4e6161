import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from '@jest/globals'
import { freezeFile } from '../src/freeze-file.ts'

it('a freeze stands as long as its file is there, and when nobody can tell', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-freeze-'))
  const file = join(folder, 'frozen')
  expect(await freezeFile(undefined)).toBeNull()
  expect(await freezeFile(file)).toBeNull()
  await writeFile(file, '')
  expect(await freezeFile(file)).toMatchObject({ reason: file })
  expect(await freezeFile(join(file, 'below-a-file'))).not.toBeNull()
  await rm(folder, { recursive: true })
  expect(await freezeFile(file)).toBeNull()
})
