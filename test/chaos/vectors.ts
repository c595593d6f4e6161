import { isDeepStrictEqual } from 'node:util'
import { text } from './mutate.ts'
import type { Fields } from './peers/peer.ts'
import type { Random } from './scheduler.ts'

/** Letters and digits changed to others, so that what is asked of its form still holds. */
const twin = (random: Random, sample: string): string =>
  sample.replace(/[a-f0-9]/gi, (c) =>
    random.chance(0.7) ? c : random.pick([...(/\d/.test(c) ? '0123456789' : c < 'a' ? 'ABCDEF' : 'abcdef')]),
  )

/** What ends a name, a word, a segment or a string somewhere; one of them in a good value gets further than a lot of it. */
const ENDS = '/ ../ /../ ? # & % %2f \' " ` ; $(id) {{x}} \\ -- * , = \n'.split(' ').concat(' ')

const endOf = (random: Random): string =>
  random.chance(0.6)
    ? random.pick(ENDS)
    : Array.from({ length: 3 }, () => random.pick(ENDS)).join(random.pick(['', ' ']))

/** A parameter as an alert or a person could fill it. */
function hostile(random: Random, sample: unknown): unknown {
  if (Array.isArray(sample)) {
    if (random.chance(0.7)) return oneOf(random, sample)
    const items = Array.from({ length: 1 + random.below(3) }, () => hostile(random, random.pick([...sample, 'x'])))
    return random.chance(0.1) ? hostile(random, 'x') : items
  }
  const odd = [Number.NaN, -1, 0.5, 2 ** 53, '7; select 1', '7 or 1=1', '0x7', '', null, {}, ['x'], true]
  if (random.chance(0.15)) return random.pick(odd)
  if (typeof sample === 'number') return random.pick([sample, sample + 1, ...odd])
  const evil = text(random, 200)
  const end = endOf(random)
  const [name, value] = String(sample).split('=')
  const near = [`${sample}${end}${value ?? sample}`, value === undefined ? `${end}${sample}` : `${name}=${end}${value}`]
  return random.pick([
    ...[evil, `${sample}${evil}`, value === undefined ? `${evil}${sample}` : `${name}=${evil}`],
    ...[...near, ...near],
    twin(random, String(sample)),
    value === undefined ? `${sample}${sample}` : `${sample}${value}`,
  ])
}

/** One of them hostile, and now and then another one: with more, nothing gets past the first check. */
function oneOf(random: Random, sample: readonly unknown[]): unknown[] {
  const at = random.below(sample.length)
  return sample.map((value, i) => (i === at || random.chance(0.15) ? hostile(random, value) : value))
}

/** One of them hostile; or a word of them, the same wherever it stands. */
function changed(random: Random, sample: Fields): Fields {
  const names = Object.keys(sample)
  const words = names.flatMap((name) => String(sample[name]).match(/[\w-]{2,}/g) ?? [])
  if (words.length > 0 && random.chance(0.25)) {
    const word = random.pick(words)
    const evil = random.pick([
      text(random, 200),
      `${endOf(random)}${word}`,
      `${word}${endOf(random)}${word}`,
      twin(random, word),
    ])
    const put = (value: unknown): unknown =>
      Array.isArray(value) ? value.map(put) : typeof value === 'string' ? value.replaceAll(word, () => evil) : value
    return Object.fromEntries(names.map((name) => [name, put(sample[name])]))
  }
  const values = oneOf(random, Object.values(sample))
  return Object.fromEntries(names.map((name, i) => [name, values[i]]))
}

/** Parameters of which some are hostile. */
export function vector(random: Random, sample: Fields): Fields {
  let made = changed(random, sample)
  for (let tries = 9; tries > 0 && isDeepStrictEqual(made, sample); tries--) made = changed(random, sample)
  return made
}

/** The same parameters, with harmless texts where they are not those of the sample. */
export function tame(value: unknown, like: unknown): unknown {
  if (value === like || value === '') return value
  if (Array.isArray(value)) return value.map((one) => tame(one, Array.isArray(like) ? like[0] : like))
  // A number may be written as text.
  if (typeof like === 'number' && value !== null) return Number(value)
  if (typeof value === 'string') return `${like}${String(like).includes('=') ? '' : 'zq'}`
  if (typeof value !== 'object' || value === null || typeof like !== 'object' || like === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, tame(one, (like as Fields)[name])]))
}
