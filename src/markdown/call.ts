import type { z } from 'zod'
import type { Command } from '../domain/command.ts'
import { type Call, type Field, fieldsOf, slots } from '../domain/playbook.ts'
import { type Place, quote, type Report } from './fault.ts'
import { misspelt } from './misspelt.ts'
import { instead } from './nearest.ts'
import type { Entry, Tree } from './yaml.ts'

type Json = z.core.util.JSONType

/** What the front matter says of an alert's labels: names that it must have or may have, and those that it has not. */
export type AlertLabels = Readonly<{ known: readonly string[]; absent: readonly string[] }>

/** Other ways to write a slot, of shells, Go's templates and Prometheus' own; and a name that stands alone. */
const SLOTLIKE =
  /\$\{|\{\{[^}]*(labels?\b|annotations?\b|\$)|\$\(?(labels?|annotations?)\b|[{(<]\s*\$?(labels?|annotations?)[.[]|^\s*(labels|annotations)(\.[\w.-]+|\[.*\])\s*$/i

/** What is left of a string without its slots, if that looks like one that is none. */
function wrongSlot(text: string): string | null {
  const rest = slots(text).reduce((left, s) => left.replace(s.text, ' '), text)
  return SLOTLIKE.test(rest) ? rest : null
}

/** How to write what was likely meant. */
function slotRemedy(rest: string): string {
  const [, from, name] =
    /(labels?|annotations?)\s*(?:\.|\[["'\s]*)\s*([^\s"'\]})|]+?)(?:[:?][-=+?]|[\s"'\]})|]|$)/i.exec(rest) ?? []
  const kind = from?.toLowerCase().startsWith('l') ? 'labels' : 'annotations'
  const meant = name && (/^[A-Za-z_][\w.-]*$/.test(name) ? `\${${kind}.${name}}` : `\${${kind}["${name}"]}`)
  return `${meant ? `Write ${meant} if that was meant: only` : 'Only'} \${labels.name}, \${labels["any/name"]} and the same of annotations can be filled in; there is no expression language`
}

/** Reports the slots of a parameter that no alert of this playbook can fill, or hardly: their names are misspelt. */
function checkNames(strings: readonly string[], { known, absent }: AlertLabels, at: Place, report: Report): void {
  for (const { from, name, text } of strings.flatMap((s) => slots(s))) {
    if (from !== 'labels') continue
    const meant = misspelt(name, known)
    if (absent.includes(name))
      report(at, `nothing can fill ${quote(text)}: "match" says that the label is not there`, 'Correct one of the two')
    else if (meant !== null)
      report(
        at,
        `${quote(text)} names another label than ${quote(meant)} of "match" and "group_by"`,
        `Write ${quote(meant)} if that was meant, or name ${quote(name)} there too`,
      )
  }
}

/**
 * Reads the YAML of a call and checks it against the command's schema. A static value is checked now, at its own
 * key; one with a slot when it is filled. A required parameter may be missing only if a form can ask for it. The
 * command's schema says by `.meta({ from })` which parameter only a `person` may fill, and which only the `playbook`.
 */
export function readCall(
  command: Command,
  entries: readonly Entry[],
  at: Place,
  report: Report,
  labels: AlertLabels | null = null,
): Call {
  let faults = 0
  const fault: Report = (...args) => {
    faults++
    report(...args)
  }
  const fields = fieldsOf(command.params)
  const params: [string, Json][] = []
  let open = false
  for (const { key, at: keyAt, value } of entries) {
    const field = fields.find((f) => f.name === key)
    if (!field) {
      const names = fields.map((f) => f.name)
      fault(keyAt, `${command.id} has no parameter ${quote(key)}`, instead(key, names))
      continue
    }
    const json = jsonOf(field, keyAt, value, fault)
    if (json === undefined) continue
    params.push([key, json])
    const strings = [json].flat().filter((item) => typeof item === 'string')
    const from = command.params.shape[key]!.meta()?.from
    if (from === 'person') fault(keyAt, `the parameter ${quote(key)} is for a person to type`, 'Take the line out')
    if (from === 'playbook' && strings.some((s) => slots(s).length > 0))
      fault(keyAt, `the parameter ${quote(key)} takes nothing from an alert`, 'Write it out')
    if (labels) checkNames(strings, labels, keyAt, fault)
    if (strings.some((s) => slots(s).length > 0)) open = true
    else checkStatic(command, field, json, keyAt, fault)
  }
  for (const field of fields) {
    if (!field.required || entries.some((e) => e.key === field.name)) continue
    open = true
    if (!field.askable)
      fault(at, `${command.id} needs ${quote(field.name)}, and no form can ask for it`, 'Give it a value in this block')
  }
  if (!open && faults === 0) {
    const whole = command.params.safeParse(Object.fromEntries(params))
    for (const issue of whole.error?.issues ?? [])
      fault(at, messageOf(issue), `Correct the parameters of ${command.id}`)
  }
  return {
    command: command.id,
    summary: command.summary,
    effect: command.effect,
    risk: command.effect === 'read' ? null : command.risk,
    params: Object.fromEntries(params),
    fields: fields.map(({ askable: _, ...field }) => field),
  }
}

function jsonOf(field: Field, at: Place, value: Tree, report: Report): Json | undefined {
  if (value.kind === 'faulty') return undefined
  const leaves = value.kind === 'list' ? value.items : [value]
  const items: (string | number | boolean)[] = []
  let faulty = false
  for (const leaf of leaves) {
    if (leaf.kind === 'scalar' && leaf.value !== null) {
      items.push(leaf.value)
      const wrong = typeof leaf.value === 'string' ? wrongSlot(leaf.value) : null
      if (wrong === null) continue
      report(
        value.kind === 'list' ? leaf.at : at,
        `${quote(String(leaf.value))} holds an expression`,
        slotRemedy(wrong),
      )
    } else if (leaf.kind === 'scalar')
      report(at, `the parameter ${quote(field.name)} has no value`, 'Give it one, or take the line out')
    else if (leaf.kind !== 'faulty')
      report(at, `the parameter ${quote(field.name)} is neither a plain value nor a list of them`, 'Write it flat')
    faulty = true
  }
  if (faulty) return undefined
  return value.kind === 'list' ? items : items[0]
}

function checkStatic(command: Command, field: Field, value: Json, at: Place, report: Report): void {
  // Coercion takes true for 1, which nobody means.
  if (field.type === 'number' && typeof value === 'boolean') {
    report(at, `the parameter ${quote(field.name)} is ${value}, not a number`, 'Write a number')
    return
  }
  const schema = command.params.shape[field.name] as z.ZodType
  const issue = schema.safeParse(value).error?.issues[0]
  if (!issue) return
  const hint = field.type === 'choice' ? `Use one of: ${field.options.join(', ')}` : `It means: ${field.label}`
  const number = typeof value === 'number' && field.type === 'text'
  report(at, `the parameter ${quote(field.name)} is wrong: ${messageOf(issue)}`, number ? 'Put it in quotes' : hint)
}

const messageOf = (issue: z.core.$ZodIssue): string => issue.message.replaceAll(/\s+/g, ' ').replace(/\.$/, '')
