import { z } from 'zod'

/** A table by its schema and name, each a plain identifier: `events.clicks`. */
export const TableName = z
  .string()
  .regex(
    /^[A-Za-z_][A-Za-z0-9_$]{0,126}\.[A-Za-z_][A-Za-z0-9_$]{0,126}$/,
    'a table with its schema, as in events.clicks',
  )

/** A column, as it stands in a definition. */
export const ColumnName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_$]{0,126}$/, 'letters, digits, _ and $')

/** Schema and table, in lower case as Redshift keeps them. */
export function partsOf(table: string): { schema: string; name: string } {
  const [schema = '', name = ''] = table.toLowerCase().split('.')
  return { schema, name }
}

/** Quotes an identifier, so that it can be nothing else. */
export const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** Quotes a schema and table. */
export function qualified(table: string): string {
  const { schema, name } = partsOf(table)
  return `${identifier(schema)}.${identifier(name)}`
}

/** Quotes a text for a statement that takes no bound values; a backslash would escape in Redshift, so there is none. */
export function literal(text: string): string {
  if (/[\\\p{Cc}]/u.test(text)) throw new Error(`not a plain text: ${JSON.stringify(text)}`)
  return `'${text.replaceAll("'", "''")}'`
}

/** The id of a query, as text: it is a BIGINT, of which a number would lose digits. */
export const queryParam = (says: string) =>
  z.coerce
    .string()
    .regex(/^[1-9]\d{0,18}$/, 'the id of a query, digits alone')
    .optional()
    .describe(says)
