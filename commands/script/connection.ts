import { isAbsolute } from 'node:path'
import { z } from 'zod'
import { defineConnection } from '../../src/domain/command.ts'
import { Value } from '../values.ts'

const Absolute = z.string().refine((path) => isAbsolute(path) && !path.includes('\0'), 'write an absolute path')

const Argument = z.string().refine((text) => !text.includes('\0'), 'holds a NUL character')

/** The names in `{braces}` of an argument template. */
export const placeholders = (args: readonly string[]): string[] => [
  ...new Set(args.flatMap((arg) => [...arg.matchAll(/\{(\w+)\}/g)].map((m) => m[1]!))),
]

/** An executable with its arguments; `{name}` stands for a parameter, and never becomes more than one argument. */
const Call = z.strictObject({ path: Absolute, args: z.array(Argument).default([]) })

export const Script = Call.extend({
  summary: z.string().default(''),
  /** It changes nothing, so that script.look may run it without a decision; whoever writes the settings vouches for it. */
  readOnly: z.boolean().default(false),
  params: z.record(z.string().regex(/^\w+$/), Value).default({}),
  cwd: Absolute.default('/'),
  timeoutSeconds: z.number().int().min(1).max(3_600).default(60),
  /** Between SIGTERM and SIGKILL. */
  graceSeconds: z.number().min(0.1).max(60).default(3),
  maxOutputBytes: z.number().int().min(256).max(262_144).default(16_384),
  /** Tells whether the change is in place, without changing anything: exit code 0 yes, 1 no, any other cannot tell. */
  check: Call.optional(),
}).superRefine((script, ctx) => {
  const used = placeholders([...script.args, ...(script.check?.args ?? [])])
  for (const name of used)
    if (!Object.hasOwn(script.params, name))
      ctx.addIssue({ code: 'custom', path: ['params'], message: `{${name}} is not declared` })
  for (const name of Object.keys(script.params))
    if (!used.includes(name)) ctx.addIssue({ code: 'custom', path: ['params', name], message: 'is in no argument' })
})
export type Script = z.infer<typeof Script>

export const ScriptSettings = z.strictObject({
  scripts: z.record(z.string().regex(/^[\w.-]+$/), Script),
  /** The whole environment of every script, with `envFrom` and KEYTURN_RUN, which names the run; nothing of the worker's own is passed on. */
  env: z.record(z.string().regex(/^\w+$/), z.string()).default({}),
  /** Secrets by the name under which the worker has them and the script gets them; hidden in all output. */
  envFrom: z.array(z.string().regex(/^\w+$/)).default([]),
})
export type ScriptSettings = z.infer<typeof ScriptSettings>

/** The environment of a script, and the values in it that nobody may see. */
export type ScriptClient = Readonly<{ env: Readonly<Record<string, string>>; secrets: readonly string[] }>

/** Executables of the worker's machine, each one allowed by name. */
export const script = defineConnection<ScriptSettings, ScriptClient>({
  kind: 'script',
  settings: ScriptSettings,
  open(settings, secret) {
    const hidden = Object.fromEntries(settings.envFrom.map((name) => [name, secret(name)]))
    return { env: { ...settings.env, ...hidden }, secrets: Object.values(hidden).filter((value) => value !== '') }
  },
  close() {},
})
