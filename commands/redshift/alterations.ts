import { Refused } from '../../src/domain/command.ts'
import { type Column, differences, LONGEST, lengthOf, mapped, type Wanted } from './columns.ts'
import type { Limits } from './limits.ts'
import { ColumnName, identifier, qualified } from './names.ts'
import { KEPT_BYTES } from './records.ts'

/** One statement that a table is altered by. `type` is what the column has afterwards. */
export type Alteration = Readonly<{ kind: 'add' | 'widen'; column: string; type: string; from: string; sql: string }>

const parts = (text: string): string[] =>
  text
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter(Boolean)

const named = (name: string): string => {
  if (!ColumnName.safeParse(name).success)
    throw new Refused(`${JSON.stringify(name)} cannot be the name of a column here: letters, digits, _ and $.`)
  return name.toLowerCase()
}

/** `note varchar(64), seen timestamp` as columns to add. */
export function parseAdd(text: string): Wanted[] {
  return parts(text).map((part) => {
    const [, name = '', source = ''] = /^(\S+)\s+(.+)$/.exec(part) ?? []
    const type = mapped(source)
    if (type === null)
      throw new Refused(
        `${JSON.stringify(part)} is not a name and a type. Types: timestamp, date, int32, int64, float, double, bool, varchar, varchar(n), json.`,
      )
    return { name: named(name), source, type }
  })
}

/** `note 512, title 1024` as lengths to widen to. */
export function parseWiden(text: string): { name: string; length: number }[] {
  return parts(text).map((part) => {
    const [, name = '', digits = ''] = /^(\S+)\s+(\d{1,6})$/.exec(part) ?? []
    const length = Number(digits)
    if (name === '' || length < 1 || length > LONGEST)
      throw new Refused(`${JSON.stringify(part)} is not a column and a length from 1 to ${LONGEST}.`)
    return { name: named(name), length }
  })
}

const add = (table: string, column: string, type: string): Alteration => ({
  kind: 'add',
  column,
  type,
  from: '',
  sql: `ALTER TABLE ${qualified(table)} ADD COLUMN ${identifier(column)} ${type}`,
})

function widen({ table, columns, limits }: Place, name: string, length: number): Alteration {
  const column = columns.find((c) => c.name.toLowerCase() === name)
  if (!column) throw new Refused(`${table} has no column "${name}".`)
  const now = lengthOf(column.type)
  if (now === null || !column.type.startsWith('character varying'))
    throw new Refused(
      `"${name}" is ${column.type}. Redshift changes the length of VARCHAR only: add a column of the new type, load into it, and move the old values by hand.`,
    )
  if (length === now) throw new Refused(`"${name}" has the length ${now} already.`)
  if (length < now) throw new Refused(`"${name}" has the length ${now}; it is never made shorter.`)
  const no = limits.why.get(name.toLowerCase())
  if (no)
    throw new Refused(
      `Redshift does not widen "${name}": ${no}. Otherwise add a column of the length ${length}, copy the values, drop the old one and rename the new one, by hand and with the loads stopped.`,
    )
  const type = `character varying(${length})`
  return {
    kind: 'widen',
    column: column.name,
    type,
    from: column.type,
    sql: `ALTER TABLE ${qualified(table)} ALTER COLUMN ${identifier(column.name)} TYPE ${type}`,
  }
}

/** A value that was too long for its column; `whole` is false where Redshift has cut what it keeps of it. */
export type TooLong = Readonly<{ column: string; bytes: number; whole: boolean }>

type Wish = Readonly<{ add: string; widen: string; files: readonly Wanted[]; tooLong: readonly TooLong[] }>

type Place = Readonly<{ table: string; columns: readonly Column[]; limits: Limits }>

/** Room for the values that were too long: the next power of two, since the next value may be longer still. */
function room(columns: readonly Column[], tooLong: readonly TooLong[]): { name: string; length: number }[] {
  return [...new Set(tooLong.map((value) => value.column.toLowerCase()))].flatMap((name) => {
    const now = lengthOf(columns.find((c) => c.name.toLowerCase() === name)?.type ?? null)
    const values = tooLong.filter((value) => value.column.toLowerCase() === name)
    const bytes = Math.max(...values.map((value) => value.bytes))
    if (now === null || bytes <= now) return []
    if (values.some((value) => !value.whole))
      throw new Refused(
        `How long the value of "${name}" is cannot be told: Redshift keeps at most ${KEPT_BYTES} bytes of it, with a period in place of each multibyte character, or nothing, and its file was not to be read. Name the length.`,
      )
    return [{ name, length: Math.min(LONGEST, 2 ** Math.ceil(Math.log2(bytes))) }]
  })
}

/** What the files need, and what a person asked for, as statements: each adds or widens, none narrows. */
export function alterations(place: Place, wish: Wish): Alteration[] {
  const { table, columns } = place
  const found = differences(wish.files, columns)
  const fromFiles = wish.files.filter((w) => found.some((d) => d.column === w.name && d.what === 'missing'))
  const nested = fromFiles.filter((w) => w.type === null)
  if (nested.length > 0)
    throw new Refused(
      `No plain type holds ${nested.map((w) => `"${w.name}" (${w.source})`).join(', ')}. Add what you need of it by hand first.`,
    )
  const asked = parseAdd(wish.add)
  for (const { name } of asked)
    if (columns.some((c) => c.name.toLowerCase() === name))
      throw new Refused(`${table} has a column "${name}" already.`)
  const longer = wish.files.filter((w) => found.some((d) => d.column === w.name && d.what === 'too short'))
  const widened = parseWiden(wish.widen)
  const all = [
    ...asked.map((w) => add(table, w.name, w.type!)),
    ...fromFiles
      .filter((w) => !asked.some((a) => a.name === w.name.toLowerCase()))
      .map((w) => add(table, named(w.name), w.type!)),
    ...widened.map((w) => widen(place, w.name, w.length)),
    ...longer
      .filter((w) => !widened.some((a) => a.name === w.name.toLowerCase()))
      .map((w) => widen(place, named(w.name), lengthOf(w.type)!)),
    ...room(
      columns,
      wish.tooLong.filter((w) => ![...widened, ...longer].some((a) => a.name.toLowerCase() === w.column.toLowerCase())),
    ).map((w) => widen(place, w.name, w.length)),
  ]
  const twice = all.find((one, i) => all.findIndex((other) => other.column === one.column) !== i)
  if (twice) throw new Refused(`"${twice.column}" is named twice.`)
  return all
}
