import { createMask } from '../mask.ts'

/** Keeps the beginning and the end of an output that may have no end, in bounded memory and without secrets. */
export function createOutput(maxBytes: number, secrets: readonly string[]) {
  const half = Math.floor(maxBytes / 2)
  const mask = createMask(secrets)
  let head = Buffer.alloc(0)
  let tail = Buffer.alloc(0)
  let written = 0

  function keep(part: Buffer) {
    written += part.length
    const room = half - head.length
    if (room > 0) head = Buffer.concat([head, part.subarray(0, room)])
    if (part.length > room) tail = Buffer.concat([tail, part.subarray(Math.max(0, room))]).subarray(-half)
  }

  return {
    add: (part: Buffer) => keep(mask.push(part)),
    /** What was written, to be called once; `cut` when the middle was left out. */
    end(): { text: string; cut: boolean } {
      keep(mask.end())
      const cut = written > head.length + tail.length
      if (!cut) return { text: Buffer.concat([head, tail]).toString('utf8'), cut }
      const left = written - head.length - tail.length
      return { text: `${head.toString('utf8')}\n… cut: ${left} bytes are not shown …\n${tail.toString('utf8')}`, cut }
    },
  }
}
