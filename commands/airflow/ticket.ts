import { GoogleAuth } from 'google-auth-library'
import type { Settings } from './connection.ts'
import { type Exchange, NoTicket, tailOf } from './exchange.ts'
import { buyMwaa } from './mwaa.ts'

/** What a request carries, and the server that it is good for. */
export type Ticket = Readonly<{ headers: Readonly<Record<string, string>>; root: string }>
export type Tickets = Readonly<{
  get(signal: AbortSignal): Promise<Ticket>
  /** This one was refused as expired. False where no other can be had. */
  drop(ticket: Ticket): boolean
}>

const GOOGLE_SCOPE = 'https://www.googleapis.com/auth/cloud-platform'

/** The credentials of a connection. What is bought is kept until a request with it was refused. */
export function createTickets(settings: Settings, secret: (variable: string) => string, exchange: Exchange): Tickets {
  const { auth } = settings
  const root = settings.baseUrl?.replace(/\/+$/, '')
  const at = (headers: Ticket['headers']): Ticket => ({ headers, root: root! })
  const bearer = (token: string) => at({ authorization: `Bearer ${token}` })
  let kept: Promise<Ticket> | undefined
  const bought = (buy: (signal: AbortSignal) => Promise<Ticket>): Tickets => ({
    async get(signal) {
      kept ??= buy(signal)
      const own = kept
      try {
        return await own
      } catch (error) {
        // The next request may find the door open.
        if (kept === own) kept = undefined
        throw error
      }
    },
    drop() {
      kept = undefined
      return true
    },
  })
  const fixed = (make: () => Ticket): Tickets => ({ get: async () => make(), drop: () => false })

  switch (auth.kind) {
    case 'bearer':
      return fixed(() => bearer(secret(auth.tokenFrom)))
    case 'basic':
      return fixed(() =>
        at({
          authorization: `Basic ${Buffer.from(`${auth.user}:${secret(auth.passwordFrom)}`).toString('base64')}`,
        }),
      )
    case 'token':
      return bought(async (signal) => {
        const url = `${root}${auth.path}`
        const answer = await exchange.send({
          method: 'POST',
          url,
          body: JSON.stringify({ username: auth.user, password: secret(auth.passwordFrom) }),
          headers: { 'content-type': 'application/json' },
          signal,
        })
        const token = tokenIn(await tailOf(answer.body, 65_536))
        if (!token) throw new NoTicket(url, answer.status, 'check auth.user, auth.passwordFrom and auth.path')
        return bearer(token)
      })
    case 'mwaa':
      return bought(async (signal) => {
        const { headers, host } = await buyMwaa(settings.api, auth, root, secret, exchange, signal)
        return { headers, root: root ?? `https://${host}` }
      })
    case 'google': {
      const key = auth.keyFrom && keyIn(secret(auth.keyFrom), auth.keyFrom)
      const google = new GoogleAuth({ scopes: [GOOGLE_SCOPE], ...(key && { credentials: key }) })
      return bought(async () => {
        if (auth.audience) {
          const headers = await (await google.getIdTokenClient(auth.audience)).getRequestHeaders()
          return at(Object.fromEntries(headers.entries()))
        }
        const token = await google.getAccessToken()
        if (!token) throw new NoTicket('Google', 0, 'check auth.keyFrom or the identity of this machine')
        return bearer(token)
      })
    }
  }
}

function keyIn(text: string, variable: string): object {
  try {
    return JSON.parse(text) as object
  } catch {
    throw new Error(`airflow: the variable ${variable} holds no JSON: put the whole key file in`)
  }
}

function tokenIn(text: string): string | undefined {
  try {
    const { access_token: token } = JSON.parse(text) as { access_token?: unknown }
    return typeof token === 'string' ? token : undefined
  } catch {
    return undefined
  }
}
