import { z } from 'zod'
import { type Labels, valueIn } from './alert.ts'

/** How a label must look for a playbook to apply. `regex` has RE2 syntax and must match the whole value. */
export const Matcher = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('equals'), value: z.string() }),
  z.object({ kind: z.literal('regex'), pattern: z.string() }),
  z.object({ kind: z.literal('present') }),
])
export type Matcher = z.infer<typeof Matcher>

/** One input of a command, as a modal asks for it. */
export const Field = z.object({
  name: z.string(),
  label: z.string(),
  type: z.enum(['text', 'number', 'boolean', 'choice', 'list']),
  options: z.array(z.string()).default([]),
  required: z.boolean(),
})
export type Field = z.infer<typeof Field>

/** What a change may be to the one before it, if not just the next. */
export const RUNGS = ['otherwise', 'undoes'] as const

/** The call of a step: a command, and its parameters with slots (`${labels.x}`) not yet filled. */
export const Call = z.object({
  command: z.string(),
  summary: z.string(),
  effect: z.enum(['read', 'idempotent', 'once']),
  risk: z.enum(['low', 'medium', 'high']).nullable(),
  params: z.record(z.string(), z.json()),
  fields: z.array(Field),
  /** `otherwise`: for when the change before it did not help. `undoes`: takes that change back, which is owed from then on. */
  rung: z.enum(RUNGS).optional(),
})
export type Call = z.infer<typeof Call>

/** A heading of a playbook. A step without a call is prose. */
export const Step = z.object({
  id: z.string(),
  title: z.string(),
  line: z.number().int(),
  prose: z.string(),
  call: Call.nullable(),
})
export type Step = z.infer<typeof Step>

/** A markdown file of playbooks/, parsed. JSON, so that an incident keeps the one that it was opened with. */
export const Playbook = z.object({
  /** `<system>/<slug>`: the path below playbooks/ without `.md`. */
  id: z.string(),
  /** Digest of the file's text. */
  hash: z.string(),
  title: z.string(),
  match: z.record(z.string(), Matcher),
  groupBy: z.array(z.string()),
  owner: z.string(),
  /** Names of approver lists in the configuration, without `@`; empty means the policy's default. */
  approvers: z.array(z.string()),
  severity: z.string().nullable(),
  /** Name of a channel in the configuration; null means the default. */
  channel: z.string().nullable(),
  /** The owner gets it with the evidence although there are changes: they help, and do not mend what is behind it. */
  handOver: z.boolean().optional(),
  intro: z.string(),
  steps: z.array(Step),
})
export type Playbook = Readonly<z.infer<typeof Playbook>>

/** Whether the whole of `value` matches an RE2 `pattern`; passed in, since the domain holds no regex engine. */
export type RegexTest = (pattern: string, value: string) => boolean

/** Whether a playbook applies to these labels. */
export function applies(playbook: Pick<Playbook, 'match'>, labels: Labels, regex: RegexTest): boolean {
  return Object.entries(playbook.match).every(([name, matcher]) => {
    const value = valueIn(labels, name)
    // As in Prometheus: that a label is empty means that it is not there.
    if (value === undefined) return matcher.kind === 'equals' && matcher.value === ''
    if (matcher.kind === 'equals') return matcher.value === value
    return matcher.kind === 'present' || regex(matcher.pattern, value)
  })
}

/** Exact matchers first, then regexes, then presence: the higher, the more specific. */
export function specificity(playbook: Pick<Playbook, 'match'>): readonly [number, number, number] {
  const count = (kind: Matcher['kind']) => Object.values(playbook.match).filter((m) => m.kind === kind).length
  return [count('equals'), count('regex'), count('present')]
}

function compareSpecificity(a: Pick<Playbook, 'match'>, b: Pick<Playbook, 'match'>): number {
  const [left, right] = [specificity(a), specificity(b)]
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return right[i]! - left[i]!
  return 0
}

/** The most specific playbook that applies, or null. */
export function matchPlaybook(playbooks: readonly Playbook[], labels: Labels, regex: RegexTest): Playbook | null {
  return playbooks.filter((p) => applies(p, labels, regex)).sort(compareSpecificity)[0] ?? null
}

/**
 * Whether some alert could match both with neither more specific. Cautious: two regexes on one label count as
 * overlapping, so an ambiguity is never missed.
 */
export function ambiguous(a: Pick<Playbook, 'match'>, b: Pick<Playbook, 'match'>, regex: RegexTest): boolean {
  if (compareSpecificity(a, b) !== 0) return false
  return Object.entries(a.match).every(([name, left]) => {
    const right = Object.hasOwn(b.match, name) ? b.match[name] : undefined
    if (!right) return true
    if (left.kind === 'equals' && right.kind === 'equals') return left.value === right.value
    // A pattern, as `true`, is for a label that is there.
    if ([left, right].some((m) => m.kind === 'equals' && m.value === '')) return false
    if (left.kind === 'equals' && right.kind === 'regex') return regex(right.pattern, left.value)
    if (left.kind === 'regex' && right.kind === 'equals') return regex(left.pattern, right.value)
    return true
  })
}

/** `${labels.name}`, and `${labels["any/name"]}` for a name that holds more than letters, digits, `_`, `.` and `-`. */
const SLOT =
  /\$\{(labels|annotations)(?:\.([A-Za-z_][A-Za-z0-9_.-]*)|\["((?:[^"\\]|\\["\\])+)"\]|\['((?:[^'\\]|\\['\\])+)'\])\}/g

/** One place in a text that an alert fills. */
export type Slot = Readonly<{ from: 'labels' | 'annotations'; name: string; text: string }>

const slotOf = ([text, from, plain, double, single]: readonly (string | undefined)[]): Slot => ({
  from: from as Slot['from'],
  name: plain ?? (double ?? single ?? '').replaceAll(/\\(.)/g, '$1'),
  text: text!,
})

/** The slots in a string, in order; `text` is how one is written there. */
export const slots = (text: string): Slot[] => [...text.matchAll(SLOT)].map(slotOf)

type Filled = { params: Record<string, z.core.util.JSONType>; missing: Field[] }

/**
 * Puts values into a call's slots. What a person gave wins. A parameter with a slot that nothing fills is left out;
 * `missing` lists the required fields that are still open.
 */
export function fill(
  call: Pick<Call, 'params' | 'fields'>,
  values: { labels: Labels; annotations: Labels },
  given: Record<string, z.core.util.JSONType> = {},
): Filled {
  const fillValue = (value: z.core.util.JSONType): z.core.util.JSONType | undefined => {
    if (typeof value === 'string') {
      if (slots(value).some((s) => valueIn(values[s.from], s.name) === undefined)) return undefined
      return value.replace(SLOT, (...match: string[]) => {
        const { from, name } = slotOf(match)
        return values[from][name]!
      })
    }
    if (!Array.isArray(value)) return value
    const items = value.map(fillValue)
    return items.some((item) => item === undefined) ? undefined : (items as z.core.util.JSONType[])
  }
  const filled = Object.entries(call.params).flatMap(([name, value]) => {
    const whole = fillValue(value)
    return whole === undefined ? [] : [[name, whole] as const]
  })
  // Not by assignment: a parameter called `__proto__` must stay one.
  const params: Filled['params'] = Object.fromEntries([...filled, ...Object.entries(given)])
  return { params, missing: call.fields.filter((f) => f.required && !Object.hasOwn(params, f.name)) }
}

type Property = {
  type?: string | string[]
  enum?: unknown[]
  description?: string
  anyOf?: Property[]
  items?: Property
}

/** The inputs of a command's parameters; `askable` is false for one that no form can ask for (an object, say). */
export function fieldsOf(params: z.ZodObject): (Field & { askable: boolean })[] {
  const schema = z.toJSONSchema(params, { io: 'input', unrepresentable: 'any' }) as {
    properties?: Record<string, Property>
    required?: string[]
  }
  const output = z.toJSONSchema(params, { io: 'output', unrepresentable: 'any' }) as typeof schema
  return Object.entries(schema.properties ?? {}).map(([name, input]) => {
    const property = { ...output.properties?.[name], ...input } as Property
    const kind = property.type ?? output.properties?.[name]?.type
    const type = property.enum
      ? 'choice'
      : kind === 'number' || kind === 'integer'
        ? 'number'
        : kind === 'boolean'
          ? 'boolean'
          : kind === 'array'
            ? 'list'
            : 'text'
    // A coerced field has no `required` entry on the input side, since it takes `unknown`: ask the schema itself.
    const required = !params.shape[name]!.safeParse(undefined).success
    return {
      name,
      label: property.description ?? name,
      type,
      options: (property.enum ?? []).map(String),
      required,
      askable: kind !== 'object',
    }
  })
}
