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

/** What stands in place of a secret. */
const HIDDEN = '[secret]'

/** Names that tell that a value is a secret: of parameters, variables, headers, columns. */
const SECRET_NAME = new RegExp(
  [
    'password|passwd|passphrase|passcode|secret|token|credential|webhook|cookie|bearer|authorization',
    '(?:api|access|private|signing|encryption|master|shared|account|storage|auth|ssh|licen[cs]e)[_-]?key',
    'connection[_-]?string|conn[_-]?str|session[_-]?id',
    '(?<![a-z])(?:pass|pwd|dsn|auth|cert|certificate|salt|pat|otp)(?![a-z])',
  ].join('|'),
  'i',
)

/** `ApiKey`, `DB_PASSWORD`, `oauthToken`: words are told apart by capitals, hyphens and underscores. */
export const isSecretName = (name: string): boolean => SECRET_NAME.test(name.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2'))

/** Texts that are secrets wherever they stand; what is kept of each is in its first and last group. */
const SECRET_TEXTS: readonly [RegExp, string][] = [
  // Keys of AWS, GitHub, GitLab, Slack, Stripe, Google, npm and others, by their fixed beginnings.
  [/\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g, HIDDEN],
  [/\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|npm_[A-Za-z0-9]{30,})/g, HIDDEN],
  [/\b(?:xox[abeoprs]|xapp)-[\w-]{10,}/g, HIDDEN],
  [/\b(?:sk|rk|pk)_(?:live|test)_\w{10,}|\bsk-[\w-]{20,}|\bAIza[\w-]{30,}|\bSG\.[\w-]{16,}\.[\w-]{16,}/g, HIDDEN],
  // A JSON web token: three parts in base64url, the first of which begins with {".
  [/\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?/g, HIDDEN],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, HIDDEN],
  // user:password@host of any URL; the user stays.
  [/([a-z][a-z0-9+.-]*:\/\/[^\s:/?#@]*:)[^\s/]+(?=@)/gi, `$1${HIDDEN}`],
  [/(\b(?:basic|bearer)\s+)[A-Za-z0-9+/._~=-]{8,}/gi, `$1${HIDDEN}`],
  // What a header holds up to its end: schemes differ, and signatures and further cookies stand behind the first blank.
  [/\b((?:proxy-)?authorization["']?\s*[:=]\s*["']?)(?![\s"']|(?:basic|bearer)\s)[^\r\n"']+/gi, `$1${HIDDEN}`],
  [/\b((?:set-)?cookie["']?\s*:\s*["']?)[^\r\n"']+/gi, `$1${HIDDEN}`],
  // SQL: ALTER USER … PASSWORD '…', IDENTIFIED BY '…', COPY … SECRET_ACCESS_KEY '…', CREDENTIALS '…'.
  [
    /\b((?:password|passwd|identified\s+by|secret_access_key|access_key_id|session_token|credentials)(?:\s+as)?\s+(?:E|U&)?')(?:[^'\\]|\\.|'')*(?:'|$)/gi,
    `$1${HIDDEN}'`,
  ],
  // Tokens of Hugging Face, Databricks, Grafana and DigitalOcean, and one that stands for the user of a URL.
  [/\b(?:hf_[A-Za-z]{30,}|dapi[0-9a-f]{32}(?:-\d)?|glsa_\w{30,}|dop_v1_[0-9a-f]{60,})/g, HIDDEN],
  [/([a-z][a-z0-9+.-]*:\/\/)[\w-]{20,}(?=@)/gi, `$1${HIDDEN}`],
  // What signs a URL: S3, CloudFront, Azure, Google.
  [/([?&;](?:x-amz-signature|x-goog-signature|signature|sig)=)[^\s&"'<>]+/gi, `$1${HIDDEN}`],
  [/(https:\/\/hooks\.slack\.com\/\w+\/)[\w/]+/g, `$1${HIDDEN}`],
]

/** `password=…`, `"apiKey": "…"`, `--token …`: a name that tells, a sign, and a value. */
const NAMED =
  /(["']?)([A-Za-z][\w.-]{1,60})\1(\s*(?:=>|:=|[:=])\s*)("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s,;&"'}\])]+)/g
const HIDDEN_VALUE = /^["']?\[secret/
const FLAG = /(--?)([A-Za-z][\w-]{1,60})(\s+)(?!-)(\S+)/g

/** A text of a foreign system with what looks like a secret taken out: keys, tokens, passwords in URLs, named values. */
export function maskSecrets(text: string): string {
  const masked = SECRET_TEXTS.reduce((left, [pattern, kept]) => left.replace(pattern, kept), text)
  return masked
    .replace(NAMED, (all, quote, name, sign, value) =>
      isSecretName(name) && !HIDDEN_VALUE.test(value) ? `${quote}${name}${quote}${sign}${hidden(value)}` : all,
    )
    .replace(FLAG, (all, dash, name, blank, value) =>
      isSecretName(name) && value !== HIDDEN ? `${dash}${name}${blank}${HIDDEN}` : all,
    )
}

const hidden = (value: string): string => (/^["']/.test(value) ? `${value[0]}${HIDDEN}${value[0]}` : HIDDEN)

/** The value of a named thing, or that it is not shown. */
export const maskValue = (name: string, value: string): string =>
  isSecretName(name) && value !== '' ? HIDDEN : maskSecrets(value)
