import { Unanswered } from '../../src/domain/command.ts'

/**
 * Sends a change to AWS. Without an answer, or with one that the service broke down over, it may have been taken: then this
 * throws Unanswered. A refusal of the service is thrown as it is.
 */
export async function answered<T>(what: string, signal: AbortSignal, send: () => Promise<T>): Promise<T> {
  try {
    return await send()
  } catch (error) {
    const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode
    if (signal.aborted || (status !== undefined && status >= 300 && status < 500)) throw error
    throw new Unanswered(`${what} got no answer of the service; it may have taken effect`, { cause: error })
  }
}
