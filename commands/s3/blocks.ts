import { BrokenArchive } from './gzip.ts'

/** What a tar is made of: headers and bodies begin at a multiple of it. */
export const BLOCK = 512

/** A stream of bytes, taken in blocks and lengths; holds a chunk. `at` counts what was taken. */
export function blocks(source: AsyncIterable<Buffer>) {
  const chunks = source[Symbol.asyncIterator]()
  let held: Buffer = Buffer.alloc(0)
  const input = {
    at: 0,
    async *bytes(length: number, what: string): AsyncGenerator<Buffer> {
      for (let left = length; left > 0; ) {
        if (held.length === 0) {
          const next = await chunks.next()
          if (next.done) throw new BrokenArchive(`${what} ends ${left} bytes too early`)
          held = next.value
        }
        const piece = held.subarray(0, left)
        held = held.subarray(piece.length)
        left -= piece.length
        input.at += piece.length
        yield piece
      }
    },
    /** The next block; null at the end of the stream. */
    async block(what: string): Promise<Buffer | null> {
      while (held.length === 0) {
        const next = await chunks.next()
        if (next.done) return null
        held = next.value
      }
      return input.all(BLOCK, what)
    },
    async all(length: number, what: string): Promise<Buffer> {
      const parts: Buffer[] = []
      for await (const part of input.bytes(length, what)) parts.push(part)
      return Buffer.concat(parts)
    },
    /** Lets the source go, wherever it stands. */
    stop: () => chunks.return?.(),
    /** Reads on to the end of the stream. */
    async onlyZeros(): Promise<void> {
      for (;;) {
        if (held.some((byte) => byte !== 0))
          throw new BrokenArchive(`there is more behind its end, from byte ${input.at}`)
        input.at += held.length
        const next = await chunks.next()
        if (next.done) return
        held = next.value
      }
    },
  }
  return input
}
