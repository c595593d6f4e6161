import { Refused } from '../../src/domain/command.ts'
import type { Judge } from '../s3/survey.ts'
import type { LoadError } from './errors.ts'
import { type Load, within } from './load.ts'
import { isHollow, isPart, isSameLine, valuesOf } from './records.ts'

/** The views keep 256 bytes of a location. */
const LONGEST_FILE = 256

/** A file with the lines of it that Redshift rejected. */
export type Rejected = Readonly<{ file: string; bucket: string; key: string; errors: readonly LoadError[] }>

/** A line of a file cannot be shown to be the one that Redshift rejected. */
export class LineMoved extends Refused {
  override name = 'LineMoved'
}

/** The errors of a load by file, each of them inside of what the load may read. */
export function byFile(load: Load, errors: readonly LoadError[]): Rejected[] {
  const files = [...new Set(errors.map((e) => e.file))].sort()
  return files.map((file) => {
    if (Buffer.byteLength(file) >= LONGEST_FILE)
      throw new Refused(`The name of a file is longer than the ${LONGEST_FILE} bytes that Redshift keeps: ${file}…`)
    const [bucket = '', ...path] = within(load, file).slice('s3://'.length).split('/')
    return { file, bucket, key: path.join('/'), errors: errors.filter((e) => e.file === file) }
  })
}

/** When a file was written, and when the load of it began; S3 keeps whole seconds. */
export type Times = Readonly<{ written: Date | undefined; loaded: string }>

/** Is the file as it was when the load began? */
export const isUntouched = ({ written, loaded }: Times): boolean =>
  written !== undefined && written.getTime() + 1_000 <= Date.parse(loaded)

/**
 * Judges the lines of a file: bad is what Redshift rejected, if it is still that line, and with `hollow` also every record
 * that has its keys and nothing else. Where Redshift keeps no copy of the line, the file must be older than the load.
 */
export function judgeRejected(
  load: Load,
  columns: readonly string[],
  rejected: Rejected,
  hollow: boolean,
  times: Times,
): Judge {
  return (bytes, number) => {
    const line = bytes.toString('utf8')
    const error = rejected.errors.find((e) => e.line === number)
    if (error?.rawLine === null && !isUntouched(times))
      throw new LineMoved(
        `Redshift keeps no copy of line ${number} of ${rejected.file}, and the file was written after the load began (${times.loaded}): nobody can say that it is still that line. Run the load again first.`,
      )
    if (error && error.rawLine !== null && !isSameLine(line, error.rawLine))
      throw new LineMoved(
        `Line ${number} of ${rejected.file} is no longer the one that Redshift rejected: the file was written anew since. Run the load again first.`,
      )
    if (error && isPart(load, line))
      throw new Refused(
        `Line ${number} of ${rejected.file} is a part of a record that goes over several lines: it cannot be set aside line by line. Have the producer write the file again.`,
      )
    if (error) return { at: 0, reason: `${error.reason} (${error.column || '?'})` }
    if (line.trim() === '') return 'blank'
    if (!hollow || number <= load.ignoreHeader) return null
    const values = valuesOf(load, columns, line)
    return values && isHollow(values, load.keys) ? { at: 0, reason: `nothing but ${load.keys.join(', ')}` } : null
  }
}
