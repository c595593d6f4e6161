import type { Load } from './load.ts'

/** The fields of one line of a text file by their column; null if the line cannot be read by itself. */
export function valuesOf(load: Load, columns: readonly string[], line: string): Map<string, string> | null {
  if (load.format === 'json') {
    // A JSONPaths file says which member goes where, and is not read here.
    if (load.jsonPaths !== 'auto' && load.jsonPaths !== 'auto ignorecase') return null
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

/** Is this line only a part of a record that goes over several? Without it the rest would be another record. */
export function isPart(load: Load, line: string): boolean {
  // The line that Redshift names is the last one of the object.
  if (load.format === 'json') return /^\s*["}\]]/.test(line)
  if (load.format === 'csv') return (line.split('"').length - 1) % 2 === 1
  return load.options.includes('ESCAPE') && line.trimEnd().endsWith('\\')
}

/** Bytes of raw_line and raw_field_value: they are cut there. */
export const KEPT_BYTES = 1_024
/** A character may have been cut in two. */
const SAFE_BYTES = KEPT_BYTES - 4

/**
 * Is a line of a file the one that stl_load_errors shows? That keeps a period in place of each multibyte character
 * (STL_LOAD_ERRORS in the developer guide), so a run of them stands for any run of periods that is no longer in bytes.
 */
export function isSameLine(line: string, rawLine: string): boolean {
  const is = line.trimEnd()
  const whole = rawLine.trimEnd()
  const cut = Buffer.byteLength(whole) >= SAFE_BYTES
  const was = cut
    ? Buffer.from(whole).subarray(0, SAFE_BYTES).toString('latin1')
    : Buffer.from(whole).toString('latin1')
  /** How far `was` can be read when the line is read so far. */
  let reached = new Set([0])
  for (const [piece] of is.matchAll(/\P{ASCII}+|\p{ASCII}/gu)) {
    if (cut && reached.has(was.length)) return true
    const next = new Set<number>()
    const bytes = Buffer.from(piece).toString('latin1')
    for (const at of reached) {
      if (was.startsWith(bytes, at)) next.add(at + bytes.length)
      // Kept as it is, and cut off in the middle of the run.
      else if (cut && bytes.startsWith(was.slice(at))) return true
      if (piece.codePointAt(0)! < 0x80) continue
      for (let end = at; end < at + bytes.length && was[end] === '.'; end += 1) next.add(end + 1)
    }
    if (next.size === 0) return false
    reached = next
  }
  return reached.has(was.length)
}

/** How many bytes a value has of which stl_load_errors keeps this; null where that does not tell it. */
export const bytesOf = (value: string | null): number | null =>
  value === null || value.includes('.') || Buffer.byteLength(value) >= KEPT_BYTES ? null : Buffer.byteLength(value)
