import { z } from 'zod'
import { Refused } from '../../src/domain/command.ts'
import { ColumnName, identifier, literal, qualified, TableName } from './names.ts'

/** An S3 location of characters that need no escape anywhere. */
const Location = z
  .string()
  .regex(
    /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\/[A-Za-z0-9!_.*()=/:@+-]*$/,
    'an S3 location, as in s3://lake/events/',
  )

const COLUMNAR = ['parquet', 'orc'] as const

/** What one COPY is made of. All of its text comes from here, but for the part of the location below `from`. */
export const Load = z.strictObject({
  table: TableName,
  /** Nothing outside of this prefix is loaded. */
  from: Location.refine((text) => text.endsWith('/'), 'ends in /'),
  iamRole: z.string().regex(/^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]+$/, 'the ARN of a role'),
  format: z.enum(['csv', 'json', 'text', ...COLUMNAR]),
  /** Between the fields of `csv` and `text`. */
  delimiter: z
    .string()
    .regex(/^[^\\'"\p{Cc}]$|^\t$/u, 'one character')
    .optional(),
  /** The columns that the files have, in their order; all of the table's without it. */
  columns: z.array(ColumnName).default([]),
  ignoreHeader: z.number().int().min(0).max(100).default(0),
  /** Data conversion parameters of COPY that take no value. */
  options: z
    .array(
      z.enum([
        'GZIP',
        'EMPTYASNULL',
        'BLANKSASNULL',
        'IGNOREBLANKLINES',
        'ACCEPTINVCHARS',
        'TRIMBLANKS',
        'FILLRECORD',
        'REMOVEQUOTES',
        'ESCAPE',
        'DATEFORMAT AUTO',
        'TIMEFORMAT AUTO',
        'SERIALIZETOJSON',
      ]),
    )
    .default([]),
  /** The most errors that any approval may let a load pass over. */
  maxErrors: z.number().int().min(0).max(1_000).default(0),
  /** The S3 connection that sees these files. */
  s3: z.string().optional(),
  /** An external table over the same files: what columns they have. */
  external: TableName.optional(),
  /** Columns that alone are not enough: a row with these and nothing else is an empty one. */
  keys: z.array(ColumnName).default([]),
})
export type Load = z.output<typeof Load>

/** The load of that name; Refused if the connection has none. */
export function loadOf(loads: Readonly<Record<string, Load>>, name: string): Load {
  const load = Object.hasOwn(loads, name) ? loads[name] : undefined
  if (!load)
    throw new Refused(
      `The connection has no load named "${name}". It has: ${Object.keys(loads).sort().join(', ') || 'none; name it under "loads"'}.`,
    )
  return load
}

/** The location if it is the load's own or below it, and plain; Refused otherwise. */
export function within(load: Load, source: string): string {
  const plain = Location.safeParse(source).success && !/(^|\/)\.{1,2}(\/|$)/.test(source.slice('s3://'.length))
  if (!plain || !source.startsWith(load.from))
    throw new Refused(`${JSON.stringify(source)} is not below ${load.from}, where this load may read.`)
  return source
}

/**
 * The COPY of a load. MAXERROR is the count at which a load fails, so tolerating n errors takes n + 1; columnar formats
 * take none. See COPY in the Redshift developer guide, "Data load operations".
 */
export function copyText(load: Load, source: string, tolerated: number): string {
  const columns = load.columns.length > 0 ? ` (${load.columns.map(identifier).join(', ')})` : ''
  const delimiter = load.delimiter === '\t' ? "'\\t'" : load.delimiter && literal(load.delimiter)
  const format = {
    csv: ['FORMAT AS CSV', ...(delimiter ? [`DELIMITER AS ${delimiter}`] : [])],
    text: [`DELIMITER AS ${delimiter ?? "'|'"}`],
    json: ["FORMAT AS JSON 'auto'"],
    parquet: ['FORMAT AS PARQUET'],
    orc: ['FORMAT AS ORC'],
  }[load.format]
  return [
    `COPY ${qualified(load.table)}${columns}`,
    `FROM ${literal(source)}`,
    `IAM_ROLE ${literal(load.iamRole)}`,
    ...format,
    ...load.options,
    ...(load.ignoreHeader > 0 ? [`IGNOREHEADER AS ${load.ignoreHeader}`] : []),
    ...(tolerated > 0 ? [`MAXERROR AS ${tolerated + 1}`] : []),
  ].join('\n')
}

/** Does COPY take MAXERROR for these files? */
export const canTolerate = (load: Load): boolean => !(COLUMNAR as readonly string[]).includes(load.format)
