import { z } from 'zod'
import type { RunContext } from '../../src/domain/command.ts'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { narrowed } from '../aws/narrow.ts'
import { identityOf } from '../machines/identity.ts'
import { scripting } from '../machines/rights.ts'
import { commentOf, perform, probeCommand } from '../machines/send.ts'
import { quote } from '../machines/shell.ts'
import { rest, waiting } from '../settle.ts'
import { emr } from './connection.ts'
import { ClusterId, changeable } from './look.ts'
import { ApplicationId, primaryOf, quickly, statusOf } from './yarn.ts'

type Data = Readonly<{
  connection: string
  cluster: string
  node: string
  application: string
  token: string
  since: string
}>

const OPEN = new Set(['NEW', 'NEW_SAVING', 'SUBMITTED', 'ACCEPTED', 'RUNNING'])
const OVER = new Set(['KILLED', 'FINISHED', 'FAILED'])

/** Kills one application of YARN on the primary node, such as one that a cancelled step has left. */
export const killApplication = defineChange({
  id: 'emr.kill-application',
  summary: 'Kill one YARN application of an EMR cluster',
  effect: 'idempotent',
  risk: 'high',
  params: z.object({
    connection: z.string().describe('EMR connection'),
    cluster: ClusterId,
    application: ApplicationId,
  }),
  async plan({ connection, cluster: id, application }, ctx) {
    const { client, environment, settings } = await ctx.connect(emr, connection)
    const cluster = await changeable(client.reads, id, settings, ctx.signal)
    const node = await primaryOf(connection, id, ctx)
    const found = await statusOf(connection, node, application, ctx)
    if (!found) throw new Refused(`YARN of "${cluster.Name}" knows no ${application}.`)
    const state = found.State ?? ''
    if (!OPEN.has(state)) throw new Refused(`${application} is ${shown(state)}: there is nothing to kill.`)
    return {
      summary: `Kill ${application} ("${found['Application-Name'] ?? 'no name'}") of "${cluster.Name}"`,
      targets: [
        {
          id: `emr:${connection}/${id}/${application}`,
          name: found['Application-Name'] ?? application,
          fingerprint: `${application} ${found['Start-Time'] ?? ''}`,
          details: {
            Cluster: `${cluster.Name} (${id})`,
            Environment: environment,
            Region: settings.region,
            Application: application,
            Type: found['Application-Type'] ?? 'unknown',
            User: found.User ?? 'unknown',
            Queue: found.Queue ?? 'unknown',
            Started: startOf(found['Start-Time']),
            Node: node,
          },
        },
      ],
      steps: [
        { id: 'kill', title: 'Kill it', detail: `AWS-RunShellScript ${node}: ${killLine(application)}` },
        {
          id: 'gone',
          title: 'Wait until YARN has ended it',
          detail: `yarn application -status, for at most ${settings.cancelMinutes} minutes`,
        },
      ],
      warnings: [
        'What it has written so far stays: delete its temporary files before it runs again.',
        'A step that waits for it ends as FAILED, and its action on failure follows: it may cancel the others or end the cluster.',
      ],
      data: {
        connection,
        cluster: id,
        node,
        application,
        ...identityOf({ connection, id, application, step: 'kill' }, ctx),
      } satisfies Data,
    }
  },
  async run({ data }, given) {
    const ctx = await narrowed(given, emr, data.connection, (own, { region }) => scripting(own, region, data.node))
    const { client, settings } = await ctx.connect(emr, data.connection)
    const note = (text: string) => ctx.progress(0, 2, text)
    await ctx.step('kill', async () => {
      const now = await statusOf(data.connection, data.node, data.application, ctx, note)
      if (!now) throw new Refused(`YARN does not know ${data.application} any more.`)
      if (OVER.has(now.State ?? '')) return now.State ?? ''
      const order = {
        instance: data.node,
        script: [`${killLine(data.application)} >&2`],
        comment: commentOf(data, 'kill'),
      }
      await perform(client.primary, quickly(settings), order, ctx.signal, note)
      return 'sent'
    })
    const state = await ctx.step('gone', () => waiting(ctx.signal, () => untilOver(data, ctx)))
    return `${data.application} is ${state}.`
  },
  async verify({ data }, ctx) {
    const now = await statusOf(data.connection, data.node, data.application, ctx)
    const state = now?.State ?? 'gone'
    return [{ title: 'The application was killed', ok: state === 'KILLED', detail: shown(state) }]
  },
  async probe({ data }, step, ctx) {
    const state = (await statusOf(data.connection, data.node, data.application, ctx))?.State ?? 'gone'
    const detail = `${data.application} is ${shown(state)}`
    if (state === 'KILLED') return { landed: 'yes', detail }
    if (step === 'gone') return { landed: OVER.has(state) ? 'yes' : 'no', detail }
    const { client } = await ctx.connect(emr, data.connection)
    const order = { instance: data.node, comment: commentOf(data, 'kill'), since: data.since }
    const command = await probeCommand(client.primary, order, ctx.signal)
    return { landed: command.landed, detail: `${detail}. ${command.detail}` }
  },
})

const killLine = (application: string): string => `yarn application -kill ${quote(application)}`
const shown = (state: string): string =>
  OPEN.has(state) || OVER.has(state) || state === 'gone' ? state : `unknown: ${state}`

/** YARN's times are milliseconds since 1970. */
const startOf = (text: string | undefined): string =>
  /^\d{12,14}$/.test(text ?? '') ? new Date(Number(text)).toISOString() : 'unknown'

async function untilOver(data: Data, ctx: RunContext): Promise<string> {
  const { settings } = await ctx.connect(emr, data.connection)
  const until = ctx.now().getTime() + settings.cancelMinutes * 60_000
  const note = (text: string) => ctx.progress(1, 2, text)
  for (;;) {
    const state = (await statusOf(data.connection, data.node, data.application, ctx, note))?.State ?? 'gone'
    if (OVER.has(state)) return state
    if (ctx.now().getTime() > until)
      throw new Error(`${data.application} is ${shown(state)} ${settings.cancelMinutes} minutes after it was killed`)
    note(`${data.application} is ${shown(state)}`)
    await rest(settings.pollSeconds, ctx.signal)
  }
}
