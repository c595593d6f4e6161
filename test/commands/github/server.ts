import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export type CheckRun = {
  name: string
  status: string
  conclusion: string | null
  completed_at?: string | null
  head_sha?: string
}
export const TOKEN = 'canary-ci-token'

/** GitHub's REST API for one repository: commits with check runs and statuses, in pages of the size asked for. */
export async function startGitHub(repository: string) {
  const commits = new Map<
    string,
    { message: string; runs: CheckRun[]; statuses: { context: string; state: string }[] }
  >()
  const seen: string[] = []
  /** Answers so, with these headers, in place of what was asked for; `times` of them. */
  const mishap = { times: 0, status: 403, headers: {} as Record<string, string>, message: '' }
  /** How many of the check runs there are that are not listed. */
  const hidden = { runs: 0 }
  const server = createServer((request, reply) => {
    const url = new URL(request.url ?? '/', 'http://ci')
    seen.push(url.pathname + url.search)
    const send = (status: number, value: unknown) =>
      reply.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    if (mishap.times > 0) {
      mishap.times--
      const { status, headers, message } = mishap
      return reply
        .writeHead(status, { 'content-type': 'application/json', ...headers })
        .end(JSON.stringify({ message }))
    }
    // As GitHub: no request without a user agent, and a wrong token sees nothing.
    if (!request.headers['user-agent']) return send(403, { message: 'Request forbidden by administrative rules.' })
    if (request.headers.authorization !== `Bearer ${TOKEN}`) return send(401, { message: 'Bad credentials' })
    const root = `/repos/${repository}/commits`
    if (!url.pathname.startsWith(root)) return send(404, { message: 'Not Found' })
    const size = Math.min(100, Number(url.searchParams.get('per_page') ?? 30))
    const from = (Number(url.searchParams.get('page') ?? 1) - 1) * size
    if (url.pathname === root) {
      if (url.searchParams.get('sha') !== 'main') return send(404, { message: 'Not Found' })
      const list = [...commits].reverse().slice(from, from + size)
      return send(
        200,
        list.map(([sha, { message }]) => ({
          sha,
          commit: { message, committer: { date: '2026-11-20T15:00:00Z' } },
        })),
      )
    }
    const [sha = '', kind = ''] = url.pathname.slice(root.length + 1).split('/')
    const commit = commits.get(sha)
    if (!commit) return send(422, { message: `No commit found for SHA: ${sha}` })
    if (kind === 'check-runs')
      return send(200, {
        total_count: commit.runs.length + hidden.runs,
        check_runs: commit.runs.slice(from, from + size).map((run, i) => ({
          id: from + i,
          head_sha: sha,
          completed_at: null,
          html_url: 'https://ci.example.com',
          ...run,
        })),
      })
    if (kind === 'status')
      return send(200, {
        state: 'pending',
        sha,
        total_count: commit.statuses.length,
        statuses: commit.statuses.slice(from, from + size).map((s) => ({ ...s, updated_at: '2026-11-20T15:10:00Z' })),
      })
    return send(404, { message: 'Not Found' })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const passed = (name: string): CheckRun => ({
    name,
    status: 'completed',
    conclusion: 'success',
    completed_at: '2026-11-20T15:20:00Z',
  })
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    commits,
    seen,
    mishap,
    hidden,
    passed,
    /** A newer commit; all its checks passed unless others are given. */
    push(sha: string, message: string, runs: CheckRun[] = [passed('tests')]) {
      commits.set(sha, { message, runs, statuses: [] })
      return commits.get(sha)!
    },
    async close() {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}
export type GitHub = Awaited<ReturnType<typeof startGitHub>>
