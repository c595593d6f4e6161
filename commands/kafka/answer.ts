import { Unanswered } from '../../src/domain/command.ts'

/** The broker's own word that does not say whether it has the records. */
const IN_DOUBT = new Set(['REQUEST_TIMED_OUT', 'NOT_ENOUGH_REPLICAS_AFTER_APPEND'])

/** Sends a change. Throws Unanswered when the broker did not say what became of it: it may have landed, or land yet. */
export async function answered<T>(what: string, send: () => Promise<T>): Promise<T> {
  try {
    return await send()
  } catch (error) {
    for (let e: unknown = error; e instanceof Error; e = e.cause)
      if (e.name === 'KafkaJSProtocolError' && !IN_DOUBT.has(String((e as { type?: unknown }).type))) throw error
    const why = error instanceof Error ? error.message : String(error)
    throw new Unanswered(`kafka: ${what} got no answer: ${why}`, { cause: error })
  }
}
