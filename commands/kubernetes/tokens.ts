import { readFile } from 'node:fs/promises'
import { GoogleAuth } from 'google-auth-library'
import { Refused } from '../../src/domain/command.ts'
import { credentialsOf } from '../aws/credentials.ts'
import { type EksSettings, eksToken, LIFETIME_MS } from './eks.ts'

/** Where the bearer token of each request comes from. */
export type Tokens = Readonly<{
  /** The token to send now. Throws Refused with a sentence where there is none. */
  current(): Promise<string>
  /** After a 401: forgets what it has. Whether another token may come. */
  renew(): boolean
  /** What to check when the cluster does not take it. */
  remedy: string
}>

/** The kubelet writes a new token at four fifths of the life of the old one, and clients read the file again each minute. */
const FILE_MS = 60_000
/** Before a token ends it is bought anew. */
const MARGIN_MS = 60_000

export const fixedToken = (token: string, variable: string): Tokens => ({
  current: async () => token,
  renew: () => false,
  remedy: `check the token in ${variable}`,
})

function createKept(get: () => Promise<string>, forMs: number, now: () => number): Omit<Tokens, 'remedy'> {
  let kept: { token: Promise<string>; until: number } | null = null
  return {
    current() {
      if (!kept || kept.until <= now()) {
        const token = get()
        kept = { token, until: now() + forMs }
        // A failure is not kept.
        token.catch(() => {
          kept = null
        })
      }
      return kept.token
    },
    renew() {
      kept = null
      return true
    },
  }
}

/** A projected token: https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken (an hour by default). */
export const fileToken = (path: string, now: () => number = Date.now): Tokens => ({
  ...createKept(
    async () => {
      const token = (await readFile(path, 'utf8').catch(() => '')).trim()
      if (token === '') throw new Refused(`There is no token of Kubernetes in ${path} on the worker.`)
      return token
    },
    FILE_MS,
    now,
  ),
  remedy: `check the token in the file ${path}`,
})

/** By a signed request to AWS's STS, as `aws eks get-token` makes it. */
export function eksTokens(
  settings: EksSettings,
  secret: (variable: string) => string,
  now: () => number = Date.now,
): Tokens {
  const credentials = credentialsOf(settings, secret, undefined)
  return {
    ...createKept(() => eksToken(settings, credentials, new Date(now())), LIFETIME_MS - MARGIN_MS, now),
    remedy: `check that ${settings.cluster} lets this AWS identity in (an access entry, or the aws-auth map)`,
  }
}

/** An access token of Google's for the worker's own identity, which GKE takes as a bearer token. */
export function gkeTokens(): Tokens {
  const auth = new GoogleAuth({ scopes: 'https://www.googleapis.com/auth/cloud-platform' })
  return {
    // The library keeps it, and buys it anew before it ends.
    current: async () => {
      const token = await auth.getAccessToken().catch((cause: unknown) => {
        throw new Refused('The worker has no identity of Google Cloud: none came from its environment.', { cause })
      })
      if (!token) throw new Refused('Google gave the worker no access token.')
      return token
    },
    renew: () => false,
    remedy: 'check that the worker’s Google identity has container.clusters.connect, and a role in the cluster',
  }
}
