import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { defineConnection, Refused } from '../../src/domain/command.ts'
import { Networks } from '../http/address.ts'
import { Ca } from '../http/base.ts'
import { type Answer, exchange } from '../http/exchange.ts'
import { answeredWith, parseJson } from '../http/json.ts'
import { patiently, retryAfterMs } from '../http/patience.ts'

const isLoopback = (host: string) => host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)

/** A repository as `owner/name`. */
export const Repository = z
  .string()
  .regex(/^[A-Za-z0-9-]{1,39}\/(?!\.{1,2}$)[\w.-]{1,100}$/, 'a repository such as shop/checkout')

const Settings = z
  .strictObject({
    baseUrl: z.url({ protocol: /^https?$/ }).default('https://api.github.com'),
    tokenFrom: z.string().min(1).optional(),
    ca: Ca,
    networks: Networks,
    /** What may be asked for. `required` names checks without which no commit is green, however many others passed. */
    repositories: z.record(
      Repository,
      z.strictObject({
        required: z.array(z.string().min(1)).min(1),
        branch: z
          .string()
          .regex(/^[\w./-]+$/)
          .default('main'),
      }),
    ),
    timeoutMs: z.number().int().min(100).max(60_000).default(10_000),
  })
  .refine((s) => !s.tokenFrom || s.baseUrl.startsWith('https:') || isLoopback(new URL(s.baseUrl).hostname), {
    path: ['tokenFrom'],
    message: 'a token is sent over https only; change baseUrl',
  })
export type Settings = z.output<typeof Settings>

/** Reads JSON below `/repos/<repository>`; undefined when GitHub says that there is no such thing. */
export type GitHubClient = Readonly<{
  get(
    repository: string,
    path: readonly string[],
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<unknown>
}>

/** Check runs of large repositories hold long texts. */
const MOST_BYTES = 8 * 1024 * 1024

/** The REST API of GitHub, or of a server that speaks it; read only. https://docs.github.com/rest */
export const github = defineConnection<Settings, GitHubClient>({
  kind: 'github',
  settings: Settings,
  open(settings, secret) {
    const token = settings.tokenFrom ? secret(settings.tokenFrom) : undefined
    const root = settings.baseUrl.replace(/\/+$/, '')
    return {
      async get(repository, path, query, signal) {
        const url = new URL(`${root}/repos/${repository}/${path.map(encodeURIComponent).join('/')}`)
        for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
        const what = `github: GET ${url.pathname}`
        for (let tries = 1; ; tries++) {
          const answer = await patiently(
            () =>
              exchange({
                method: 'GET',
                url,
                headers: {
                  accept: 'application/vnd.github+json',
                  'x-github-api-version': '2022-11-28',
                  ...(token && { authorization: `Bearer ${token}` }),
                },
                signal: AbortSignal.any([signal, AbortSignal.timeout(settings.timeoutMs)]),
                maxBytes: MOST_BYTES,
                secret: token,
                reachable: settings.networks,
                ca: settings.ca,
              }),
            signal,
          )
          const { status } = answer
          if (status === 200) return parseJson(answer, what, 'that is more than 8 MiB, so look at GitHub itself')
          // 422: the text given for a commit names none.
          if (status === 404 || status === 422) return undefined
          const limit = limitOf(answer, Date.now())
          if (limit !== null) {
            if (tries < TRIES && limit.waitMs <= MOST_WAIT_MS) {
              await pause(limit.waitMs, undefined, { signal })
              continue
            }
            throw new Error(
              `GitHub takes no more requests of ${token ? 'this token' : 'this address, as no tokenFrom is set'} for ${Math.ceil(limit.waitMs / 1000)} s: ${limit.says}. It says nothing about what the token may read.`,
            )
          }
          const remedy =
            status === 401
              ? '; check tokenFrom: GitHub does not know that token, or it has expired'
              : status === 403
                ? '; check what that token may read: Checks, Commit statuses and Contents'
                : status === 301
                  ? '; the repository was renamed or moved, so change repositories'
                  : ''
          throw new Error(`${what} ${answeredWith(answer)}${remedy}`)
        }
      },
    }
  },
  close() {},
})

const TRIES = 3
/** A limit that lasts longer is said instead. */
const MOST_WAIT_MS = 10_000

/**
 * How long GitHub takes no more requests, where that is why it said 403 or 429; null where it is not:
 * https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit.
 */
function limitOf(answer: Answer, now: number): { waitMs: number; says: string } | null {
  const { status, headers, body } = answer
  if (status !== 403 && status !== 429) return null
  const after = retryAfterMs(answer)
  const isSecondary = /secondary rate limit|abuse detection/i.test(body)
  if (after !== null || isSecondary) return { waitMs: after ?? 60_000, says: 'its secondary rate limit is exceeded' }
  const isUsedUp = headers['x-ratelimit-remaining'] === '0' || /rate limit exceeded/i.test(body)
  if (!isUsedUp && status !== 429) return null
  const reset = Number(headers['x-ratelimit-reset'])
  const most = headers['x-ratelimit-limit']
  return {
    waitMs: Number.isFinite(reset) && reset > 0 ? Math.max(0, reset * 1000 - now) : 60_000,
    says: `${typeof most === 'string' ? `its ${most} requests` : 'its requests'} of this hour are used up`,
  }
}

/** What the connection says of a repository; Refused if it does not list it. */
export function listed(settings: Settings, repository: string): Settings['repositories'][string] {
  const found = Object.hasOwn(settings.repositories, repository) ? settings.repositories[repository] : undefined
  if (found) return found
  const names = Object.keys(settings.repositories).sort().join(', ')
  throw new Refused(`The connection does not list the repository "${repository}". It lists: ${names || 'none'}.`)
}
