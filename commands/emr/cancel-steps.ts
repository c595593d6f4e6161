import { CancelStepsCommand } from '@aws-sdk/client-emr'
import { z } from 'zod'
import type { RunContext } from '../../src/domain/command.ts'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { answered } from '../aws/answered.ts'
import { narrowed } from '../aws/narrow.ts'
import { outlive } from '../aws/outlive.ts'
import { rest, waiting } from '../settle.ts'
import { emr } from './connection.ts'
import { ClusterId, changeable, createdOf, listSteps, stateOf, statesOf } from './look.ts'
import { changing } from './rights.ts'

type Data = Readonly<{ connection: string; cluster: string; steps: readonly string[]; force: boolean }>

/** CancelSteps takes at most 256 ids. */
const MAX = 256
/** Running steps can be cancelled from this release on: "Cancel steps", EMR management guide. */
const SINCE = [5, 28]
/** After these a step does nothing more. */
const OVER = new Set(['CANCELLED', 'INTERRUPTED', 'COMPLETED', 'FAILED'])
const isCancelled = (state: string): boolean => state === 'CANCELLED' || state === 'INTERRUPTED'
const isOpen = (state: string): boolean => state === 'PENDING' || state === 'RUNNING'

/** Cancels named steps that wait; one that runs is interrupted only when `running` is yes. Waits until they have ended. */
export const cancelSteps = defineChange({
  id: 'emr.cancel-steps',
  summary: 'Cancel steps of an EMR cluster, and wait until they have ended',
  effect: 'idempotent',
  risk: 'high',
  params: z.object({
    connection: z.string().describe('EMR connection'),
    cluster: ClusterId,
    steps: z
      .string()
      .regex(/^s-[A-Z0-9]+( *, *s-[A-Z0-9]+)*$/, 'step ids such as s-2ABC, separated by commas')
      .describe('Ids of the steps, separated by commas'),
    running: z.enum(['no', 'yes']).default('no').describe('Whether a running step is interrupted'),
    force: z
      .enum(['no', 'yes'])
      .default('no')
      .describe('Whether its processes are killed at once (SIGKILL) rather than asked to end (SIGTERM)'),
  }),
  async plan({ connection, cluster: id, steps: text, running, force }, ctx) {
    const { client, environment, settings } = await ctx.connect(emr, connection)
    const cluster = await changeable(client.reads, id, settings, ctx.signal)
    const ids = [...new Set(text.split(/ *, */))].sort()
    if (ids.length > MAX) throw new Refused(`EMR cancels at most ${MAX} steps at a time; ${ids.length} were named.`)
    const open = await listSteps(client.reads, id, ['PENDING', 'RUNNING', 'CANCEL_PENDING'], ctx.signal)
    const chosen = ids.map((step) => {
      const found = open.find((one) => one.Id === step)
      if (!found)
        throw new Refused(`${step} is not an open step of "${cluster.Name}": it has ended or was never there.`)
      if (stateOf(found) === 'CANCEL_PENDING') throw new Refused(`${step} is being cancelled already.`)
      if (stateOf(found) === 'RUNNING' && running === 'no')
        throw new Refused(`${step} ("${found.Name ?? 'no name'}") runs. Set "running" to yes to interrupt it.`)
      return found
    })
    const runs = chosen.some((step) => stateOf(step) === 'RUNNING')
    if (runs && isBefore(cluster.ReleaseLabel ?? '', SINCE))
      throw new Refused(
        `"${cluster.Name}" is ${cluster.ReleaseLabel}: EMR cancels running steps from release ${SINCE.join('.')} on only.`,
      )
    const option = force === 'yes' ? 'TERMINATE_PROCESS' : 'SEND_INTERRUPT'
    return {
      summary: `Cancel ${chosen.length} of ${open.length} open steps of "${cluster.Name}"`,
      targets: chosen.map((step) => ({
        id: `emr:${connection}/${id}/${step.Id}`,
        name: step.Name ?? step.Id ?? '',
        fingerprint: `${step.Id} ${stateOf(step)}`,
        details: {
          Cluster: `${cluster.Name} (${id})`,
          Environment: environment,
          Region: settings.region,
          State: stateOf(step),
          Created: createdOf(step),
        },
      })),
      steps: [
        { id: 'cancel', title: 'Ask EMR to cancel', detail: `CancelSteps ${id} ${ids.join(' ')} ${option}` },
        {
          id: 'ended',
          title: 'Wait until they have ended',
          detail: `ListSteps ${id}, for at most ${settings.cancelMinutes} minutes`,
        },
      ],
      warnings: runs
        ? [
            'What a running step has written so far stays: delete its temporary files before it runs again.',
            'An application that the step started on YARN may go on: look for it, and kill it by emr.kill-application.',
            'Steps that wait do not begin because of this, unless EMR runs several at a time.',
          ]
        : [],
      data: { connection, cluster: id, steps: ids, force: force === 'yes' } satisfies Data,
    }
  },
  async run({ data, targets }, given) {
    const ctx = await narrowed(given, emr, data.connection, (own) =>
      changing(own, data.cluster, ['CancelSteps', 'ListSteps']),
    )
    const { client } = await ctx.connect(emr, data.connection)
    const refused = await ctx.step('cancel', async () => {
      const now = await statesOf(client.reads, data.cluster, data.steps, ctx.signal)
      const moved = targets.find((target, i) => target.fingerprint !== `${data.steps[i]} ${now[i]}`)
      if (moved && !now.every((state) => state === 'CANCEL_PENDING' || isCancelled(state)))
        throw new Refused(`The step "${moved.name}" is no longer in the state that was shown. Make the plan again.`)
      if (moved) return ''
      const input = {
        ClusterId: data.cluster,
        StepIds: [...data.steps],
        StepCancellationOption: data.force ? ('TERMINATE_PROCESS' as const) : ('SEND_INTERRUPT' as const),
      }
      const { CancelStepsInfoList = [] } = await answered(`CancelSteps ${data.cluster}`, ctx.signal, () =>
        client.writes.send(new CancelStepsCommand(input), { abortSignal: ctx.signal }),
      )
      const failed = CancelStepsInfoList.filter((info) => info.Status === 'FAILED')
      const why = failed.map((info) => `${info.StepId} (${info.Reason ?? 'no reason'})`).join(', ')
      if (failed.length > 0 && failed.length === data.steps.length) throw new Refused(`EMR did not cancel ${why}.`)
      return why
    })
    const ended = await ctx.step('ended', () => waiting(ctx.signal, () => untilEnded(data, ctx)))
    if (refused) throw new Error(`EMR did not cancel ${refused}. The others: ${ended}`)
    return `${ended}.`
  },
  async verify({ data }, ctx) {
    const { client } = await ctx.connect(emr, data.connection)
    const states = await statesOf(client.reads, data.cluster, data.steps, ctx.signal)
    return data.steps.map((step, i) => ({
      title: `${step} is cancelled`,
      ok: isCancelled(states[i]!),
      detail: shown(states[i]!),
    }))
  },
  async probe({ data }, step, ctx) {
    const { client } = await ctx.connect(emr, data.connection)
    const states = await statesOf(client.reads, data.cluster, data.steps, ctx.signal)
    const detail = described(data, states)
    if (step === 'ended') return { landed: states.every((state) => OVER.has(state)) ? 'yes' : 'no', detail }
    if (states.every((state) => state === 'CANCEL_PENDING' || isCancelled(state))) return { landed: 'yes', detail }
    // A step that ended by itself may have been asked to stop just before. EMR may show a cancel some seconds late.
    return { landed: states.every(isOpen) ? 'no' : 'cannot_tell', detail }
  },
})

const shown = (state: string): string =>
  OVER.has(state) || isOpen(state) || ['CANCEL_PENDING', 'gone'].includes(state) ? state : `unknown: ${state}`
const described = (data: Pick<Data, 'steps'>, states: readonly string[]): string =>
  data.steps.map((step, i) => `${step} is ${shown(states[i]!)}`).join(', ')

/** CancelSteps only takes the wish: EMR ends a step some minutes later, or not at all. Returns what became of each. */
async function untilEnded(data: Data, ctx: RunContext): Promise<string> {
  const { client, settings } = await ctx.connect(emr, data.connection)
  const until = ctx.now().getTime() + settings.cancelMinutes * 60_000
  const note = (text: string) => ctx.progress(1, 2, text)
  const pace = { signal: ctx.signal, pauseMs: settings.pollSeconds * 1000, onPause: note }
  for (;;) {
    const states = await outlive(() => statesOf(client.reads, data.cluster, data.steps, ctx.signal), pace)
    const said = described(data, states)
    if (states.every((state) => OVER.has(state))) return said
    if (ctx.now().getTime() > until)
      throw new Error(
        `EMR has not ended all of them within ${settings.cancelMinutes} minutes: ${said}. ${
          data.force
            ? 'Kill its application on YARN, or run the workflow on another cluster'
            : 'Ask again with "force" set to yes, or kill its application on YARN'
        }`,
      )
    note(said)
    await rest(settings.pollSeconds, ctx.signal)
  }
}

/** Is a release such as `emr-5.27.1` older than this? */
function isBefore(release: string, [major = 0, minor = 0]: readonly number[]): boolean {
  const [, a, b] = /^emr-(\d+)\.(\d+)/.exec(release) ?? []
  return a !== undefined && (Number(a) < major || (Number(a) === major && Number(b) < minor))
}
