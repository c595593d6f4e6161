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
/** Data conversion parameters that COPY takes for columnar files: "COPY from columnar data formats" of the developer guide. */
const OF_COLUMNAR: readonly string[] = ['ACCEPTINVCHARS', 'FILLRECORD', 'SERIALIZETOJSON']

/**
 * What runs a load every day. `none`: nothing does, so Keyturn's own COPY stands for it. Anything else has tasks behind the
 * load that wait for it: they go on only when its own failed task is run again.
 */
export const Orchestrator = z.enum(['airflow', 'another', 'none'])

/** What one COPY is made of. All of its text comes from here, but for the part of the location below `from`. */
export const Load = z
  .strictObject({
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
          'BZIP2',
          'LZOP',
          'ZSTD',
          'ACCEPTANYDATE',
          'ROUNDEC',
          'TRUNCATECOLUMNS',
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
    /** The location names a manifest, a JSON file that lists the files to load, and not a prefix of keys. */
    manifest: z.boolean().default(false),
    /** How fields of JSON find their columns: by name, by name without case, or by a JSONPaths file. */
    jsonPaths: z.union([z.enum(['auto', 'auto ignorecase']), Location]).default('auto'),
    /** The region of the bucket, where it is another one than that of the warehouse. */
    region: z
      .string()
      .regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'a region, as in eu-west-1')
      .optional(),
    /** The text that stands for NULL; `\\N` is Redshift's own. */
    nullAs: z
      .string()
      .regex(/^(\\N|[^\\\p{Cc}]{0,100})$/u, 'a text without control characters and backslashes, or \\N')
      .optional(),
    /** Where it differs from that of the connection. */
    orchestrator: Orchestrator.optional(),
    /** The most errors that any approval may let a load pass over. */
    maxErrors: z.number().int().min(0).max(1_000).default(0),
    /** The S3 connection that sees these files. */
    s3: z.string().optional(),
    /** An external table over the same files: what columns they have. */
    external: TableName.optional(),
    /** Columns that alone are not enough: a row with these and nothing else is an empty one. */
    keys: z.array(ColumnName).default([]),
  })
  .superRefine((load, issues) => {
    const wrong = (path: string, message: string) => issues.addIssue({ code: 'custom', message, path: [path] })
    const columnar = (COLUMNAR as readonly string[]).includes(load.format)
    if (load.format !== 'json' && load.jsonPaths !== 'auto') wrong('jsonPaths', 'only for the format json')
    if (load.jsonPaths.startsWith(load.from))
      wrong('jsonPaths', 'lies below from: COPY would load it as a data file. Keep it elsewhere')
    if (!columnar) return
    const no = load.options.filter((option) => !OF_COLUMNAR.includes(option))
    if (no.length > 0) wrong('options', `COPY of ${load.format} takes no ${no.join(', ')}`)
    if (load.region) wrong('region', `COPY of ${load.format} reads buckets of its own region only`)
    if (load.nullAs !== undefined) wrong('nullAs', `COPY of ${load.format} takes no NULL AS`)
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
    json: [`FORMAT AS JSON ${literal(load.jsonPaths)}`],
    parquet: ['FORMAT AS PARQUET'],
    orc: ['FORMAT AS ORC'],
  }[load.format]
  return [
    `COPY ${qualified(load.table)}${columns}`,
    `FROM ${literal(source)}`,
    `IAM_ROLE ${literal(load.iamRole)}`,
    ...(load.manifest ? ['MANIFEST'] : []),
    ...(load.region ? [`REGION AS ${literal(load.region)}`] : []),
    ...format,
    ...load.options,
    // A backslash escapes in Redshift.
    ...(load.nullAs === undefined ? [] : [`NULL AS ${load.nullAs === '\\N' ? "'\\\\N'" : literal(load.nullAs)}`]),
    ...(load.ignoreHeader > 0 ? [`IGNOREHEADER AS ${load.ignoreHeader}`] : []),
    ...(tolerated > 0 ? [`MAXERROR AS ${tolerated + 1}`] : []),
  ].join('\n')
}

/** Does COPY take MAXERROR for these files? */
export const canTolerate = (load: Load): boolean => !(COLUMNAR as readonly string[]).includes(load.format)

/** Can the lines of its files be read here? They are plain or gzipped. */
export const unreadable = (load: Load): string | null =>
  load.options.find((option) => ['BZIP2', 'LZOP', 'ZSTD'].includes(option)) ?? null

/** Why Keyturn's own COPY is not what mends a load; null if it is. */
export function notOurs(load: Load, name: string, orchestrator: z.output<typeof Orchestrator>): string | null {
  const runs = load.orchestrator ?? orchestrator
  if (runs === 'none') return null
  const how =
    runs === 'airflow'
      ? 'Clear its failed task in Airflow (airflow.clear-tasks)'
      : 'Run its failed task again where it runs (in Airflow: airflow.clear-tasks)'
  return `The load "${name}" is run by ${runs === 'airflow' ? 'Airflow' : 'an orchestrator'}: a COPY beside it leaves its task failed and all behind it undone, and skips what the task does besides, such as staging and merging. ${how}. For a load that nothing else runs, set "orchestrator: none" on it.`
}
