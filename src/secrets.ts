/** Values shorter than this are not struck out: they would take ordinary words with them. */
const SHORTEST = 6

export type Secrets = Readonly<{
  /** The value of a variable. Throws, naming it, if it is not set. */
  secret(variable: string): string
  /** The text without the values of the given variables, also where they are JSON- or URL-encoded. */
  strike(text: string): string
}>

/** Reads secrets from the environment, which is the only place they come from. `known` are those to strike out. */
export function createSecrets(env: Readonly<Record<string, string | undefined>>, known: readonly string[]): Secrets {
  const forms = new Set<string>()
  for (const variable of known) {
    const value = env[variable]
    // Of a Redis URL only the password is secret; struck out whole, `redis://localhost` would go too.
    const text = value && /^rediss?:/.test(value) ? decodeURIComponent(new URL(value).password) : value
    if (text && text.length >= SHORTEST)
      for (const form of [text, JSON.stringify(text).slice(1, -1), encodeURIComponent(text)]) forms.add(form)
  }
  const longestFirst = [...forms].sort((a, b) => b.length - a.length)
  return {
    secret(variable) {
      const value = env[variable]
      if (!value) throw new Error(`the environment variable ${variable} is not set`)
      return value
    },
    strike: (text) => longestFirst.reduce((t, form) => t.replaceAll(form, '[secret]'), text),
  }
}
