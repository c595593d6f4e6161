import type { Load } from './load.ts'

/** The fields of one line of a text file by their column; null if the line cannot be read by itself. */
export function valuesOf(load: Load, columns: readonly string[], line: string): Map<string, string> | null {
  if (load.format === 'json') {
    try {
      const record: unknown = JSON.parse(line)
      if (typeof record !== 'object' || record === null || Array.isArray(record)) return null
      return new Map(
        Object.entries(record).map(([name, value]) => [
          name.toLowerCase(),
          value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value),
        ]),
      )
    } catch {
      return null
    }
  }
  const fields = load.format === 'csv' ? csv(line, load.delimiter ?? ',') : line.split(load.delimiter ?? '|')
  if (!fields || fields.length !== columns.length) return null
  return new Map(columns.map((name, i) => [name.toLowerCase(), fields[i]!]))
}

/** The fields of a line of CSV (RFC 4180); null if a quoted field goes on in the next one. */
function csv(line: string, delimiter: string): string[] | null {
  const fields: string[] = []
  let at = 0
  for (;;) {
    if (line[at] === '"') {
      let text = ''
      let end = at + 1
      for (;;) {
        const quote = line.indexOf('"', end)
        if (quote === -1) return null
        text += line.slice(end, quote)
        end = quote + 1
        if (line[end] !== '"') break
        text += '"'
        end += 1
      }
      if (end < line.length && line[end] !== delimiter) return null
      fields.push(text)
      at = end
    } else {
      const next = line.indexOf(delimiter, at)
      const end = next === -1 ? line.length : next
      fields.push(line.slice(at, end))
      at = end
    }
    if (at >= line.length) return fields
    at += 1
    if (at === line.length) return [...fields, '']
  }
}

/** Has a record its keys and nothing else? Never where the load names no keys. */
export function isHollow(values: Map<string, string>, keys: readonly string[]): boolean {
  const names = keys.map((key) => key.toLowerCase())
  const others = [...values].filter(([name]) => !names.includes(name))
  return (
    names.length > 0 &&
    others.length > 0 &&
    names.every((name) => (values.get(name)?.trim() ?? '') !== '') &&
    others.every(([, value]) => value.trim() === '')
  )
}

/** Bytes of raw_line: it is cut there. */
const RAW_BYTES = 1_024
/** A character may have been cut in two. */
const SAFE_BYTES = RAW_BYTES - 4

/** Is a line of a file the one that stl_load_errors shows? */
export function isSameLine(line: string, rawLine: string): boolean {
  const [is, was] = [line.trimEnd(), rawLine.trimEnd()]
  if (Buffer.byteLength(was) < SAFE_BYTES) return is === was
  return Buffer.from(is).subarray(0, SAFE_BYTES).equals(Buffer.from(was).subarray(0, SAFE_BYTES))
}
