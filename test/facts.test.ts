import { access, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { allFacts, factsPage } from './harness/facts-page.ts'

const ROOT = new URL('..', import.meta.url).pathname
const all = await allFacts()

describe('the facts that our own servers rest on', () => {
  it('each have a source that can be looked up, and the day that was done', () => {
    for (const { file, facts } of all) {
      expect([file, facts.facts.length + facts.unchecked.length]).not.toEqual([file, 0])
      for (const { says, source, read } of facts.facts) {
        expect([file, says]).toEqual([file, expect.stringMatching(/^.{12}/)])
        // A page, a package with its version, a specification or a peer with its version.
        expect([says, source]).toEqual([
          says,
          expect.stringMatching(/https:\/\/\S+|\d+\.\d+|RFC \d+|[\w-]+\/[\w.-]+#\d+/),
        ])
        expect([says, read]).toEqual([says, expect.stringMatching(/^20(2[6-9]|[3-9]\d)-\d{2}-\d{2}$/)])
        expect([says, Number.isNaN(Date.parse(read))]).toEqual([says, false])
      }
      for (const { says, why } of facts.unchecked) expect([says, why.length > 12]).toEqual([says, true])
    }
  })

  it('are enforced by files that are there', async () => {
    for (const { facts } of all) for (const file of facts.enforcedBy) await access(join(ROOT, file))
  })

  it('are written down for every server that stands for a service', async () => {
    const enforcing = new Set(all.flatMap(({ facts }) => facts.enforcedBy))
    const files = await readdir(join(ROOT, 'test/commands'), { recursive: true })
    const servers = files.filter((file) => /(^|[/-])server\.ts$/.test(file)).map((file) => `test/commands/${file}`)
    expect(servers.length).toBeGreaterThan(10)
    expect(servers.filter((file) => !enforcing.has(file))).toEqual([])
  })

  it('stand in docs/facts.md', async () => {
    expect(await readFile(join(ROOT, 'docs/facts.md'), 'utf8')).toBe(await factsPage())
  })
})
