import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { github, Repository } from './connection.ts'
import { Commit, verdictOf } from './verdict.ts'

const SHOWN = 30

/** Shows the checks of one commit, those that failed or still run first. */
export const githubChecks = defineRead({
  id: 'github.checks',
  summary: 'Show the checks of a commit',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('GitHub connection'),
    repository: Repository.describe('Repository, as owner/name'),
    commit: Commit.describe('Full commit id'),
  }),
  async read({ connection, repository, commit }, ctx) {
    const { client, settings } = await ctx.connect(github, connection)
    const { green, why, checks } = await verdictOf(client, settings, repository, commit, ctx.signal)
    const order = { failed: 0, running: 1, passed: 2 }
    const rows = checks
      .toSorted((a, b) => order[a.state] - order[b.state])
      .map((check) => [check.name, check.said, check.at || 'not yet'])
    return {
      summary: green
        ? `All ${checks.length} checks of ${commit} in ${repository} are green.`
        : `The checks of ${commit} in ${repository} are not green: ${why}.`,
      blocks: [
        {
          type: 'table',
          columns: ['Check', 'Result', 'Ended'],
          rows: rows.slice(0, SHOWN),
          omitted: Math.max(0, rows.length - SHOWN),
        },
      ],
    }
  },
})
