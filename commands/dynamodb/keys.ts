import { type CloudWatchClient, GetInsightRuleReportCommand } from '@aws-sdk/client-cloudwatch'
import { DescribeContributorInsightsCommand, type DynamoDBClient } from '@aws-sdk/client-dynamodb'
import type { EvidenceBlock } from '../../src/domain/command.ts'
import { codeOf, statusOf } from '../aws/refusals.ts'
import { maskValue } from '../mask.ts'
import { asked, clock, MINUTES, windowOf } from './figures.ts'
import { exact } from './remarks.ts'

/** Keys that are shown, and the characters of each. DynamoDB's rules take 25 at most: "CloudWatch contributor insights: How it works". */
const KEYS = 5
const CHARACTERS = 60

/** What Contributor Insights says of a table's keys: sentences, and a table of the throttled ones. */
export type Keys = Readonly<{ text: string; block: EvidenceBlock | null }>

/** Whether Contributor Insights counts the keys of a table and, where CloudWatch can be asked, which are throttled most. */
export async function keysOf(
  tables: DynamoDBClient,
  cloudwatch: CloudWatchClient | null,
  TableName: string,
  now: Date,
  signal: AbortSignal,
): Promise<Keys> {
  const said = (text: string): Keys => ({ text, block: null })
  try {
    const found = await tables.send(new DescribeContributorInsightsCommand({ TableName }), { abortSignal: signal })
    const status = found.ContributorInsightsStatus
    if (status !== 'ENABLED')
      return said(
        `Contributor Insights is ${status === 'DISABLED' || status === undefined ? 'off' : status}: which keys are hot is not counted.`,
      )
    const rules = found.ContributorInsightsRuleList ?? []
    // Rules are named DynamoDBContributorInsights-PKT-…: P or S by partition key or with the sort key, T of what was throttled.
    const throttled = rules.filter((rule) => /^DynamoDBContributorInsights-[PS]KT-/.test(rule))
    const others = rules.filter((rule) => !throttled.includes(rule))
    const where = [
      ...(others.length > 0 ? [`the hottest are in CloudWatch under ${others.join(', ')}`] : []),
      ...(throttled.length > 0 ? [`the throttled ones in CloudWatch under ${throttled.join(', ')}`] : []),
    ]
    const text = `Contributor Insights counts its keys: ${where.join('; ') || 'the hottest are in CloudWatch under Contributor Insights'}.`
    // With the sort key where the table has one: that names the item.
    const rule = throttled.find((one) => one.includes('-SKT-')) ?? throttled[0]
    if (!rule || !cloudwatch) return said(text)
    const report = await reportOf(cloudwatch, rule, now, signal)
    return { text: `${text}\n${report.text}`, block: report.block }
  } catch (error) {
    if (signal.aborted) throw error
    return said(
      statusOf(error) === 403 || /AccessDenied/.test(codeOf(error))
        ? 'Hot keys: Contributor Insights cannot be looked up (dynamodb:DescribeContributorInsights is missing).'
        : 'Hot keys: Contributor Insights does not answer.',
    )
  }
}

/** Of DynamoDB's rules the maximum alone means something, so keys are put in order by it. */
async function reportOf(client: CloudWatchClient, RuleName: string, now: Date, signal: AbortSignal): Promise<Keys> {
  const report = await asked('cloudwatch:GetInsightRuleReport', signal, (abortSignal) =>
    client.send(
      new GetInsightRuleReportCommand({
        ...{ RuleName, ...windowOf(now), Period: 60, MaxContributorCount: KEYS, OrderBy: 'Maximum' },
      }),
      { abortSignal },
    ),
  )
  if (typeof report === 'string')
    return { text: `The throttled keys could not be asked of CloudWatch: ${report}.`, block: null }
  const labels = report.KeyLabels ?? []
  const rows = (report.Contributors ?? []).slice(0, KEYS).map((one) => {
    const key = (one.Keys ?? []).map((value, i) => maskValue(labels[i] ?? '', value ?? '')).join(' / ')
    const points = (one.Datapoints ?? []).filter((point) => Number.isFinite(point.ApproximateValue))
    const most = points.reduce<(typeof points)[number] | null>(
      (a, b) => (a === null || b.ApproximateValue! > a.ApproximateValue! ? b : a),
      null,
    )
    return [
      key === '' ? 'not named' : key.length > CHARACTERS ? `${key.slice(0, CHARACTERS)}…` : key,
      most ? `about ${exact(most.ApproximateValue!)}` : 'not said',
      most?.Timestamp instanceof Date ? clock(most.Timestamp) : '',
    ]
  })
  if (rows.length === 0)
    return {
      text: `It names no throttled key of the last ${MINUTES} minutes. Writes that an index holds back are not counted there.`,
      block: null,
    }
  return {
    text: `Its most throttled keys of the last ${MINUTES} minutes are below.`,
    block: { type: 'table', columns: ['Throttled key', 'Most a minute', 'When'], rows, omitted: 0 },
  }
}
