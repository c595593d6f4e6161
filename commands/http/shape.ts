import { z } from 'zod'

/** A text of an answer; null and nothing are the empty one. */
export const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '')

/** A list of an answer; null and nothing are the empty one. */
export const listOf = <T extends z.ZodType>(item: T) =>
  z
    .array(item)
    .nullish()
    .transform((items) => items ?? [])

/** What an answer holds, or an error that says in a sentence what it lacks. Never Refused: a change may have landed. */
export function shaped<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const where = parsed.error.issues[0]!.path.join('.')
  throw new Error(
    `${what} gave an answer that is not of its kind: ${where ? `"${where}" is missing or of another form` : 'it is of another form'}; check baseUrl, and the version of the service.`,
  )
}
