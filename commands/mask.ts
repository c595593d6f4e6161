const SHOWN = Buffer.from('[secret]').toString('latin1')
/** A shorter beginning of a secret says nothing. */
const TELLING = 4

/**
 * Replaces secrets in a stream of bytes, also where one lies across two parts. `push` gives what is safe to keep by
 * now; `end` gives the rest, in which the beginning of a secret that broke off is replaced as well.
 */
export function createMask(secrets: readonly string[]) {
  // One character per byte, so that a secret is found wherever a part ends. The longest first: one may begin another.
  const hidden = [...secrets]
    .filter((secret) => secret !== '')
    .map((secret) => Buffer.from(secret).toString('latin1'))
    .sort((a, b) => b.length - a.length)
  const held = Math.max(0, ...hidden.map((secret) => secret.length - 1))
  let waiting = ''
  return {
    push(part: Buffer): Buffer {
      const text = hidden.reduce(
        (masked, secret) => masked.replaceAll(secret, SHOWN),
        waiting + part.toString('latin1'),
      )
      waiting = held > 0 ? text.slice(-held) : ''
      return Buffer.from(text.slice(0, text.length - waiting.length), 'latin1')
    },
    end(): Buffer {
      for (const secret of hidden)
        for (let length = secret.length - 1; length >= TELLING; length--)
          if (waiting.endsWith(secret.slice(0, length))) waiting = waiting.slice(0, -length) + SHOWN
      const rest = Buffer.from(waiting, 'latin1')
      waiting = ''
      return rest
    },
  }
}
