import { Unanswered } from '../../src/domain/command.ts'
import { passing } from './patience.ts'
import { chainOf, sentenceOf } from './plain.ts'

/** The broker's own word that does not say whether it has the records. */
const IN_DOUBT = new Set(['REQUEST_TIMED_OUT', 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'KAFKA_STORAGE_ERROR'])

/** Sends a change. Throws Unanswered when the broker did not say what became of it: it may have landed, or land yet. */
export async function answered<T>(what: string, send: () => Promise<T>): Promise<T> {
  try {
    return await send()
  } catch (error) {
    for (const e of chainOf(error)) if (e.name === 'KafkaJSProtocolError' && !IN_DOUBT.has(String(e.type))) throw error
    // It did not get as far as to send.
    if (passing(error, true) !== null) throw error
    const why = sentenceOf(error) ?? (error instanceof Error ? error.message : String(error))
    throw new Unanswered(`kafka: ${what} got no answer: ${why}`, { cause: error })
  }
}
