import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { githubChecks } from '../../../commands/github/checks.ts'
import { githubCommits } from '../../../commands/github/commits.ts'
import { github } from '../../../commands/github/connection.ts'
import type { Command } from '../../../src/domain/command.ts'
import { createWorld, type World } from '../context.ts'
import { type GitHub, startGitHub, TOKEN } from './server.ts'

const GOOD = 'a'.repeat(40)
const BAD = 'b'.repeat(40)

describe('GitHub', () => {
  let ci: GitHub
  let world: World
  beforeEach(async () => {
    ci = await startGitHub('shop/checkout')
    world = createWorld({
      secrets: { CI_TOKEN: TOKEN },
      connections: {
        ci: {
          kind: 'github',
          settings: {
            baseUrl: ci.baseUrl,
            tokenFrom: 'CI_TOKEN',
            repositories: { 'shop/checkout': { required: ['tests'] }, 'shop/gone': { required: ['tests'] } },
          },
        },
      },
    })
  })
  afterEach(async () => {
    await world.close()
    await ci.close()
  })
  const read = async (command: Command, params: object) => {
    if (command.effect !== 'read') throw new Error('no read')
    return command.read(
      command.params.parse({ connection: 'ci', repository: 'shop/checkout', ...params }),
      world.read(),
    )
  }

  it('says that a commit is green when its required check passed and nothing failed, over all pages', async () => {
    ci.push(GOOD, 'Fix', [...Array.from({ length: 230 }, (_, i) => ci.passed(`job ${i}`)), ci.passed('tests')])
    expect((await read(githubChecks, { commit: GOOD })).summary).toContain('All 231 checks')
  })

  it.each([
    ['still runs', [{ name: 'tests', status: 'in_progress', conclusion: null }], 'tests has not ended'],
    ['failed', [{ name: 'tests', status: 'completed', conclusion: 'failure' }], 'tests ended with failure'],
    ['was skipped', [{ name: 'tests', status: 'completed', conclusion: 'skipped' }], 'tests has not passed'],
    ['has not begun', [{ name: 'lint', status: 'completed', conclusion: 'success' }], 'tests has not passed'],
  ])('says that a commit is not green when its required check %s', async (_, runs, why) => {
    ci.push(GOOD, 'Fix', runs)
    expect((await read(githubChecks, { commit: GOOD })).summary).toContain(`are not green: ${why}`)
  })

  it('takes a pending commit status as a check that has not ended', async () => {
    ci.push(GOOD, 'Fix').statuses.push({ context: 'deploy/preview', state: 'pending' })
    expect((await read(githubChecks, { commit: GOOD })).summary).toContain('deploy/preview has not ended')
  })

  it('shows a failure on the last page first', async () => {
    const failed = { name: 'browser', status: 'completed', conclusion: 'timed_out' }
    ci.push(GOOD, 'Fix', [...Array.from({ length: 120 }, (_, i) => ci.passed(`job ${i}`)), ci.passed('tests'), failed])
    const { summary, blocks } = await read(githubChecks, { commit: GOOD })
    expect(summary).toContain('browser ended with timed_out')
    expect(blocks[0]).toMatchObject({
      omitted: 92,
      rows: expect.arrayContaining([['browser', 'timed_out', 'not yet']]),
    })
  })

  it('finds the newest commit with green checks', async () => {
    ci.push(GOOD, 'Fix rounding')
    ci.push(BAD, 'Add a coupon\n\nlong text', [{ name: 'tests', status: 'queued', conclusion: null }])
    const { summary, blocks } = await read(githubCommits, {})
    expect(summary).toContain(`with green checks is ${GOOD}`)
    expect(blocks[0]).toMatchObject({
      rows: [
        [BAD, '2026-11-20T15:00:00Z', 'Add a coupon', 'tests has not ended'],
        [GOOD, '2026-11-20T15:00:00Z', 'Fix rounding', 'green'],
      ],
    })
  })

  it('says what it does not know', async () => {
    await expect(read(githubChecks, { commit: BAD })).rejects.toThrow('There is no commit')
    await expect(read(githubChecks, { commit: BAD, repository: 'shop/other' })).rejects.toThrow('does not list')
    await expect(read(githubCommits, { repository: 'shop/gone' })).rejects.toThrow('no branch main')
  })

  it('asks for nothing but a full commit id of a repository', async () => {
    for (const commit of ['main', 'A'.repeat(40), `${GOOD}/../../x`, GOOD.slice(1)])
      await expect(read(githubChecks, { commit })).rejects.toThrow('full commit id')
    for (const repository of ['shop/..', 'shop', 'shop/a/b', '../checkout', 'shop/a?b'])
      await expect(read(githubChecks, { commit: GOOD, repository })).rejects.toThrow('such as shop/checkout')
    expect(ci.seen).toEqual([])
  })

  it('sends no token over plain http to another machine', () => {
    const to = (baseUrl: string) => github.settings.safeParse({ baseUrl, tokenFrom: 'T', repositories: {} }).success
    expect([to('http://ci.example.com'), to('https://ci.example.com')]).toEqual([false, true])
  })
})
