/** Values shorter than this are not struck out: they would take ordinary words with them. */
const SHORTEST = 6

/**
 * What is a secret by its shape, whoever has it: the password in an address, a token of Slack, a private key. Each part is
 * bounded, so that no text makes the search long.
 */
const SHAPES: readonly [RegExp, string][] = [
  [/\b([a-z][a-z0-9+.-]{1,20}:\/\/[^\s/?#:@"'\\]{0,100}):[^\s/?#@"'\\]{1,300}@/gi, '$1:[secret]@'],
  [/\bx(?:ox[a-z]|app)-[\w-]{10,300}/g, '[secret]'],
  [/-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\w+/=\s\\]{1,8000}(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?/g, '[secret]'],
]

export type Secrets = Readonly<{
  /** The value of a variable. Throws, naming it, if it is not set. */
  secret(variable: string): string
  /** The text without the values of the given variables, also JSON-, URL- or base64-encoded, and without what looks like one. */
  strike(text: string): string
}>

/** As it stands in JSON; twice, as JSON stands in JSON. */
const quoted = (text: string): string => JSON.stringify(text).slice(1, -1)

/** What base64 makes of a text wherever it stands in a longer one: the digits that depend on nothing beside it. */
function base64Forms(text: string): string[] {
  const bytes = Buffer.from(text)
  return [0, 1, 2].flatMap((shift) => {
    const all = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '')
    const loose = (shift + bytes.length) % 3 === 0 ? 0 : 1
    const own = all.slice(Math.ceil((shift * 8) / 6), all.length - loose)
    return own.length < SHORTEST ? [] : [own, own.replaceAll('+', '-').replaceAll('/', '_')]
  })
}

/** Reads secrets from the environment, which is the only place they come from. `known` are those to strike out. */
export function createSecrets(env: Readonly<Record<string, string | undefined>>, known: readonly string[]): Secrets {
  const forms = new Set<string>()
  for (const variable of known) {
    const value = env[variable]
    // Of a Redis URL only the password is secret; struck out whole, `redis://localhost` would go too.
    const text = value && /^rediss?:/.test(value) ? decodeURIComponent(new URL(value).password) : value
    if (text && text.length >= SHORTEST)
      for (const form of [text, quoted(text), quoted(quoted(text)), encodeURIComponent(text), ...base64Forms(text)])
        forms.add(form)
  }
  const longestFirst = [...forms].sort((a, b) => b.length - a.length)
  return {
    secret(variable) {
      const value = env[variable]
      if (!value) throw new Error(`the environment variable ${variable} is not set`)
      return value
    },
    strike: (text) =>
      SHAPES.reduce(
        (t, [shape, instead]) => t.replace(shape, instead),
        longestFirst.reduce((t, form) => t.replaceAll(form, '[secret]'), text),
      ),
  }
}
