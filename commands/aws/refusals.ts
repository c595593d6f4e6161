/** What an error of the SDK carries besides its name and message. */
type Raw = Readonly<{
  name?: string
  Code?: string
  code?: string
  message?: string
  $metadata?: { httpStatusCode?: number; attempts?: number }
  $response?: { statusCode?: number }
  cause?: unknown
}>

/** What the SDK or the network said of an error whose message is a sentence for people by now. */
const ownTexts = new WeakMap<object, string>()

/** Gives an error another message; what it was stays its cause, and what it is judged by. */
export function retell(error: Error, sentence: string): void {
  ownTexts.set(error, error.message)
  error.cause = new Error(error.message, { cause: error.cause })
  error.message = sentence
}

/** What an error said first. */
export const ownText = (error: unknown): string =>
  (typeof error === 'object' && error !== null ? ownTexts.get(error) : undefined) ?? textOf(error)

/** The message as it is now. */
const NETWORK = /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ECONNRESET|EPIPE|ETIMEDOUT)\b/

/** The code that AWS or the network gave an error, such as `ThrottlingException` or `ECONNRESET`. */
export const codeOf = (error: unknown): string => {
  const { name = '', Code, code } = (error ?? {}) as Raw
  // A code that no model knows becomes the name; a broken connection has its own in `code`, or in its text alone.
  const said = [code, Code, name].find((one) => typeof one === 'string' && one !== '' && one !== 'Error')
  return said ?? NETWORK.exec(ownText(error))?.[1] ?? ''
}

/** The HTTP status that AWS answered with; undefined where there was no answer. */
export const statusOf = (error: unknown): number | undefined => {
  const { $metadata, $response } = (error ?? {}) as Raw
  return $metadata?.httpStatusCode ?? $response?.statusCode
}

/** No credentials could be had: the request that wanted them was never sent. */
export class NoCredentials extends Error {
  override name = 'NoCredentials'
}

/**
 * Refused before anything was done, since there were too many requests: "Common Error Types" of each API reference, and S3's
 * "List of error codes". LimitExceededException is not among them: it may be a quota, or in DynamoDB too many tables
 * that change at once, so it is not sent again by itself.
 */
const THROTTLED = new Set([
  ...['Throttling', 'ThrottlingException', 'ThrottledException', 'RequestThrottled', 'RequestThrottledException'],
  ...['TooManyRequestsException', 'RequestLimitExceeded', 'BandwidthLimitExceeded', 'EC2ThrottledException'],
  ...['ProvisionedThroughputExceededException', 'PriorRequestNotComplete', 'SlowDown', 'RateExceeded'],
  ...['ThrottlingErrorException', 'RequestRateLimitExceeded', 'TooManyRequests'],
])

export const isThrottled = (error: unknown): boolean => THROTTLED.has(codeOf(error)) || statusOf(error) === 429

/** The token is over, and another one may be had. */
export const isExpired = (error: unknown): boolean =>
  ['ExpiredToken', 'ExpiredTokenException', 'TokenRefreshRequired', 'ExpiredCredentials'].includes(codeOf(error))

/** A HEAD is refused without a word: for a token that is over as for other reasons. */
export const isMute = (error: unknown): boolean =>
  statusOf(error) === 400 && /^(400|Unknown(Error)?|)$/.test(codeOf(error))

/** The connection was never there, so nothing was sent over it. */
const isUnreached = (error: unknown): boolean =>
  ['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH'].includes(codeOf(error))

/** What came is no answer of AWS: half of one, or a page of what stands in between. */
export const isGarbled = (error: unknown): boolean =>
  codeOf(error) === 'SyntaxError' ||
  /Deserialization error|Unexpected (token|end)|Unterminated|in JSON at|char '.*' is not expected|Unclosed/i.test(
    ownText(error),
  )

/** A certainly untouched service: it refused, or was not reached at all. */
export const isUntouched = (error: unknown): boolean => {
  if (error instanceof NoCredentials || isThrottled(error) || isUnreached(error)) return true
  const status = statusOf(error)
  return status !== undefined && status >= 300 && status < 500
}

/** May another try soon do better: too many requests, a breakdown, a connection that broke, a token that is over? */
export function isPassing(error: unknown): boolean {
  if (error instanceof NoCredentials) return isPassing(error.cause)
  if (isThrottled(error) || isExpired(error) || isGarbled(error)) return true
  // S3's 400 for a body that did not come in time.
  if (/^RequestTimeout(Exception)?$/.test(codeOf(error))) return true
  const status = statusOf(error)
  if (status !== undefined && status !== 200) return status >= 500 || status === 408
  const code = codeOf(error)
  if (['ENOTFOUND', 'AbortError', 'CredentialsProviderError'].includes(code)) return false
  // Without a status the connection broke, or the time for an answer was over; with 200 the answer was not whole.
  return (
    status === 200 ||
    /^E[A-Z_]+$/.test(code) ||
    /timeout/i.test(code) ||
    /socket|hang up|timeout|\baborted\b/i.test(ownText(error))
  )
}

export const textOf = (error: unknown): string => String((error as Raw)?.message ?? error)
