import type { Row } from './peers/sql.ts'
import { unquoted } from './shapes.ts'
import { type Asked, startTcp } from './taps.ts'

/**
 * What databases do besides: `starting` and `full` refuse a session, `lost` cuts it after a statement was taken, `nulls` gives a
 * third of all values as null. SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export type SqlMischief = 'starting' | 'full' | 'lost' | 'nulls'
const REFUSALS: Partial<Record<SqlMischief, readonly [state: string, text: string]>> = {
  starting: ['57P03', 'the database system is starting up'],
  full: ['53300', 'sorry, too many clients already'],
}

/** A database that takes every statement, and writes the text of each down; the values are bound beside it. */
export async function startSqlTap(rowsOf: (text: string, values: readonly string[]) => readonly Row[]) {
  const asked: Asked[] = []
  let playing: { kind: SqlMischief; left: number; shift: number; on: () => boolean } | null = null
  const plays = (...kinds: SqlMischief[]): boolean => {
    if (!playing || !kinds.includes(playing.kind) || playing.left < 1 || !playing.on()) return false
    playing.left -= 1
    return true
  }
  const given = (rows: readonly Row[]): readonly Row[] => {
    if (playing?.kind !== 'nulls') return rows
    const { shift } = playing
    const holed = (row: Row, from: number) =>
      Object.entries(row).map(([name, value], i) => [name, (from + i + shift) % 3 === 0 ? null : value])
    return rows.map((row, at) => Object.fromEntries(holed(row, at)) as Row)
  }
  const ready = message('Z', Buffer.from('I'))
  const { port, stop } = await startTcp((socket) => {
    let text = ''
    let rows: readonly Row[] = []
    const take = (statement: string) => {
      text = statement
      // Names can't be bound.
      const shape = /^ALTER TABLE /.test(text) ? unquoted('Sql', text) : text
      asked.push({ shape, host: '', url: '' })
    }
    const answer = (type: string, body: Buffer): Buffer | null => {
      switch (type) {
        case 'Q':
          take(body.subarray(0, -1).toString('utf8'))
          rows = given(rowsOf(text, []))
          return Buffer.concat([described(rows), result(rows), ready])
        case 'P': {
          const at = body.indexOf(0) + 1
          take(body.subarray(at, body.indexOf(0, at)).toString('utf8'))
          return message('1')
        }
        case 'B':
          rows = given(rowsOf(text, bound(body)))
          return message('2')
        case 'D':
          return described(rows)
        case 'E':
          return result(rows)
        case 'S':
          return ready
        default:
          return null
      }
    }
    let waiting = Buffer.alloc(0)
    let started = false
    socket.on('data', (part) => {
      waiting = Buffer.concat([waiting, part])
      for (;;) {
        const at = started ? 1 : 0
        if (waiting.length < at + 4 || waiting.length < at + waiting.readInt32BE(at)) return
        const length = at + waiting.readInt32BE(at)
        const body = waiting.subarray(at + 4, length)
        const refusal = !started && plays('starting', 'full') ? REFUSALS[playing!.kind] : undefined
        if (refusal) return void socket.end(message('E', Buffer.from(`SFATAL\0C${refusal[0]}\0M${refusal[1]}\0\0`)))
        const isLost = started && 'QE'.includes(String.fromCharCode(waiting[0]!)) && plays('lost')
        const reply = started
          ? answer(String.fromCharCode(waiting[0]!), body)
          : Buffer.concat([message('R', Buffer.alloc(4)), ready])
        waiting = waiting.subarray(length)
        started = true
        if (isLost) return void socket.destroy()
        if (reply) socket.write(reply)
      }
    })
  })
  return {
    asked,
    port,
    stop,
    /** From now on, twice (`nulls`: always); `on` says whether it is time yet, `shift` (0 to 2) which third is null. */
    play(kind: SqlMischief | null, more: Readonly<{ shift?: number; on?: () => boolean }> = {}): void {
      const left = kind === 'nulls' ? Number.POSITIVE_INFINITY : 2
      playing = kind && { kind, left, shift: more.shift ?? 0, on: more.on ?? (() => true) }
    },
  }
}

/** https://www.postgresql.org/docs/current/protocol-message-formats.html */
function message(type: string, body: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}
const int16 = (value: number) => Buffer.from([(value >> 8) & 255, value & 255])
const int32 = (value: number) => Buffer.concat([int16(value >> 16), int16(value)])

/** The values of a Bind, as text. */
function bound(body: Buffer): string[] {
  let at = body.indexOf(0, body.indexOf(0) + 1) + 1
  at += 2 + 2 * body.readInt16BE(at)
  const values: string[] = []
  let left = body.readInt16BE(at)
  for (at += 2; left > 0; left -= 1) {
    const length = Math.max(0, body.readInt32BE(at))
    values.push(body.toString('utf8', at + 4, at + 4 + length))
    at += 4 + length
  }
  return values
}

/** pg_type's numbers: bool, int4, int4[], and text. */
const typeOf = (value: unknown) =>
  typeof value === 'boolean' ? 16 : typeof value === 'number' ? 23 : Array.isArray(value) ? 1007 : 25

function described([first]: readonly Row[]): Buffer {
  if (!first) return message('n')
  const columns = Object.entries(first).map(([name, value]) =>
    Buffer.concat([Buffer.from(`${name}\0`), int32(0), int16(0), int32(typeOf(value)), int16(-1), int32(-1), int16(0)]),
  )
  return message('T', Buffer.concat([int16(columns.length), ...columns]))
}

function result(rows: readonly Row[]): Buffer {
  const field = (value: Row[string]) => {
    if (value === null) return int32(-1)
    const text = Buffer.from(
      Array.isArray(value) ? `{${value}}` : value === true ? 't' : value === false ? 'f' : `${value}`,
    )
    return Buffer.concat([int32(text.length), text])
  }
  const data = rows.map((row) => {
    const fields = Object.values(row).map(field)
    return message('D', Buffer.concat([int16(fields.length), ...fields]))
  })
  return Buffer.concat([...data, message('C', Buffer.from(`SELECT ${rows.length}\0`))])
}
