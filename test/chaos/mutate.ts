import type { Random } from './scheduler.ts'

/** Text that means something to a parser, a terminal, a browser, a database or Slack. */
export const PIECES: readonly string[] = [
  ...'\u0000 \u202e \u2066 \u200b \ufeff \u2028 \u{1f4a5} \\ " { } [ ] , : \n \\ud800 \\u0000'.split(' '),
  ..."1e999 -0 0x10 null NaN Infinity /* // ' ; -- ../ %00 %2e%2e $(x) `x` |".split(' '),
  ...'<!channel> <@U0000000SAM> <https://evil.example|ok> __proto__ constructor toString'.split(' '),
  "' or 1=1 --",
  '\r\nx: y',
]
const BAD_UTF8 = [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82], [0x80]]

/** Foreign text of any length; `long` ones are rare. */
export function text(random: Random, longest = 3000): string {
  if (random.chance(0.05)) return random.pick(PIECES).repeat(1 + random.below(Math.max(1, longest / 4)))
  return Array.from({ length: random.below(6) }, () =>
    random.chance(0.6) ? random.pick(PIECES) : String.fromCodePoint(1 + random.below(0xd7ff)).repeat(random.below(4)),
  ).join('')
}

/** Changes bytes: flips, cuts, doubles, and puts in what is no UTF-8 or means something. */
export function mutateBytes(random: Random, bytes: Buffer): Buffer {
  let changed = bytes
  for (let i = random.below(5); i >= 0; i--) {
    const at = random.below(changed.length + 1)
    const to = Math.min(changed.length, at + random.below(200))
    const [before, middle, after] = [changed.subarray(0, at), changed.subarray(at, to), changed.subarray(to)]
    const flipped = Buffer.from(middle.map((byte) => byte ^ (1 << random.below(8))))
    const piece = random.chance(0.5) ? Buffer.from(random.pick(PIECES)) : Buffer.from(random.pick(BAD_UTF8))
    changed = Buffer.concat(
      random.pick([
        [before, flipped, after],
        [before, after],
        [before, middle, middle, after],
        [before, piece, middle, after],
        [before, piece, after],
        [before],
      ]),
    )
  }
  return changed
}

const nested = (depth: number, inner: string) => `${'['.repeat(depth)}${inner}${']'.repeat(depth)}`
const object = (entries: readonly (readonly [string, unknown])[]) => Object.fromEntries(entries)

/** Marks a place where JSON text is put that no value can be written as. */
const HOLE = 'keyturn-hole'

/** A value where another one is expected, up to the very big. */
function odd(random: Random): unknown {
  return random.pick<() => unknown>([
    () => null,
    () => true,
    () => random.below(2 ** 31) * random.pick([1, -1, 1e300]),
    () => text(random),
    () => '',
    () => [],
    () => ({}),
    () => [[]],
    () => 'x'.repeat(random.below(20_000)),
    () => random.pick(['2026-02-30T25:00:00Z', '0001-01-01T00:00:00Z', '+275760-09-13T00:00:00Z', '2026-11-21']),
    () => random.pick(['javascript:alert(1)', 'http://u:p@h/', 'file:///etc/passwd', 'http://[', 'data:,x']),
    () => object([['__proto__', { polluted: true }]]),
    () => object([['constructor', { prototype: { polluted: true } }]]),
    () => object(Array.from({ length: random.below(300) }, () => [text(random, 50), text(random, 50)])),
    () => HOLE,
  ])()
}

/** Changes one place of a JSON value, at any depth. */
function mutateValue(random: Random, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || random.chance(0.12)) return odd(random)
  if (Array.isArray(value)) {
    const at = random.below(value.length)
    if (value.length === 0 || random.chance(0.15)) return [...value, odd(random)]
    if (random.chance(0.1)) return value.toSpliced(at, 1)
    if (random.chance(0.1)) return [...value, ...value.slice(0, 50)]
    return value.with(at, mutateValue(random, value[at]))
  }
  const entries = Object.entries(value)
  if (entries.length === 0 || random.chance(0.15)) {
    const name = random.pick(['__proto__', 'constructor', 'prototype', 'toString', '', text(random, 400)])
    return object([...entries, [name, odd(random)]])
  }
  const at = random.below(entries.length)
  if (random.chance(0.1)) return object(entries.toSpliced(at, 1))
  const [name, inner] = entries[at]!
  return object(entries.with(at, [name, mutateValue(random, inner)]))
}

const HUGE = 1_048_000

/** What is too much of something: depth, labels, alerts, length. */
function tooMuch(random: Random, example: unknown): string {
  const flood = (n: number) => object(Array.from({ length: n }, (_, i) => [`label_${i}`, random.pick(PIECES)]))
  const alert = (labels: unknown, annotations: unknown = {}) => ({
    status: 'firing',
    labels,
    annotations,
    startsAt: '2026-11-21T03:00:00Z',
  })
  const filled = (one: unknown) => {
    const each = JSON.stringify(one)
    const count = Math.min(2000, Math.floor(HUGE / (each.length + 1)))
    return `{"alerts":[${Array.from({ length: count }, () => each).join(',')}]}`
  }
  return random.pick<() => string>([
    () => nested(33 + random.below(500_000), ''),
    () =>
      `{"alerts":[${JSON.stringify(alert({ alertname: HOLE })).replace(`"${HOLE}"`, nested(random.below(80), '1'))}]}`,
    () => JSON.stringify({ alerts: [alert(flood(10_000))] }),
    () => JSON.stringify({ alerts: [alert({ alertname: 'x' }, flood(10_000))] }),
    () => filled(alert({ alertname: 'Kafka', topic: 'a', host: `h${random.below(1e6)}` })),
    () => filled(alert(flood(64), flood(64))),
    () => filled({ ...alert({ alertname: text(random) }), generatorURL: `http://h/${'x'.repeat(400)}` }),
    () => `{"alerts":[${JSON.stringify(alert({ alertname: random.pick(PIECES).repeat(90_000) }))}]}`,
    () => JSON.stringify({ alerts: Array.from({ length: 2001 }, () => 1) }),
    () =>
      JSON.stringify({
        items: Array.from({ length: 2000 }, (_, i) => ({ state: 'open', id: i, check: { name: text(random, 20) } })),
      }),
    () => `${JSON.stringify(example)}${' '.repeat(random.below(1_200_000))}`,
    () => `"${'\\u00e9'.repeat(random.below(170_000))}"`,
    () => '9'.repeat(random.below(HUGE)),
  ])()
}

/** A body made from a recorded one: its bytes changed, its values changed, or one with too much of something. */
export function mutateBody(random: Random, recorded: Buffer): Buffer {
  const kind = random.next()
  if (kind < 0.4) return mutateBytes(random, recorded)
  const example: unknown = JSON.parse(recorded.toString('utf8'))
  if (kind > 0.985) return Buffer.from(tooMuch(random, example))
  let changed = example
  for (let i = random.below(4); i >= 0; i--) changed = mutateValue(random, changed)
  const hole = random.pick([nested(random.below(100), '{}'), '1e400', '-0', `"${'\\ud800'}"`, '1'.repeat(400)])
  const json = (JSON.stringify(changed) ?? '').replaceAll(`"${HOLE}"`, () => hole)
  return random.chance(0.1) ? mutateBytes(random, Buffer.from(json)) : Buffer.from(json)
}
