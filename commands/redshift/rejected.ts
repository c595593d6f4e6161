import { Refused } from '../../src/domain/command.ts'
import type { Judge } from '../s3/survey.ts'
import type { LoadError } from './errors.ts'
import { type Load, within } from './load.ts'
import { isHollow, isSameLine, valuesOf } from './records.ts'

/** stl_load_errors keeps 256 bytes of a location. */
const LONGEST_FILE = 256

/** A file with the lines of it that Redshift rejected. */
export type Rejected = Readonly<{ file: string; bucket: string; key: string; errors: readonly LoadError[] }>

/** The file was written anew since Redshift rejected a line of it. */
export class LineMoved extends Refused {
  override name = 'LineMoved'
}

/** The errors of a load by file, each of them inside of what the load may read. */
export function byFile(load: Load, errors: readonly LoadError[]): Rejected[] {
  const files = [...new Set(errors.map((e) => e.file))].sort()
  return files.map((file) => {
    if (Buffer.byteLength(file) >= LONGEST_FILE)
      throw new Refused(
        `The name of a file is longer than the ${LONGEST_FILE} bytes that stl_load_errors keeps: ${file}…`,
      )
    const [bucket = '', ...path] = within(load, file).slice('s3://'.length).split('/')
    return { file, bucket, key: path.join('/'), errors: errors.filter((e) => e.file === file) }
  })
}

/**
 * Judges the lines of a file: bad is what Redshift rejected, if it is still that line, and with `hollow` also every record
 * that has its keys and nothing else.
 */
export function judgeRejected(load: Load, columns: readonly string[], rejected: Rejected, hollow: boolean): Judge {
  return (bytes, number) => {
    const line = bytes.toString('utf8')
    const error = rejected.errors.find((e) => e.line === number)
    if (error && !isSameLine(line, error.rawLine))
      throw new LineMoved(
        `Line ${number} of ${rejected.file} is no longer the one that Redshift rejected: the file was written anew since. Run the load again first.`,
      )
    if (error) return { at: 0, reason: `${error.reason} (${error.column || '?'})` }
    if (line.trim() === '') return 'blank'
    if (!hollow || number <= load.ignoreHeader) return null
    const values = valuesOf(load, columns, line)
    return values && isHollow(values, load.keys) ? { at: 0, reason: `nothing but ${load.keys.join(', ')}` } : null
  }
}
