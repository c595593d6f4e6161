import { z } from 'zod'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { shaped, text } from '../http/shape.ts'
import { github, listed, Repository } from './connection.ts'
import { verdictOf } from './verdict.ts'

const Commits = z.array(
  z.object({
    sha: z.string(),
    commit: z.object({ message: text, committer: z.object({ date: text }).nullish() }),
  }),
)

/** Shows the newest commits of the deployed branch and which of them are green: where to roll back to. */
export const githubCommits = defineRead({
  id: 'github.commits',
  summary: 'Show the newest commits of a repository and whether their checks are green',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('GitHub connection'),
    repository: Repository.describe('Repository, as owner/name'),
    commits: z.coerce.number().int().min(1).max(20).default(8).describe('How many'),
  }),
  async read({ connection, repository, commits }, ctx) {
    const { client, settings } = await ctx.connect(github, connection)
    const { branch } = listed(settings, repository)
    const query = { sha: branch, per_page: String(commits) }
    const answer = await client.get(repository, ['commits'], query, ctx.signal)
    if (answer === undefined)
      throw new Refused(`There is no branch ${branch} in ${repository}, or the token of the connection may not see it.`)
    const found = shaped(Commits, answer, `GitHub, asked for the commits of ${repository},`)
    let untold = ''
    const rows: { sha: string; green: boolean; row: string[] }[] = []
    for (const { sha, commit } of found) {
      // One that cannot be asked about does not hide the others.
      const { green, why } = await verdictOf(client, settings, repository, sha, ctx.signal).catch((error: unknown) => {
        ctx.signal.throwIfAborted()
        untold ||= error instanceof Error ? error.message : String(error)
        return { green: false, why: 'cannot be told' }
      })
      const subject = commit.message.split('\n', 1)[0]!.slice(0, 80)
      rows.push({ sha, green, row: [sha, commit.committer?.date ?? '', subject, green ? 'green' : why] })
    }
    const good = rows.find((one) => one.green)
    return {
      summary: good
        ? `The newest commit of ${repository} (${branch}) with green checks is ${good.sha}.`
        : `None of the ${rows.length} newest commits of ${repository} (${branch}) ${untold ? 'is known to have' : 'has'} green checks.`,
      blocks: [
        ...(untold ? [{ type: 'text' as const, text: `Some could not be asked about. ${untold}` }] : []),
        {
          type: 'table',
          columns: ['Commit', 'Committed', 'Subject', 'Checks'],
          rows: rows.map((r) => r.row),
          omitted: 0,
        },
      ],
    }
  },
})
