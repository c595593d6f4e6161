import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { kafka } from './connection.ts'
import { count, DumpName, findDump, linesOf, noLines } from './dump.ts'
import { FORMAT_OF, FORMATS } from './dump-line.ts'
import { preview } from './record.ts'

const SHOWN = 10
/** A look ends after a minute; what was read until shortly before is an answer as well. */
const ENOUGH_MS = 45_000

/** What all commands on dumps ask for. */
export const dumpParams = {
  connection: z.string().describe('Kafka connection'),
  dump: DumpName.describe('File of the dump'),
  format: z.enum(FORMATS).default('jsonl').describe('How the dump was written'),
  id: z.string().min(1).max(100).default('id').describe('Field that tells records apart'),
}

/** Counts the valid, invalid and repeated lines of a dump. */
export const validateDump = defineRead({
  id: 'kafka.validate-dump',
  summary: 'Count the valid and invalid lines of a dump of a topic, and those that repeat an id',
  effect: 'read',
  params: z.object(dumpParams),
  async read({ connection, dump: name, format, id }, ctx) {
    const { settings } = await ctx.connect(kafka, connection)
    const dump = await findDump(settings, connection, name)
    const counts = noLines()
    const rows: string[][] = []
    const until = performance.now() + ENOUGH_MS
    let readTo = 0
    for await (const batch of linesOf(dump, format, id, ctx.signal)) {
      for (const line of batch) {
        count(counts, line)
        if ('fault' in line.judged && rows.length < SHOWN)
          rows.push([String(line.line), line.judged.fault, preview(line.bytes)])
        readTo = line.end
      }
      if (performance.now() > until) break
    }
    const { lines, valid, invalid, duplicates } = counts
    const partly = readTo < dump.size ? ` The first ${readTo} of ${dump.size} bytes were read.` : ''
    return {
      summary: `${name}: ${lines} lines, ${valid} valid, ${invalid} invalid; ${duplicates} of the valid ones repeat an "${id}".${partly}`,
      blocks: [
        {
          type: 'text',
          text: `${dump.size} bytes, written ${dump.modified}. Read as ${format}: ${FORMAT_OF[format]}.`,
        },
        ...(rows.length > 0
          ? [{ type: 'table' as const, columns: ['Line', 'Fault', 'Begins'], rows, omitted: invalid - rows.length }]
          : []),
      ],
    }
  },
})
