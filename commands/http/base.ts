import { z } from 'zod'

const isLoopback = (host: string) => host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)

/** The base that every request stays within: an origin and a path, nothing else. */
export const BaseUrl = z.url({ protocol: /^https?$/ }).refine((text) => {
  const url = new URL(text)
  return !url.search && !url.hash && !url.username && !url.password
}, 'leave out the query, the fragment and the credentials; a bearer token goes to tokenFrom')

/** The certificate, in PEM, of who signs a service's own; in place of the well-known authorities. */
export const Ca = z
  .string()
  .regex(/^\s*-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----\s*$/, 'not a PEM certificate')
  .optional()

/** A user and a password (RFC 7617), for services that take no token. */
export const BasicAuth = z
  .strictObject({
    kind: z.literal('basic'),
    user: z
      .string()
      .min(1)
      .regex(/^[^:\p{Cc}]+$/u, 'holds a ":" or a control character'),
    passwordFrom: z.string().min(1),
  })
  .optional()

type Guarded = { baseUrl: string; tokenFrom?: string | undefined; auth?: z.infer<typeof BasicAuth> }

/** What `refine` takes, so that no token goes over a line that others can read. */
export const secureFor: [(settings: Guarded) => boolean, { path: string[]; message: string }] = [
  (s) => (!s.tokenFrom && !s.auth) || !s.baseUrl.startsWith('http:') || isLoopback(new URL(s.baseUrl).hostname),
  { path: ['tokenFrom'], message: 'a token or a password is sent over https only; change baseUrl' },
]

/** What `refine` takes, so that it is plain which of the two is sent. */
export const oneOfBoth: [(settings: Guarded) => boolean, { path: string[]; message: string }] = [
  (s) => !s.tokenFrom || !s.auth,
  { path: ['auth'], message: 'tokenFrom or auth, not both: only one Authorization header can be sent' },
]

/** The Authorization header, and what of it nobody may see. */
export function authorized(
  { tokenFrom, auth }: Omit<Guarded, 'baseUrl'>,
  secret: (variable: string) => string,
): { headers: Record<string, string>; secrets: string[] } {
  if (auth) {
    const password = secret(auth.passwordFrom)
    const both = Buffer.from(`${auth.user}:${password}`).toString('base64')
    return { headers: { authorization: `Basic ${both}` }, secrets: [both, password] }
  }
  const token = tokenFrom && secret(tokenFrom)
  return token ? { headers: { authorization: `Bearer ${token}` }, secrets: [token] } : { headers: {}, secrets: [] }
}
