import { createHash } from 'node:crypto'
import { z } from 'zod'
import { defineChange, Refused } from '../../src/domain/command.ts'
import type { Target } from '../../src/domain/plan.ts'
import { type Choice, choiceText, cleanDump } from './clean-dump.ts'
import { kafka } from './connection.ts'
import { count, type Dump, findDump, linesOf, noLines } from './dump.ts'
import { FORMAT_OF, type Format } from './dump-line.ts'
import { listed } from './position.ts'
import { endsOf, landedAfter, lastIsThere, produceRest, type Replay } from './produce.ts'
import { type Progress, readProgress } from './progress.ts'
import { dumpParams } from './validate-dump.ts'

type Data = Readonly<{
  connection: string
  dump: string
  fingerprint: string
  choice: Choice
  perSecond: number
  invalidPercent: number
  token: string
}>

/** Lines of the beginning that a plan looks at. */
const HEAD = 2_000
const DAY = 24 * 60

/** Produces a dump to its topic at a bounded rate, after every line was checked; goes on where an earlier run ended. */
export const replay = defineChange({
  id: 'kafka.replay',
  summary: 'Check every line of a dump, then produce the valid ones to the topic at a bounded rate',
  effect: 'once',
  risk: 'high',
  runMinutes: DAY,
  params: z.object({
    ...dumpParams,
    topic: z.string().describe('Topic'),
    perSecond: z.coerce.number().int().min(1).describe('Records a second, at most'),
    duplicates: z.enum(['skip', 'keep']).default('skip').describe('Lines that repeat an id'),
    timestamps: z
      .enum(['now', 'keep'])
      .default('now')
      .describe('The time of each record: now, or as the dump has it; what is older than the topic keeps is deleted'),
    invalidPercent: z.coerce.number().min(0).max(100).default(5).describe('Invalid lines, in percent, to stop above'),
  }),
  async plan({ connection, dump: name, format, id, topic, perSecond, duplicates, timestamps, invalidPercent }, ctx) {
    const { client, settings, environment } = await ctx.connect(kafka, connection)
    const { maxPerSecond } = listed(settings, connection, topic)
    if (maxPerSecond === undefined)
      throw new Refused(`The connection "${connection}" sets no maxPerSecond for ${topic}: nothing is replayed to it.`)
    if (perSecond > maxPerSecond)
      throw new Refused(`${topic} takes at most ${maxPerSecond} records a second; ${perSecond} were asked for.`)
    const dump = await findDump(settings, connection, name)
    if (dump.size === 0) throw new Refused(`${name} is empty. Nothing to do.`)
    const choice: Choice = { topic, format, id, duplicates, timestamps }
    const before = begun(dump, choice, await readProgress(dump))
    const head = await lookAtHead(dump, format, id, ctx.signal)
    const partitions = Object.keys(await endsOf(client, settings, topic, ctx)).length
    const token = createHash('sha256')
      .update(JSON.stringify([connection, name, dump.fingerprint, choiceText(choice)]))
      .digest('hex')
      .slice(0, 16)
    const minutes = Math.max(1, Math.ceil(((before?.total ?? head.about) - (before?.produced ?? 0)) / perSecond / 60))
    const done = before ? `${before.produced} of ${before.total} records, up to byte ${before.byte}` : 'nothing'
    const targets: Target[] = [
      {
        id: `kafka:${connection}/${topic}/replay`,
        name: topic,
        fingerprint: `${done} ${before?.at ?? ''}`,
        details: {
          Environment: environment,
          Partitions: String(partitions),
          Rate: `${perSecond} of at most ${maxPerSecond} a second: about ${minutes} minutes`,
          'Produced so far': done,
        },
      },
      {
        id: `kafka:${connection}/dump/${name}`,
        name,
        fingerprint: dump.fingerprint,
        details: {
          Size: `${dump.size} bytes`,
          Written: dump.modified,
          Format: `${format}: ${FORMAT_OF[format]}`,
          Beginning: `of the first ${head.counts.lines} lines ${head.counts.valid} are valid`,
          Records: before ? String(before.total) : `about ${head.about}`,
        },
      },
    ]
    return {
      summary: `Replay ${name} to ${topic}, at most ${perSecond} records a second${before ? `, from byte ${before.byte} of its cleaned copy on` : ''}`,
      targets,
      steps: [
        {
          id: 'clean',
          title: 'Check every line',
          detail: `write ${name}.clean, and ${name}.invalid with what is not valid; stop if that is more than ${invalidPercent} %`,
        },
        {
          id: 'produce',
          title: `Produce to ${topic}`,
          detail: `key ${format === 'jsonl' ? `"${id}"` : 'of the dump'}, time ${timestamps}, lines that repeat an id: ${duplicates}; header keyturn-replay: ${token}/line`,
        },
      ],
      warnings:
        head.counts.invalid > 0 ? [`${head.counts.invalid} of the first ${head.counts.lines} lines are invalid.`] : [],
      data: {
        connection,
        dump: name,
        fingerprint: dump.fingerprint,
        choice,
        perSecond,
        invalidPercent,
        token,
      } satisfies Data,
    }
  },
  async run({ data }, ctx) {
    const { client, settings } = await ctx.connect(kafka, data.connection)
    const dump = await findDump(settings, data.connection, data.dump)
    if (dump.fingerprint !== data.fingerprint)
      throw new Refused(`${data.dump} is no longer the file that was shown. Nothing was produced.`)
    await ctx.step('clean', async () => {
      const before = begun(dump, data.choice, await readProgress(dump))
      if (before) return before.counts
      return cleanDump(dump, data.choice, data.invalidPercent, ctx).catch((error: unknown) => {
        // Nothing was produced so far: to stop here leaves nothing in question.
        if (ctx.signal.aborted) throw new Refused(`The check of ${data.dump} was stopped.`, { cause: error })
        throw error
      })
    })
    const done = await ctx.step('produce', async () => {
      const { produced, counts } = await produceRest(client, settings, replayOf(dump, data), ctx)
      return { produced, invalid: counts.invalid }
    })
    return `${done.produced} records of ${data.dump} are in ${data.choice.topic}; ${done.invalid} invalid lines are in ${data.dump}.invalid.`
  },
  async verify({ data }, ctx) {
    const { client, settings } = await ctx.connect(kafka, data.connection)
    const dump = await findDump(settings, data.connection, data.dump)
    const progress = await readProgress(dump)
    const { produced = 0, total = 0, counts = noLines() } = progress ?? {}
    return [
      {
        title: 'Every valid line was produced',
        ok: progress !== null && produced === total,
        detail: `${produced} of ${total}; ${counts.valid} of ${counts.lines} lines were valid, ${counts.duplicates} repeated an id`,
      },
      {
        title: 'The newest of them is in the topic',
        ok: progress !== null && (await lastIsThere(client, settings, replayOf(dump, data), progress, ctx)),
        detail: progress?.last ? `${data.choice.topic}/${progress.last.partition}/${progress.last.offset}` : '',
      },
    ]
  },
  async probe({ data }, step, ctx) {
    const { client, settings } = await ctx.connect(kafka, data.connection)
    const dump = await findDump(settings, data.connection, data.dump)
    const progress = await readProgress(dump)
    const isOurs = progress?.dump === data.fingerprint && progress.choice === choiceText(data.choice)
    if (step === 'clean')
      return {
        landed: isOurs ? 'yes' : 'no',
        detail: isOurs ? 'the cleaned copy is there' : 'there is no cleaned copy',
      }
    if (!progress || !isOurs) return { landed: 'cannot_tell', detail: 'the progress of this replay is gone' }
    const found = await landedAfter(client, settings, replayOf(dump, data), progress, ctx)
    const produced = progress.produced + found.size
    const detail = `${produced} of ${progress.total} records are in ${data.choice.topic}; to resume goes on with the next one`
    if (produced === progress.total) return { landed: 'yes', detail }
    return { landed: produced === 0 ? 'no' : 'cannot_tell', detail }
  },
})

const replayOf = (dump: Dump, { choice, token, perSecond }: Data): Replay => ({
  dump,
  topic: choice.topic,
  token,
  perSecond,
})

/** What an earlier run of the same replay has done. Refuses a replay that has ended, and another one that has begun. */
function begun(dump: Dump, choice: Choice, before: Progress | null): Progress | null {
  if (!before) return null
  const again = `Remove ${dump.name}.progress to begin anew: its records are then produced a second time.`
  if (before.dump !== dump.fingerprint || before.choice !== choiceText(choice)) {
    if (before.produced === 0 && before.ends === null) return null
    throw new Refused(
      `A replay of ${dump.name} ${before.dump === dump.fingerprint ? `with other choices (${before.choice})` : 'as it was before'} has produced ${before.produced} of ${before.total} records. ${again}`,
    )
  }
  if (before.produced === before.total && before.total > 0)
    throw new Refused(`All ${before.total} records of ${dump.name} were produced, the last at ${before.at}. ${again}`)
  return before
}

/** Judges the beginning, and estimates from it how many lines there are. Refuses when none is a record. */
async function lookAtHead(dump: Dump, format: Format, id: string, signal: AbortSignal) {
  const counts = noLines()
  let bytes = 0
  let fault = ''
  for await (const batch of linesOf(dump, format, id, signal)) {
    for (const line of batch) {
      if (counts.lines >= HEAD) break
      count(counts, line)
      bytes = line.end
      if ('fault' in line.judged) fault ||= line.judged.fault
    }
    if (counts.lines >= HEAD) break
  }
  if (counts.valid === 0)
    throw new Refused(
      `None of the first ${counts.lines} lines of ${dump.name} is valid as ${format} (${FORMAT_OF[format]}): ${fault || 'they are empty'}.`,
    )
  return { counts, about: Math.round((dump.size / bytes) * counts.valid) }
}
