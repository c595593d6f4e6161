import { codeOf } from '../postgres/faults.ts'

/** SQLSTATEs of `permission denied for relation` and of a relation that is not there. */
const REFUSED = ['42501', '42P01']

/**
 * Whether a system view is not there for this user: Serverless and clusters in two zones refuse STL, STV and SVL views
 * (42501), and some views are for superusers alone.
 */
export const isHidden = (error: unknown): boolean => REFUSED.includes(codeOf(error))

/** What a view shows, or null where it is not there for this user. */
export async function unlessHidden<T>(look: () => Promise<T>): Promise<T | null> {
  try {
    return await look()
  } catch (error) {
    if (isHidden(error)) return null
    throw error
  }
}
