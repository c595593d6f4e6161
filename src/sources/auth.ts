import { createHash, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'

const EnvName = z
  .string()
  .regex(/^[A-Z_][A-Z0-9_]*$/, 'must be the name of an environment variable, such as ALERTS_TOKEN')

/** How a sender proves itself. There is no way to leave it out. Secrets are named here and kept in the environment. */
export const SourceAuth = z.union(
  [
    z.strictObject({ bearerFrom: EnvName }),
    z.strictObject({
      basic: z.strictObject({ user: z.string().regex(/^[^:\0]+$/, 'must not contain a colon'), passwordFrom: EnvName }),
    }),
  ],
  {
    error:
      'must be { bearerFrom: ENV_NAME } or { basic: { user: NAME, passwordFrom: ENV_NAME } }; a source without it stays closed',
  },
)
export type SourceAuth = z.infer<typeof SourceAuth>

/** The check of one source's Authorization header. */
export type Lock = Readonly<{ scheme: 'Bearer' | 'Basic'; opens(authorization: string | undefined): boolean }>

/** Reads the secret once and compares in constant time. Throws if the secret is unset or empty. */
export function createLock(auth: SourceAuth, secret: (environmentVariable: string) => string): Lock {
  const name = 'basic' in auth ? auth.basic.passwordFrom : auth.bearerFrom
  const value = secret(name)
  if (!value) throw new Error(`${name} is empty: set it to the secret that the alert sender uses`)
  const scheme = 'basic' in auth ? 'Basic' : 'Bearer'
  const expected = hash(Buffer.from('basic' in auth ? `${auth.basic.user}:${value}` : value))
  return {
    scheme,
    opens(authorization = '') {
      const [, given = '', credential = ''] = /^(\S+) +(\S+) *$/.exec(authorization) ?? []
      const bytes = Buffer.from(credential, scheme === 'Basic' ? 'base64' : 'utf8')
      const same = timingSafeEqual(hash(bytes), expected)
      return same && given.toLowerCase() === scheme.toLowerCase()
    },
  }
}

const hash = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest()
