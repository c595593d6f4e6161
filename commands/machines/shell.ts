import { z } from 'zod'

/**
 * Why text that a person or an alert gave can be part of a script on a machine. AWS-RunShellScript takes lines of shell and
 * has no argument list, so each script is a template of this folder, and a value gets into one only through `quote`.
 * Before that it was held to one of the patterns below, which leave no room for quotes, spaces, `$`, globs, a leading `-`
 * or `..`; and units, packages and folders must also stand in the connection's settings.
 */
export function quote(value: string): string {
  // Systems Manager itself fills in {{ … }}, before any shell sees the line.
  if (/[\p{Cc}]|\{\{/u.test(value)) throw new TypeError(`not a value for a script: ${JSON.stringify(value)}`)
  return `'${value.replaceAll("'", `'\\''`)}'`
}

/** A systemd unit with its suffix. */
export const Unit = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9:_.@-]{0,120}\.(service|socket|timer|path|target)$/,
    'a unit such as airflow-worker.service',
  )

/** A package of the system or of Python. */
export const Package = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.+_-]{0,100}$/, 'the name of a package')

/** An exact version of a package. */
export const Version = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.+~:_-]{0,100}$/, 'an exact version')

/** An absolute folder, at least two levels deep, without `.`, `..` and a slash at its end. */
export const Folder = z
  .string()
  .max(300)
  .regex(/^(\/[A-Za-z0-9_][A-Za-z0-9._-]*){2,}$/, 'an absolute folder at least two levels deep, such as /var/ingest')

export const InstanceId = z.string().regex(/^(i|mi)-[0-9a-f]{8,17}$/, 'an instance id such as i-0a1b2c3d4e5f60718')

/** Names separated by commas, each of the given shape; without doubles, in the order given. */
export const listOf = (item: z.ZodType<string>, what: string) =>
  z
    .string()
    .max(2_000)
    .transform((text) => [...new Set(text.split(',').map((one) => one.trim()))].filter((one) => one !== ''))
    .refine((all) => all.every((one) => item.safeParse(one).success), what)

/** Leaves the folder's name in `$F`, or ends: a folder that is reached through a link may lie anywhere. */
export const enter = (folder: string): string[] => [
  `F=${quote(folder)}`,
  `[ "$(readlink -f -- "$F")" = "$F" ] && [ -d "$F" ] || { echo "$F is no folder, or is reached through a link" >&2; exit 65; }`,
]
