import { CancelStepsCommand, DescribeStepCommand } from '@aws-sdk/client-emr'
import { z } from 'zod'
import type { ReadContext } from '../../src/domain/command.ts'
import { defineChange, Refused } from '../../src/domain/command.ts'
import { answered } from '../aws/answered.ts'
import { settled } from '../settle.ts'
import { emr } from './connection.ts'
import { ClusterId, changeable, createdOf, listSteps, stateOf } from './look.ts'

type Data = Readonly<{ connection: string; cluster: string; steps: readonly string[] }>

/** CancelSteps takes at most 256 ids. */
const MAX = 256
const CANCELLED = new Set(['CANCEL_PENDING', 'CANCELLED', 'INTERRUPTED'])

/** Cancels named steps that wait; one that runs is interrupted only when `running` is yes. */
export const cancelSteps = defineChange({
  id: 'emr.cancel-steps',
  summary: 'Cancel steps of an EMR cluster',
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
  }),
  async plan({ connection, cluster: id, steps: text, running }, ctx) {
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
        throw new Refused(`${step} ("${found.Name}") runs. Set "running" to yes to interrupt it.`)
      return found
    })
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
      steps: [{ id: 'cancel', title: 'Cancel the steps', detail: `CancelSteps ${id} ${ids.join(' ')}` }],
      warnings: chosen.some((step) => stateOf(step) === 'RUNNING')
        ? ['What a running step has written so far stays: delete its temporary files before it runs again.']
        : [],
      data: { connection, cluster: id, steps: ids } satisfies Data,
    }
  },
  async run({ data, targets }, ctx) {
    const { client } = await ctx.connect(emr, data.connection)
    await ctx.step('cancel', async () => {
      const now = await statesOf(data, ctx)
      const moved = targets.find((target, i) => target.fingerprint !== `${data.steps[i]} ${now[i]}`)
      if (moved && !now.every((state) => CANCELLED.has(state)))
        throw new Refused(`The step "${moved.name}" is no longer in the state that was shown. Make the plan again.`)
      if (!moved) {
        const input = {
          ClusterId: data.cluster,
          StepIds: [...data.steps],
          StepCancellationOption: 'SEND_INTERRUPT' as const,
        }
        const { CancelStepsInfoList = [] } = await answered(`CancelSteps ${data.cluster}`, ctx.signal, () =>
          client.writes.send(new CancelStepsCommand(input), { abortSignal: ctx.signal }),
        )
        const failed = CancelStepsInfoList.filter((info) => info.Status === 'FAILED')
        if (failed.length > 0)
          throw new Refused(
            `EMR did not cancel ${failed.map((info) => `${info.StepId} (${info.Reason ?? 'no reason'})`).join(', ')}.`,
          )
      }
      return null
    })
    return `EMR was asked to cancel ${data.steps.join(', ')}.`
  },
  async verify({ data }, ctx) {
    const good = (states: string[]) => states.every((state) => CANCELLED.has(state) && state !== 'CANCEL_PENDING')
    const states = await settled(() => statesOf(data, ctx), good, ctx.signal)
    return data.steps.map((step, i) => ({
      title: `${step} is cancelled`,
      ok: good([states[i] ?? '']),
      detail: states[i] ?? '',
    }))
  },
  async probe({ data }, _step, ctx) {
    const states = await statesOf(data, ctx)
    const detail = data.steps.map((step, i) => `${step} is ${states[i]}`).join(', ')
    if (states.every((state) => CANCELLED.has(state))) return { landed: 'yes', detail }
    // A step that ended by itself may have been asked to stop just before.
    const open = states.every((state) => state === 'PENDING' || state === 'RUNNING')
    return { landed: open ? 'no' : 'cannot_tell', detail }
  },
})

async function statesOf(data: Data, ctx: ReadContext): Promise<string[]> {
  const { client } = await ctx.connect(emr, data.connection)
  const states: string[] = []
  for (const StepId of data.steps) {
    const { Step } = await client.reads.send(new DescribeStepCommand({ ClusterId: data.cluster, StepId }), {
      abortSignal: ctx.signal,
    })
    states.push(Step ? stateOf(Step) : 'unknown')
  }
  return states
}
