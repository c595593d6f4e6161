import { codeOf, isExpired, isGarbled, isThrottled, NoCredentials, ownText, statusOf } from './refusals.ts'

/** What was asked: `GetObject` of `S3` in a region, at an address if the connection has one of its own. */
export type Asked = Readonly<{
  service: string
  action: string
  region: string
  endpoint?: string | undefined
  roleArn?: string | undefined
}>

/** IAM's prefix of a service where it is not the client's name in small letters. */
const PREFIX: Readonly<Record<string, string>> = {
  'application auto scaling': 'application-autoscaling',
  'auto scaling': 'autoscaling',
  'redshift data': 'redshift-data',
  'redshift serverless': 'redshift-serverless',
  'cloudwatch logs': 'logs',
  emr: 'elasticmapreduce',
  sfn: 'states',
}

/** Which right an operation takes, where it is not called as the operation: service authorization reference, Amazon S3. */
const RIGHT: Readonly<Record<string, string>> = {
  's3:HeadObject': 's3:GetObject (and s3:ListBucket on the bucket, to tell "not there")',
  's3:HeadBucket': 's3:ListBucket',
  's3:ListObjectsV2': 's3:ListBucket',
  's3:ListObjectVersions': 's3:ListBucketVersions',
  's3:CopyObject': 's3:GetObject on the source and s3:PutObject on the copy',
  's3:DeleteObjects': 's3:DeleteObject (and s3:GetObject, for the condition on the ETag)',
  's3:CreateMultipartUpload': 's3:PutObject',
  's3:UploadPart': 's3:PutObject',
  's3:CompleteMultipartUpload': 's3:PutObject (and s3:GetObject, for the condition on the ETag)',
  's3:GetBucketNotificationConfiguration': 's3:GetBucketNotification',
  's3:GetBucketReplication': 's3:GetReplicationConfiguration',
}

/** The action of IAM that an operation takes, such as `elasticmapreduce:ListSteps`. */
export function rightOf({ service, action }: Pick<Asked, 'service' | 'action'>): string {
  const name = service.toLowerCase()
  const right = `${PREFIX[name] ?? name.replaceAll(' ', '')}:${action}`
  return RIGHT[right] ?? right
}

const DENIED =
  /^(AccessDenied(Exception)?|UnauthorizedOperation|UnauthorizedException|NotAuthorized|AuthorizationError|OptInRequired|Forbidden|403)$/
const UNKNOWN_KEY =
  /^(UnrecognizedClient(Exception)?|InvalidClientTokenId|InvalidAccessKeyId|AuthFailure|InvalidToken)$/
const WRONG_SIGN = /^(SignatureDoesNotMatch|InvalidSignature(Exception)?|IncompleteSignature(Exception)?)$/
const WRONG_CLOCK = /^(RequestTimeTooSkewed|RequestExpired|RequestInTheFuture)$/
const ELSEWHERE =
  /^(PermanentRedirect|TemporaryRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraintException|301|307|400BadRegion)$/

/**
 * What went wrong and what to do, as one sentence for a person, of an error that says something about the connection rather
 * than about what was asked; null for all others, whose own text stands.
 */
export function sentenceOf(error: unknown, asked: Asked): string | null {
  const { service, action, region, endpoint, roleArn } = asked
  const what = `${service} ${action}`
  const code = codeOf(error)
  const status = statusOf(error)
  const own = ownText(error)
  const who = roleArn ? `the role ${roleArn}` : 'the credentials of the connection'
  if (error instanceof NoCredentials) return own
  if (isThrottled(error))
    return `AWS refuses ${what} for now, there are too many requests (${code}). Nothing was done by this one. Try again in some minutes`
  if (isExpired(error))
    return `AWS says that the token of ${who} is over (${code}), and a new one is refused as well. Look at where the credentials come from`
  if (UNKNOWN_KEY.test(code)) return `AWS does not know ${who} (${code}, asked for ${what}). Look at the access key`
  if (WRONG_SIGN.test(code))
    return `AWS does not accept the signature of ${what} (${code}). The secret access key is not the one of the access key`
  if (WRONG_CLOCK.test(code))
    return `AWS does not accept the time of the request ${what} (${code}). The clock of the worker is wrong: set it by NTP`
  if (ELSEWHERE.test(code) || status === 301)
    return `AWS says that this is in another region than ${region} (${what}: ${code}${elsewhere(error, own)}). Set "region" of the connection to its own`
  if (DENIED.test(code) || (status === 403 && /^(Unknown(Error)?|)$/.test(code))) return denied(own, asked, who, code)
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return `There is no address for ${hostOf(own, endpoint)} (${what}). Look at "region" (${region})${endpoint ? ' and "endpoint"' : ''} of the connection, and at the worker's DNS`
  if (['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH'].includes(code))
    return `${endpoint ?? `${service} in ${region}`} cannot be reached (${what}: ${code}). Look at the network of the worker${endpoint ? ' and at "endpoint"' : ''}`
  if (/timeout/i.test(code) || code === 'ETIMEDOUT' || /connection timed? ?out/i.test(own))
    return `${what} got no answer in time. The service or the network is slow`
  if (['ECONNRESET', 'EPIPE'].includes(code) || /socket hang up|aborted$/.test(own))
    return `The connection broke before ${what} was answered (${code || 'cut'})`
  if (isGarbled(error))
    return `What came for ${what} is no answer of AWS${status ? ` (HTTP ${status})` : ''}: something between the worker and AWS answered`
  if (status !== undefined && status >= 500)
    return `${what} broke down at AWS (HTTP ${status}${code && !/^(Unknown(Error)?|\d+)$/.test(code) ? `, ${code}` : ''}). See health.aws.amazon.com`
  if (/^(Unknown(Error)?|)$/.test(code) && (own === 'UnknownError' || own === 'Unknown'))
    return `AWS refused ${what} without a word${status ? ` (HTTP ${status})` : ''}`
  return null
}

function denied(own: string, asked: Asked, who: string, code: string): string {
  const [, right = rightOf(asked)] = /not authorized to perform:? ([\w-]+:[\w*]+)/.exec(own) ?? []
  const [, on] = /on (?:the )?resource:? "?(arn:[^\s"]+)"?/.exec(own) ?? []
  const why = /explicit deny/.test(own)
    ? ' A policy forbids it: an explicit deny.'
    : /session polic/.test(own)
      ? " The session's own policy, which Keyturn cuts to the plan, does not hold it."
      : ''
  return `AWS does not let ${who} do ${right}${on ? ` on ${on}` : ''} (${/^(Unknown(Error)?|403|)$/.test(code) ? 'HTTP 403' : code}).${why} Allow it, or ask who keeps these rights`
}

/** Which region it is in, where S3 says so: in the text, or in a header, since a HEAD has no text. */
function elsewhere(error: unknown, own: string): string {
  const { headers } = (error as { $response?: { headers?: Record<string, string> } }).$response ?? {}
  const region = /expecting '([a-z0-9-]+)'/.exec(own)?.[1] ?? headers?.['x-amz-bucket-region']
  return region ? `, it is ${region}` : ''
}

const hostOf = (own: string, endpoint: string | undefined): string =>
  /(?:ENOTFOUND|EAI_AGAIN) ([\w.-]+)/.exec(own)?.[1] ?? endpoint ?? 'the service'
