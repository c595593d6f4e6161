import { Fault, type Json, startJson } from '../emr/json-server.ts'

type Query = { Id: string; MetricStat: { Metric: { Namespace: string; MetricName: string; Dimensions: Dimension[] } } }
type Dimension = { Name: string; Value: string }

/** How a metric is named here: `ReadThrottleEvents orders` or `ConsumedReadCapacityUnits orders by-date`. */
const nameOf = ({ Metric }: Query['MetricStat']) =>
  [Metric.MetricName, ...Metric.Dimensions.map((one) => one.Value)].join(' ')

/** CloudWatch with the metrics of tables, and Contributor Insights' reports of their keys. Facts: facts.ts beside it. */
export async function startCloudWatch() {
  const state = {
    /** By name; each point is at so many minutes before the end that is asked for. A metric without points has no figures. */
    points: {} as Record<string, [minutesAgo: number, value: number][]>,
    /** What is said of a metric instead of Complete. */
    status: {} as Record<string, { StatusCode?: string; Messages?: Json[] }>,
    messages: [] as Json[],
    /** Points of one page. */
    page: 100_800,
    /** By rule; of each key the counts by minutes before the end. */
    rules: {} as Record<
      string,
      { labels: string[]; keys: [keys: string[], points: [minutesAgo: number, value: number][]][] }
    >,
  }
  const wrong = (message: string) => new Fault('InvalidParameterValueException', message)
  const spanOf = ({ StartTime, EndTime }: Json) => {
    const [start, end] = [Number(StartTime), Number(EndTime)]
    if (!(end > start)) throw wrong('The parameter EndTime must be greater than StartTime.')
    return { start: Math.floor(start / 60) * 60, end }
  }
  const server = await startJson('monitoring', 'GraniteServiceVersion20100801', {
    GetMetricData(input) {
      const { start, end } = spanOf(input)
      const queries = input.MetricDataQueries as Query[]
      if (queries.length > 500) throw wrong('The collection MetricDataQueries must not have a size greater than 500.')
      if (new Set(queries.map((one) => one.Id)).size < queries.length) throw wrong('Two queries have the same Id.')
      if (!queries.every((one) => /^[a-z][a-zA-Z0-9_]*$/.test(one.Id))) throw wrong('An Id is not valid.')
      const from = input.NextToken === undefined ? 0 : Number(/^from-(\d+)$/.exec(`${input.NextToken}`)?.[1])
      if (Number.isNaN(from)) throw new Fault('InvalidNextToken', 'The next token is not valid.')
      const all = queries.flatMap((one, of) =>
        (state.points[nameOf(one.MetricStat)] ?? [])
          .map(([ago, value]) => ({ of, at: end - ago * 60, value }))
          .filter(({ at }) => at >= start && at < end)
          .sort((a, b) => b.at - a.at),
      )
      const page = all.slice(from, from + state.page)
      const rest = all.slice(from + state.page)
      const results = queries.flatMap(({ Id, MetricStat }, of) => {
        const mine = page.filter((one) => one.of === of)
        if (from > 0 && mine.length === 0) return []
        return [
          {
            Id,
            Label: MetricStat.Metric.MetricName,
            Timestamps: mine.map((one) => one.at),
            Values: mine.map((one) => one.value),
            StatusCode: rest.some((one) => one.of === of) ? 'PartialData' : 'Complete',
            ...state.status[nameOf(MetricStat)],
          },
        ]
      })
      return {
        MetricDataResults: results,
        Messages: state.messages,
        ...(rest.length > 0 && { NextToken: `from-${from + state.page}` }),
      }
    },
    GetInsightRuleReport(input) {
      const { end } = spanOf(input)
      const rule = state.rules[`${input.RuleName}`]
      if (!rule) throw new Fault('ResourceNotFoundException', 'The rule does not exist.')
      const most = Number(input.MaxContributorCount ?? 10)
      // DynamoDB's rules name 25 at most.
      if (most < 1 || most > 25) throw wrong('MaxContributorCount')
      if (!['Sum', 'Maximum'].includes(`${input.OrderBy ?? 'Sum'}`)) throw wrong('OrderBy')
      const top = (points: [number, number][]) => Math.max(...points.map(([, value]) => value))
      return {
        KeyLabels: rule.labels,
        AggregationStatistic: 'Sum',
        AggregateValue: 1,
        ApproximateUniqueCount: rule.keys.length,
        Contributors: [...rule.keys]
          .sort(([, a], [, b]) => top(b) - top(a))
          .slice(0, most)
          .map(([Keys, points]) => ({
            Keys,
            ApproximateAggregateValue: points.reduce((sum, [, value]) => sum + value, 0),
            Datapoints: points.map(([ago, value]) => ({ Timestamp: end - ago * 60, ApproximateValue: value })),
          })),
      }
    },
  })
  return { ...server, state }
}
