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
  /** The text without the values of the given variables, also encoded or cut in two, and without what looks like one. */
  strike(text: string): string
}>

/** As it stands in JSON; twice, as JSON stands in JSON. */
const quoted = (text: string): string => JSON.stringify(text).slice(1, -1)

/** As the JSON of JavaScript, Go, Python and PHP has it. */
function jsonForms(text: string): string[] {
  const own = quoted(text)
  const coded = (c: string) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`
  return [
    own,
    quoted(own),
    own.replace(/[<>&]/g, coded),
    own.replace(/[^\x20-\x7e]/g, coded),
    own.replaceAll('/', '\\/'),
  ]
}

/** As it stands in an address or a form: encoders differ in what they leave as it is, and in the case of their digits. */
function addressForms(text: string): string[] {
  const strict = encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
  const forms = [encodeURIComponent(text), encodeURI(text), strict, strict.replaceAll('%2F', '/')]
  const spaced = [...forms, ...forms.map((form) => form.replaceAll('%20', '+'))]
  return [...spaced, ...spaced.map((form) => form.replace(/%[0-9A-F]{2}/g, (digits) => digits.toLowerCase()))]
}

/**
 * A text without what is at least half of a secret, from its beginning or to its end: what comes here may have been cut to
 * fit, in the middle of one. Less than eight characters are not told from ordinary words.
 */
function withoutHalves(text: string, secret: string): string {
  const half = Math.max(8, Math.ceil(secret.length / 2))
  if (half >= secret.length) return text
  const [head, tail] = [secret.slice(0, half), secret.slice(-half)]
  let rest = text
  for (let at = rest.indexOf(head); at >= 0; at = rest.indexOf(head, at + 1)) {
    let n = half
    while (n < secret.length && rest[at + n] === secret[n]) n++
    rest = `${rest.slice(0, at)}[secret]${rest.slice(at + n)}`
  }
  for (let at = rest.indexOf(tail); at >= 0; at = rest.indexOf(tail, at + 1)) {
    let n = half
    while (n < secret.length && at > 0 && rest[at - 1] === secret[secret.length - n - 1]) {
      n++
      at--
    }
    rest = `${rest.slice(0, at)}[secret]${rest.slice(at + n)}`
  }
  return rest
}

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
  const whole = new Set<string>()
  for (const variable of known) {
    const value = env[variable]
    // Of a Redis URL only the password is secret; struck out whole, `redis://localhost` would go too.
    const text = value && /^rediss?:/.test(value) ? decodeURIComponent(new URL(value).password) : value
    if (!text || text.length < SHORTEST) continue
    for (const form of [text, quoted(text)]) whole.add(form)
    for (const form of [text, ...jsonForms(text), ...addressForms(text.toWellFormed()), ...base64Forms(text)])
      forms.add(form)
  }
  const longestFirst = [...forms].sort((a, b) => b.length - a.length)
  const cutOff = [...whole]
  return {
    secret(variable) {
      const value = env[variable]
      if (!value) throw new Error(`the environment variable ${variable} is not set`)
      return value
    },
    strike: (text) =>
      SHAPES.reduce(
        (t, [shape, instead]) => t.replace(shape, instead),
        cutOff.reduce(
          withoutHalves,
          longestFirst.reduce((t, form) => t.replaceAll(form, '[secret]'), text),
        ),
      ),
  }
}
