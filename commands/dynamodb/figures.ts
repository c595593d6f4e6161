import { type CloudWatchClient, GetMetricDataCommand, type MetricDataResult } from '@aws-sdk/client-cloudwatch'
import { codeOf, statusOf } from '../aws/refusals.ts'
import { maskSecrets } from '../mask.ts'

/** How far back is looked, and how long CloudWatch may take for it. */
export const MINUTES = 30
const PATIENCE_MS = 20_000
/** Queries of one GetMetricData, and points of one answer: API_GetMetricData. More pages than these are not read. */
const QUERIES = 500
const PAGES = 20

/** DynamoDB sums up each minute: "DynamoDB Metrics and dimensions". Values are a minute's sum. */
const PERIOD = 60
const METRICS = {
  consumedRead: 'ConsumedReadCapacityUnits',
  consumedWrite: 'ConsumedWriteCapacityUnits',
  throttledReads: 'ReadThrottleEvents',
  throttledWrites: 'WriteThrottleEvents',
} as const
export type Metric = keyof typeof METRICS

/** ThrottledRequests has no figures of a table but by operation: its dimensions are TableName and Operation. */
const OPERATIONS = [
  ...['PutItem', 'UpdateItem', 'DeleteItem', 'BatchWriteItem', 'TransactWriteItems', 'GetItem', 'BatchGetItem'],
  ...['Query', 'Scan', 'TransactGetItems', 'ExecuteStatement', 'BatchExecuteStatement', 'ExecuteTransaction'],
] as const

/** `peak` is per second, of the minute `at` (UTC); `sum` is of all minutes. `whole` is false where some may be missing. */
export type Figure =
  | Readonly<{ kind: 'figures'; peak: number; at: string; sum: number; whole: boolean }>
  | Readonly<{ kind: 'none' }>
  | Readonly<{ kind: 'unread'; why: string }>

type Place = Readonly<Record<Metric, Figure>>
export type Figures = Readonly<{
  table: Place
  indexes: Readonly<Record<string, Place>>
  /** Throttled requests by operation. */
  requests: Readonly<Record<string, Figure>>
  /** What CloudWatch said of the whole answer. */
  messages: readonly string[]
}>

/** The whole minutes that are looked at; the end is not among them. */
export const windowOf = (now: Date) => {
  const end = Math.floor(now.getTime() / 60_000) * 60_000
  return { StartTime: new Date(end - MINUTES * 60_000), EndTime: new Date(end) }
}

export const clock = (time: Date): string => `${time.toISOString().slice(11, 16)} UTC`

/** Asks for no longer than anybody waits for a card; why it was in vain is a sentence. Throws only once `signal` is over. */
export async function asked<T>(
  right: string,
  signal: AbortSignal,
  ask: (signal: AbortSignal) => Promise<T>,
): Promise<T | string> {
  const patience = AbortSignal.timeout(PATIENCE_MS)
  try {
    return await ask(AbortSignal.any([signal, patience]))
  } catch (error) {
    if (signal.aborted) throw error
    if (patience.aborted) return `it did not answer within ${PATIENCE_MS / 1000} seconds`
    if (statusOf(error) === 403 || /AccessDenied/.test(codeOf(error))) return `${right} is missing`
    return maskSecrets((error as Error).message).replace(/\.$/, '')
  }
}

type Query = Readonly<{
  Id: string
  name: string
  dimensions: Readonly<Record<string, string>>
  put(one: Figure): void
}>

/** What a table and its indexes consumed and how much was throttled; why CloudWatch could not be asked, if it could not. */
export async function figuresOf(
  client: CloudWatchClient,
  TableName: string,
  indexes: readonly string[],
  now: Date,
  signal: AbortSignal,
): Promise<Figures | string> {
  const queries: Query[] = []
  const add = <K extends string>(into: Record<K, Figure>, key: K, name: string, dimensions: Record<string, string>) =>
    queries.push({
      ...{ Id: `m${queries.length}`, name, dimensions },
      put: (one) => {
        into[key] = one
      },
    })
  const placeOf = (dimensions: Record<string, string>): Place => {
    const place = {} as Record<Metric, Figure>
    for (const [metric, name] of Object.entries(METRICS) as [Metric, string][]) add(place, metric, name, dimensions)
    return place
  }
  const found = {
    table: placeOf({ TableName }),
    indexes: Object.fromEntries(
      indexes.map((GlobalSecondaryIndexName) => [
        GlobalSecondaryIndexName,
        placeOf({ TableName, GlobalSecondaryIndexName }),
      ]),
    ),
    requests: {} as Record<string, Figure>,
    messages: [] as string[],
  }
  for (const Operation of OPERATIONS) add(found.requests, Operation, 'ThrottledRequests', { TableName, Operation })

  const failure = await asked('cloudwatch:GetMetricData', signal, async (abortSignal) => {
    for (let from = 0; from < queries.length; from += QUERIES)
      await ask(client, queries.slice(from, from + QUERIES), now, found.messages, abortSignal)
    return null
  })
  return failure ?? found
}

async function ask(
  client: CloudWatchClient,
  queries: readonly Query[],
  now: Date,
  messages: string[],
  abortSignal: AbortSignal,
): Promise<void> {
  const window = windowOf(now)
  const MetricDataQueries = queries.map(({ Id, name, dimensions }) => ({
    Id,
    MetricStat: {
      Metric: {
        Namespace: 'AWS/DynamoDB',
        MetricName: name,
        Dimensions: Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value })),
      },
      Period: PERIOD,
      Stat: 'Sum',
    },
  }))
  const results = new Map<string, MetricDataResult[]>(queries.map(({ Id }) => [Id, []]))
  let NextToken: string | undefined
  for (let page = 0; page < PAGES && (page === 0 || NextToken); page++) {
    const command = new GetMetricDataCommand({ ...window, MetricDataQueries, ScanBy: 'TimestampDescending', NextToken })
    const answer = await client.send(command, { abortSignal })
    for (const one of answer.MetricDataResults ?? []) results.get(one.Id ?? '')?.push(one)
    for (const { Code, Value } of answer.Messages ?? [])
      messages.push(maskSecrets([Code, Value].filter(Boolean).join(': ')).slice(0, 200))
    NextToken = answer.NextToken
  }
  if (NextToken) messages.push(`there are more than ${PAGES} pages`)
  for (const { Id, put } of queries) put(figureOf(results.get(Id) ?? [], window))
}

/** One metric out of the pages that named it. What the last page says of it counts: "MetricDataResult". */
function figureOf(pages: readonly MetricDataResult[], window: ReturnType<typeof windowOf>): Figure {
  const last = pages.at(-1)
  if (!last) return { kind: 'unread', why: 'no answer' }
  const status: string = last.StatusCode ?? 'no status'
  const sums = new Map<number, number>()
  for (const { Timestamps = [], Values = [] } of pages) {
    if (Timestamps.length !== Values.length) return { kind: 'unread', why: 'times and values do not match' }
    for (const [i, time] of Timestamps.entries()) {
      const [at, value] = [time?.getTime?.() ?? Number.NaN, Values[i]!]
      if (!Number.isFinite(at) || !Number.isFinite(value) || value < 0)
        return { kind: 'unread', why: 'a value that is no figure' }
      if (at >= window.StartTime.getTime() && at < window.EndTime.getTime()) sums.set(at, value)
    }
  }
  const told = last.Messages?.[0]
  const why = maskSecrets([status, told?.Code, told?.Value].filter(Boolean).join(': ')).slice(0, 200)
  if (sums.size === 0) return status === 'Complete' && !told ? { kind: 'none' } : { kind: 'unread', why }
  const [at, most] = [...sums].reduce((a, b) => (b[1] > a[1] || (b[1] === a[1] && b[0] > a[0]) ? b : a))
  const sum = [...sums.values()].reduce((a, b) => a + b, 0)
  return { kind: 'figures', peak: most / PERIOD, at: clock(new Date(at)), sum, whole: status === 'Complete' }
}
