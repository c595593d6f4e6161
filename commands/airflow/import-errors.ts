import { z } from 'zod'
import { defineRead } from '../../src/domain/command.ts'
import { airflow } from './connection.ts'
import { lastLines } from './failed-tasks.ts'
import { cutNote } from './list.ts'
import { line } from './show.ts'

const ROWS = 15
const TRACES = 3

/** The files that Airflow cannot import, the latest first, with the end of their tracebacks. */
export const importErrors = defineRead({
  id: 'airflow.import-errors',
  summary: 'List the DAG files that do not import, with file, line and error',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Airflow connection'),
    file: z.string().default('').describe('Part of the file name; empty for all'),
  }),
  async read({ connection, file }, ctx) {
    const { client } = await ctx.connect(airflow, connection)
    const listed = await client.importErrors(ctx.signal)
    const errors = listed
      .filter((error) => error.file.includes(file))
      .sort((a, b) => (a.time === b.time ? a.id - b.id : a.time < b.time ? 1 : -1))
    if (errors.length === 0)
      return {
        summary: `${file && listed.length > 0 ? `No file like "${line(file, 60)}" is among the ${listed.length} that do not import.` : 'Every DAG file imports.'}${cutNote(listed)}`,
        blocks: [],
      }
    return {
      summary: `${errors.length} DAG ${errors.length === 1 ? 'file does' : 'files do'} not import; the latest is ${errors[0]!.file}.${cutNote(listed)}`,
      blocks: [
        {
          type: 'table',
          columns: ['Since', 'File', 'Line', 'Error'],
          rows: errors
            .slice(0, ROWS)
            .map((e) => [e.time, e.file, lineIn(e.file, e.trace), line(e.trace.trim().split('\n').at(-1) ?? '')]),
          omitted: Math.max(0, errors.length - ROWS),
        },
        ...errors
          .slice(0, TRACES)
          .map((e) => ({ type: 'code' as const, text: `${e.file}\n${lastLines(e.trace, 12)}` })),
      ],
    }
  },
})

/** The last line of the file itself that a traceback names; the error may have been raised in a library below it. */
export function lineIn(file: string, trace: string): string {
  let found = ''
  for (const text of trace.split('\n')) {
    const at = text.indexOf(`File "${file}", line `)
    if (at >= 0) found = text.slice(at).match(/", line (\d+)/)?.[1] ?? found
  }
  return found || '?'
}
