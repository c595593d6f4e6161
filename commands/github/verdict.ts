import { z } from 'zod'
import { Refused } from '../../src/domain/command.ts'
import { shaped, text } from '../http/shape.ts'
import { type GitHubClient, listed, type Settings } from './connection.ts'

/** A full commit id: a short one may come to name another commit. */
export const Commit = z.string().regex(/^[0-9a-f]{40}$/, 'a full commit id, 40 hex digits in small letters')

const CheckRuns = z.object({
  total_count: z.number(),
  check_runs: z.array(
    z.object({
      name: text,
      head_sha: z.string().nullish(),
      status: text,
      conclusion: z.string().nullish(),
      completed_at: text,
    }),
  ),
})
const Statuses = z.object({
  total_count: z.number(),
  sha: z.string().nullish(),
  statuses: z.array(z.object({ context: text, state: text, updated_at: text })),
})

export type CiCheck = Readonly<{ name: string; state: 'passed' | 'failed' | 'running'; said: string; at: string }>

/** `green` only if every required check is there and nothing failed or still runs. `why` says what is missing. */
export type Verdict = Readonly<{ green: boolean; why: string; checks: readonly CiCheck[] }>

const PER_PAGE = 100
const MOST_PAGES = 20
/** The conclusions that do not stop a merge. https://docs.github.com/pull-requests/collaborating-with-pull-requests */
const FINE = new Set(['success', 'neutral', 'skipped'])
/** Those that do: https://docs.github.com/rest/checks/runs. */
const BAD = new Set(['failure', 'cancelled', 'timed_out', 'action_required', 'stale', 'startup_failure'])
const STATES = new Set(['success', 'pending', 'failure', 'error'])

/** All check runs and commit statuses of a commit, the newest of each name, and whether that is good enough. */
export async function verdictOf(
  client: GitHubClient,
  settings: Settings,
  repository: string,
  commit: string,
  signal: AbortSignal,
): Promise<Verdict> {
  const { required } = listed(settings, repository)
  const page = async <T extends { total_count: number }>(path: string, schema: z.ZodType<T>, number: number) => {
    const query = { per_page: String(PER_PAGE), page: String(number) }
    const found = await client.get(repository, ['commits', commit, path], query, signal)
    if (found === undefined)
      throw new Refused(`There is no commit ${commit} in ${repository}, or the token of the connection may not see it.`)
    return shaped(schema, found, `GitHub, asked for the ${path} of ${commit},`)
  }
  const all = async <T extends { total_count: number }, I>(
    path: string,
    schema: z.ZodType<T>,
    items: (page: T) => I[],
  ) => {
    const list: I[] = []
    for (let number = 1; number <= MOST_PAGES; number++) {
      const one = await page(path, schema, number)
      list.push(...items(one))
      if (list.length >= one.total_count) return list
      // What is left out could be the one that failed.
      if (items(one).length === 0)
        throw new Refused(
          `GitHub lists ${list.length} of the ${one.total_count} checks of ${commit} in ${repository}; look at them there.`,
        )
    }
    throw new Refused(`${commit} has more than ${PER_PAGE * MOST_PAGES} checks; look at them in ${repository}.`)
  }
  const other = (sha: string | null | undefined) => sha != null && sha !== commit
  const runs = await all('check-runs', CheckRuns, (p) => p.check_runs)
  const statuses = await all('status', Statuses, (p) => {
    if (other(p.sha)) throw new Error(`GitHub was asked for ${commit} and told of ${p.sha}`)
    return p.statuses
  })
  const stray = runs.find((run) => other(run.head_sha))
  if (stray) throw new Error(`GitHub was asked for ${commit} and told of ${stray.head_sha}`)
  const checks: CiCheck[] = [
    ...runs.map((run) => ({
      name: run.name,
      state:
        run.status !== 'completed'
          ? ('running' as const)
          : FINE.has(run.conclusion ?? '')
            ? ('passed' as const)
            : ('failed' as const),
      said: run.status === 'completed' ? concluded(run.conclusion) : run.status || 'no status',
      at: run.completed_at,
    })),
    ...statuses.map(({ context, state, updated_at }) => ({
      name: context,
      state:
        state === 'success' ? ('passed' as const) : state === 'pending' ? ('running' as const) : ('failed' as const),
      said: STATES.has(state) ? state : `unknown: ${state}`,
      at: updated_at,
    })),
  ].sort((a, b) => a.name.localeCompare(b.name) || a.said.localeCompare(b.said))
  // A skipped check has shown nothing.
  const missing = required.filter((name) => !checks.some((c) => c.name === name && c.said === 'success'))
  const bad = checks.filter((c) => c.state !== 'passed')
  const reasons = [
    ...bad.map((c) => `${c.name} ${c.state === 'running' ? 'has not ended' : `ended with ${c.said}`}`),
    ...missing.filter((name) => !bad.some((c) => c.name === name)).map((name) => `${name} has not passed`),
  ]
  const why = reasons.slice(0, 5).join(', ') + (reasons.length > 5 ? ` and ${reasons.length - 5} more` : '')
  return { green: reasons.length === 0, why, checks }
}

/** A conclusion that is new to us is no success. */
function concluded(conclusion: string | null | undefined): string {
  if (!conclusion) return 'no conclusion'
  return FINE.has(conclusion) || BAD.has(conclusion) ? conclusion : `unknown: ${conclusion.slice(0, 40)}`
}

/** Throws Refused unless the checks of the commit are green. */
export async function refuseUnlessGreen(...of: Parameters<typeof verdictOf>): Promise<Verdict> {
  const verdict = await verdictOf(...of)
  const [, , repository, commit] = of
  if (verdict.green) return verdict
  throw new Refused(`The checks of ${commit} in ${repository} are not green: ${verdict.why}.`)
}
