import { Unanswered } from '../../src/domain/command.ts'
import { mayHaveLanded } from './client.ts'

/**
 * Sends a change to AWS. Without an answer, or with one that the service broke down over, it may have been taken: then this
 * throws Unanswered. A refusal of the service, and of credentials or an address before anything was sent, is thrown as it is.
 */
export async function answered<T>(what: string, signal: AbortSignal, send: () => Promise<T>): Promise<T> {
  try {
    return await send()
  } catch (error) {
    if (signal.aborted || !mayHaveLanded(error)) throw error
    throw new Unanswered(`${what} got no answer of the service; it may have taken effect`, { cause: error })
  }
}
