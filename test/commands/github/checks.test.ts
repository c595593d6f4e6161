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

  it.each([
    [
      'its primary limit',
      { 'x-ratelimit-limit': '5000', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '99999999999' },
      'API rate limit exceeded for user ID 1.',
      /for \d+ s: its 5000 requests of this hour are used up/,
    ],
    [
      'its secondary limit',
      { 'retry-after': '600' },
      'You have exceeded a secondary rate limit.',
      /for 600 s: its secondary rate limit is exceeded/,
    ],
    [
      'its secondary limit without saying how long',
      {},
      'You have exceeded a secondary rate limit. Please wait a few minutes.',
      /for 60 s: its secondary rate limit is exceeded/,
    ],
  ])('does not take %s for a missing right', async (_, headers, message, says) => {
    ci.push(GOOD, 'Fix')
    for (const status of [403, 429]) {
      Object.assign(ci.mishap, { times: 9, status, headers, message })
      const said = await read(githubChecks, { commit: GOOD }).catch((error: Error) => error.message)
      expect(said).toMatch(/^GitHub takes no more requests of this token for /)
      expect(said).toMatch(says)
      expect(said).not.toContain('check what that token may read')
    }
  })

  it('waits for a short limit and for a passing error, and says what a token may lack', async () => {
    ci.push(GOOD, 'Fix')
    Object.assign(ci.mishap, { times: 1, headers: { 'retry-after': '0' }, message: 'secondary rate limit' })
    expect((await read(githubChecks, { commit: GOOD })).summary).toContain('All 1 checks')
    Object.assign(ci.mishap, { times: 2, status: 502, headers: {}, message: 'Server Error' })
    expect((await read(githubChecks, { commit: GOOD })).summary).toContain('All 1 checks')
    Object.assign(ci.mishap, { times: 1, status: 403, message: 'Resource not accessible by personal access token' })
    await expect(read(githubChecks, { commit: GOOD })).rejects.toThrow(
      /answered 403: .*not accessible.*; check what that token may read: Checks, Commit statuses and Contents/,
    )
  })

  it('does not call a commit green when GitHub lists fewer checks than it counts', async () => {
    ci.push(GOOD, 'Fix')
    ci.hidden.runs = 3
    await expect(read(githubChecks, { commit: GOOD })).rejects.toThrow('GitHub lists 1 of the 4 checks')
  })

  it.each([
    [
      'a conclusion that nobody knows',
      { status: 'completed', conclusion: 'passed_by_ai' },
      'tests ended with unknown: passed_by_ai',
    ],
    ['no conclusion', { status: 'completed', conclusion: null }, 'tests ended with no conclusion'],
    ['stale', { status: 'completed', conclusion: 'stale' }, 'tests ended with stale'],
    ['action_required', { status: 'completed', conclusion: 'action_required' }, 'tests ended with action_required'],
    ['neutral', { status: 'completed', conclusion: 'neutral' }, 'tests has not passed'],
    ['a state that nobody knows', { status: 'dreaming', conclusion: null }, 'tests has not ended'],
  ])('does not call a commit green whose required check has %s', async (_, run, why) => {
    ci.push(GOOD, 'Fix', [{ name: 'tests', ...run }])
    expect((await read(githubChecks, { commit: GOOD })).summary).toContain(`are not green: ${why}`)
  })

  it('takes no answer about another commit, and no status that nobody knows for a good one', async () => {
    ci.push(GOOD, 'Fix', [{ ...ci.passed('tests'), head_sha: BAD }])
    await expect(read(githubChecks, { commit: GOOD })).rejects.toThrow(
      `GitHub was asked for ${GOOD} and told of ${BAD}`,
    )
    ci.push(BAD, 'Next').statuses.push({ context: 'deploy', state: 'maybe' })
    expect((await read(githubChecks, { commit: BAD })).summary).toContain('deploy ended with unknown: maybe')
  })

  it('shows the other commits when one cannot be asked about', async () => {
    ci.push(GOOD, 'Fix rounding')
    ci.push(BAD, 'Add a coupon', [{ ...ci.passed('tests'), head_sha: GOOD }])
    const { summary, blocks } = await read(githubCommits, {})
    expect(summary).toContain(`with green checks is ${GOOD}`)
    expect(blocks).toMatchObject([
      { text: expect.stringContaining('Some could not be asked about. GitHub was asked for') },
      {
        rows: [
          [BAD, expect.any(String), 'Add a coupon', 'cannot be told'],
          [GOOD, expect.any(String), 'Fix rounding', 'green'],
        ],
      },
    ])
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
