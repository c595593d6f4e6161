import { z } from 'zod'
import { defineConnection, Refused } from '../../src/domain/command.ts'
import { Networks } from '../http/address.ts'
import { exchange } from '../http/exchange.ts'

const isLoopback = (host: string) => host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)

/** A repository as `owner/name`. */
export const Repository = z
  .string()
  .regex(/^[A-Za-z0-9-]{1,39}\/(?!\.{1,2}$)[\w.-]{1,100}$/, 'a repository such as shop/checkout')

const Settings = z
  .strictObject({
    baseUrl: z.url({ protocol: /^https?$/ }).default('https://api.github.com'),
    tokenFrom: z.string().min(1).optional(),
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
        const { status, body, cut } = await exchange({
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
        })
        // 422: the text given for a commit names none.
        if (status === 404 || status === 422) return undefined
        const remedy = status === 401 || status === 403 ? '; check tokenFrom and what that token may read' : ''
        if (status !== 200 || cut)
          throw new Error(`github: GET ${url.pathname} answered ${cut ? 'more than 8 MiB' : status}${remedy}`)
        try {
          return JSON.parse(body)
        } catch (cause) {
          throw new Error(`github: GET ${url.pathname} answered no JSON; check baseUrl`, { cause })
        }
      },
    }
  },
  close() {},
})

/** What the connection says of a repository; Refused if it does not list it. */
export function listed(settings: Settings, repository: string): Settings['repositories'][string] {
  const found = Object.hasOwn(settings.repositories, repository) ? settings.repositories[repository] : undefined
  if (found) return found
  const names = Object.keys(settings.repositories).sort().join(', ')
  throw new Refused(`The connection does not list the repository "${repository}". It lists: ${names || 'none'}.`)
}
