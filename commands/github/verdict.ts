import { z } from 'zod'
import { Refused } from '../../src/domain/command.ts'
import { type GitHubClient, listed, type Settings } from './connection.ts'

/** A full commit id: a short one may come to name another commit. */
export const Commit = z.string().regex(/^[0-9a-f]{40}$/, 'a full commit id, 40 hex digits in small letters')

const CheckRuns = z.object({
  total_count: z.number(),
  check_runs: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      conclusion: z.string().nullable(),
      completed_at: z.string().nullable(),
    }),
  ),
})
const Statuses = z.object({
  total_count: z.number(),
  statuses: z.array(z.object({ context: z.string(), state: z.string(), updated_at: z.string() })),
})

export type CiCheck = Readonly<{ name: string; state: 'passed' | 'failed' | 'running'; said: string; at: string }>

/** `green` only if every required check is there and nothing failed or still runs. `why` says what is missing. */
export type Verdict = Readonly<{ green: boolean; why: string; checks: readonly CiCheck[] }>

const PER_PAGE = 100
const MOST_PAGES = 20
/** The conclusions that do not stop a merge. https://docs.github.com/pull-requests/collaborating-with-pull-requests */
const FINE = new Set(['success', 'neutral', 'skipped'])

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
    if (found === undefined) throw new Refused(`There is no commit ${commit} in ${repository}.`)
    return schema.parse(found)
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
      if (items(one).length === 0 || list.length >= one.total_count) return list
    }
    throw new Refused(`${commit} has more than ${PER_PAGE * MOST_PAGES} checks; look at them in ${repository}.`)
  }
  const runs = await all('check-runs', CheckRuns, (p) => p.check_runs)
  const statuses = await all('status', Statuses, (p) => p.statuses)
  const checks: CiCheck[] = [
    ...runs.map((run) => ({
      name: run.name,
      state:
        run.status !== 'completed'
          ? ('running' as const)
          : FINE.has(run.conclusion ?? '')
            ? ('passed' as const)
            : ('failed' as const),
      said: run.status === 'completed' ? (run.conclusion ?? 'no conclusion') : run.status,
      at: run.completed_at ?? '',
    })),
    ...statuses.map(({ context, state, updated_at }) => ({
      name: context,
      state:
        state === 'success' ? ('passed' as const) : state === 'pending' ? ('running' as const) : ('failed' as const),
      said: state,
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

/** Throws Refused unless the checks of the commit are green. */
export async function refuseUnlessGreen(...of: Parameters<typeof verdictOf>): Promise<Verdict> {
  const verdict = await verdictOf(...of)
  const [, , repository, commit] = of
  if (verdict.green) return verdict
  throw new Refused(`The checks of ${commit} in ${repository} are not green: ${verdict.why}.`)
}
