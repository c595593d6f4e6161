import pino, { type DestinationStream, type Logger } from 'pino'

export type Log = Logger

/** Keys whose values never reach the log, wherever they stand up to two levels deep. */
const SECRET = ['authorization', 'cookie', 'password', 'token', 'secret', 'accessToken', 'botToken', 'signingSecret']

/** A JSON log. `strike` takes known secrets out of every line, also where they are part of a message or a stack. */
export function createLog(options: {
  level: string
  strike: (text: string) => string
  destination?: DestinationStream
}): Log {
  const destination = options.destination ?? pino.destination(1)
  return pino(
    {
      level: options.level,
      base: undefined,
      redact: { paths: SECRET.flatMap((k) => [k, `*.${k}`, `*.*.${k}`, `headers["${k}"]`]), censor: '[secret]' },
      formatters: { level: (label) => ({ level: label }) },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    { write: (line) => destination.write(options.strike(line)) },
  )
}
