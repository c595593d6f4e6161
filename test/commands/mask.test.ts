import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { createMask } from '../../commands/mask.ts'

const masked = (secrets: string[], parts: Buffer[]) => {
  const mask = createMask(secrets)
  return Buffer.concat([...parts.map((part) => mask.push(part)), mask.end()]).toString('utf8')
}

describe('a mask', () => {
  it('hides a secret however the stream is cut into parts, and changes nothing else', () => {
    const whole = Buffer.from('é before pässword-1 between pässword-1pässword-1 after é')
    fc.assert(
      fc.property(fc.array(fc.nat(whole.length), { maxLength: 12 }), (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), whole.length]
        const parts = at.slice(1).map((end, i) => whole.subarray(at[i], end))
        expect(masked(['pässword-1'], parts)).toBe('é before [secret] between [secret][secret] after é')
      }),
    )
  })

  it('hides the beginning of a secret that broke off', () => {
    expect(masked(['correct-horse'], [Buffer.from('token correct-ho')])).toBe('token [secret]')
  })

  it('hides the longer one of two secrets that begin alike', () => {
    expect(masked(['abcd', 'abcdefgh'], [Buffer.from('x abcdefgh y abcd z')])).toBe('x [secret] y [secret] z')
  })
})
