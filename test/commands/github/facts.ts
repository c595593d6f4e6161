import { defineFacts } from '../../harness/facts.ts'

const read = '2026-11-28'
const LIMITS = 'https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api'

export const facts = defineFacts({
  of: 'GitHub’s REST API',
  enforcedBy: ['test/commands/github/server.ts'],
  facts: [
    {
      says: 'Beyond the primary limit (5,000 an hour with a token, 60 without) it answers 403 or 429 with x-ratelimit-remaining: 0 and x-ratelimit-reset in seconds since 1970.',
      source: LIMITS,
      read,
    },
    {
      says: 'Beyond a secondary limit it answers 403 or 429 with a message that says so, with retry-after or without; then a minute is to be waited.',
      source: `${LIMITS}#exceeding-the-rate-limit; KnpLabs/php-github-api#1070`,
      read,
    },
    {
      says: 'A page has 30 items, and at most 100 by per_page; total_count counts all.',
      source: 'https://docs.github.com/rest/checks/runs#list-check-runs-for-a-git-reference',
      read,
    },
    {
      says: 'Of more than 1,000 check suites of a commit only the runs of the newest 1,000 are listed.',
      source: 'https://docs.github.com/rest/checks/runs#list-check-runs-for-a-git-reference',
      read,
    },
    {
      says: 'filter=latest, the default, gives the newest run of each name.',
      source: 'tried on npm emulate 0.12.2, service github',
      read,
    },
    {
      says: 'A run names its commit in head_sha; a commit that is not there is 404.',
      source: 'tried on npm emulate 0.12.2, service github (404)',
      read,
    },
    {
      says: 'A request without a valid user agent is refused.',
      source: 'https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api#user-agent-required',
      read,
    },
  ],
  unchecked: [
    {
      says: 'A commit that is not there may be 422, “No commit found for SHA”.',
      why: 'seen in what public programs log, on no page; both are read the same',
    },
    {
      says: 'The refusal of a request without a user agent is 403.',
      why: 'known from practice; the page says only that it is rejected',
    },
    {
      says: 'Which conclusions there are: success, failure, neutral, cancelled, skipped, timed_out, action_required, stale, startup_failure, or null.',
      why: 'known from practice; any other one is taken for no success',
    },
    {
      says: 'The combined status of a commit in pages, with sha and total_count.',
      why: 'emulate has no combined status; GitHub itself is not asked by tests',
    },
  ],
})
