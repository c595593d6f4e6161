import { errorCodes } from 'kafkajs/src/protocol/error.js'
import { Refused, Unanswered } from '../../src/domain/command.ts'
import { NoToken } from './auth.ts'
import { BadBytes } from './wire/bytes.ts'

/** The chain of an error: kafkajs wraps what a broker said. */
export function* chainOf(error: unknown): Generator<Error & { type?: unknown; code?: unknown }> {
  // By its shape: what Node itself throws is no Error of this realm under a test.
  for (let e = error as Error | null | undefined; typeof e?.message === 'string'; e = e.cause as Error | undefined)
    yield e
}

/** The broker's own word in an error, such as NOT_LEADER_FOR_PARTITION; null if it is none of a broker. */
export function wordOf(error: unknown): string | null {
  for (const e of chainOf(error)) if (typeof e.type === 'string') return e.type
  // kafkajs keeps no more than the text of some of them when it wraps them.
  for (const e of chainOf(error)) {
    const known = /^KafkaJS/.test(e.name) && errorCodes.find(({ message }) => message === e.message)
    if (known) return known.type
  }
  return null
}

const RIGHTS = 'See the rights that the connection needs in commands/kafka/rights.md.'
const SENTENCES: Readonly<Record<string, string>> = {
  TOPIC_AUTHORIZATION_FAILED: `Kafka does not let this user read or write the topic. ${RIGHTS}`,
  GROUP_AUTHORIZATION_FAILED: `Kafka does not let this user read the consumer group. ${RIGHTS}`,
  CLUSTER_AUTHORIZATION_FAILED: `Kafka does not let this user do that in the cluster. ${RIGHTS}`,
  UNKNOWN_TOPIC_OR_PARTITION: 'Kafka has no topic of that name, or does not let this user see it.',
  INVALID_TOPIC_EXCEPTION: 'Kafka takes no topic of that name.',
  OFFSET_OUT_OF_RANGE: 'The offset is no longer in the topic: what stood there was deleted meanwhile.',
  MESSAGE_TOO_LARGE: 'The topic takes no record of that size (max.message.bytes): nothing was written.',
  RECORD_LIST_TOO_LARGE: 'The topic takes no batch of that size: nothing was written.',
  NOT_ENOUGH_REPLICAS: 'Too few replicas are in sync (min.insync.replicas): nothing was written.',
  POLICY_VIOLATION: 'A policy of the cluster refuses it: nothing was written.',
  INVALID_RECORD:
    'The broker refuses the record (a compacted topic wants a key, or its schema is checked): nothing was written.',
  INVALID_TIMESTAMP:
    'The broker refuses the time of the record (message.timestamp.before.max.ms): nothing was written.',
  UNSUPPORTED_COMPRESSION_TYPE: 'The broker gives no records of that compression to this version of the protocol.',
  SASL_AUTHENTICATION_FAILED:
    'Kafka refuses the login: look at sasl of the connection, and at the secret that it names.',
  UNSUPPORTED_SASL_MECHANISM: 'Kafka does not know the mechanism that sasl of the connection names.',
}

/** What went wrong, as one sentence for a person: no word of a library's own. Null for what no sentence is known for. */
export function sentenceOf(error: unknown): string | null {
  const word = wordOf(error)
  if (word !== null && Object.hasOwn(SENTENCES, word)) return SENTENCES[word]!
  for (const e of chainOf(error)) {
    if (e instanceof NoToken) return `Kafka was not asked to log in: ${e.message}`
    if (e.name === 'NoCredentials') return `Kafka was not asked to log in. ${e.message}`
    // kafkajs reads behind the end of an answer that is shorter than it should be.
    if (
      /^ERR_(OUT_OF_RANGE|BUFFER_OUT_OF_BOUNDS)$/.test(String(e.code)) ||
      (e.name === 'TypeError' && /node_modules.kafkajs/.test(e.stack ?? ''))
    )
      return 'What the broker sent cannot be read: it is not what the protocol says.'
    if (e instanceof BadBytes) return `What the broker sent cannot be read: ${e.message}.`
    if (e.name === 'KafkaJSSASLAuthenticationError')
      return /mechanism is not supported/.test(e.message)
        ? SENTENCES.UNSUPPORTED_SASL_MECHANISM!
        : SENTENCES.SASL_AUTHENTICATION_FAILED!
  }
  for (const e of chainOf(error)) {
    const code = String(e.code ?? '')
    const text = `${code} ${e.message}`
    if (/CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS_CERT/.test(code) || /certificate/i.test(e.message))
      return `The brokers' certificate is not accepted (${/alert/.test(text) ? 'they refuse ours' : code || e.message}): look at ca, certFrom and serverName under tls.`
    if (/ERR_SSL|EPROTO|wrong version number|packet length/i.test(text))
      return 'The brokers do not speak TLS at that port, or want it where it is off: look at tls and the port.'
    if (/ENOTFOUND|EAI_AGAIN/.test(text))
      return 'The name of a broker is not known to this worker: look at brokers, and at its DNS.'
    if (/ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH|ECONNRESET|Connection|closed/i.test(text) && /^KafkaJS/.test(e.name))
      return 'No broker was reached, or the connection broke off: look at brokers, the network, and whether tls fits the port.'
    if (e.name === 'KafkaJSRequestTimeoutError' || e.name === 'KafkaJSLockTimeout')
      return 'A broker gave no answer in time.'
  }
  return word !== null ? `Kafka answers ${word.toLowerCase().replaceAll('_', ' ')}.` : null
}

/** Throws what `work` throws, with a sentence for a person. What says one already is left as it is. */
export async function plainly<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof Refused || error instanceof Unanswered) throw error
    const sentence = sentenceOf(error)
    if (sentence === null) throw error
    throw new Error(sentence, { cause: error })
  }
}
