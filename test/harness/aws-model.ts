import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { parseXml, type XmlNode } from './xml.ts'

/** What the SDK's `NormalizedSchema` says of one shape of a service's model. */
type Shape = Readonly<{
  getName(): string | undefined
  getSchema(): unknown
  isListSchema(): boolean
  isMapSchema(): boolean
  isStructSchema(): boolean
  isUnitSchema(): boolean
  isBlobSchema(): boolean
  isTimestampSchema(): boolean
  isStringSchema(): boolean
  isBooleanSchema(): boolean
  isNumericSchema(): boolean
  getValueSchema(): Shape
  getMemberSchemas(): Readonly<Record<string, Shape>>
  getMergedTraits(): Readonly<{
    xmlName?: string
    jsonName?: string
    xmlFlattened?: unknown
    httpHeader?: string
    httpPayload?: unknown
    xmlAttribute?: unknown
  }>
}>

type Sdk = Readonly<Record<string, unknown>>
const require = createRequire(import.meta.url)

/**
 * The model that one client package of the AWS SDK carries: names, types, required members and enums of each operation's input
 * and output. `input` and `output` say what is wrong with a request or an answer as it goes over the wire; nothing is good.
 */
export function awsModel(client: string) {
  const sdk = require(client) as Sdk
  const { NormalizedSchema } = createRequire(require.resolve(client))('@smithy/core/schema') as {
    NormalizedSchema: { of(schema: unknown): Shape }
  }
  const enums = enumsOf(client)

  const operation = (action: string): readonly [Shape, Shape] | null => {
    const Command = sdk[`${action}Command`] as (new (input: object) => { schema: unknown[] }) | undefined
    if (!Command) return null
    const { schema } = new Command({})
    return [NormalizedSchema.of(schema[4]), NormalizedSchema.of(schema[5])]
  }

  /** The values that the model knows for a member of a structure; null if it is no enum. */
  const known = (struct: string | undefined, member: string): readonly string[] | null => {
    const name = enums.get(`${struct}.${member}`)
    const values = name ? sdk[name] : undefined
    return values && typeof values === 'object' ? (Object.values(values) as string[]) : null
  }

  const wrongEnum = (value: string, values: readonly string[] | null, at: string): string[] =>
    values && !values.includes(value)
      ? [`${at} is ${JSON.stringify(value)}, which is none of ${values.join(', ')}`]
      : []

  const missing = (shape: Shape, there: (member: string) => boolean, at: string): string[] => {
    const schema = shape.getSchema() as unknown[]
    const required = (schema[4] as string[]).slice(0, (schema[6] as number | undefined) ?? 0)
    return required.filter((member) => !there(member)).map((member) => `${at}.${member} is required and not there`)
  }

  /** JSON as it goes over the wire: times in seconds since the epoch, bytes in base64. */
  const ofJson = (value: unknown, shape: Shape, at: string, values: readonly string[] | null = null): string[] => {
    if (value === undefined || value === null) return []
    if (shape.isStructSchema()) {
      if (typeof value !== 'object' || Array.isArray(value)) return [`${at} is not an object`]
      const members = shape.getMemberSchemas()
      const name = (member: string) => members[member]?.getMergedTraits().jsonName ?? member
      const byName = new Map(Object.keys(members).map((member) => [name(member), member]))
      const fields = value as Record<string, unknown>
      return [
        ...missing(shape, (member) => fields[name(member)] !== undefined && fields[name(member)] !== null, at),
        ...Object.entries(fields).flatMap(([field, inner]) => {
          const member = byName.get(field)
          if (member === undefined) return [`${at}.${field} is no member of ${shape.getName()}`]
          return ofJson(inner, members[member]!, `${at}.${field}`, known(shape.getName(), member))
        }),
      ]
    }
    if (shape.isListSchema())
      return Array.isArray(value)
        ? value.flatMap((one, i) => ofJson(one, shape.getValueSchema(), `${at}[${i}]`, values))
        : [`${at} is not a list`]
    if (shape.isMapSchema())
      return typeof value === 'object' && !Array.isArray(value)
        ? Object.entries(value).flatMap(([key, one]) => ofJson(one, shape.getValueSchema(), `${at}.${key}`))
        : [`${at} is not a map`]
    if (shape.isTimestampSchema() || shape.isNumericSchema())
      return typeof value === 'number' ? [] : [`${at} is not a number: ${JSON.stringify(value)}`]
    if (shape.isBooleanSchema()) return typeof value === 'boolean' ? [] : [`${at} is not true or false`]
    if (shape.isStringSchema() || shape.isBlobSchema())
      return typeof value === 'string'
        ? wrongEnum(value, values, at)
        : [`${at} is not a text: ${JSON.stringify(value)}`]
    return []
  }

  /** XML as Query and REST services write it: times as ISO 8601, lists as elements. */
  const ofXml = (node: XmlNode, shape: Shape, at: string, values: readonly string[] | null = null): string[] => {
    if (shape.isUnitSchema()) return node.children.map((child) => `${at}.${child.name}: there is no output`)
    if (shape.isStructSchema()) {
      const members = shape.getMemberSchemas()
      const byName = new Map(
        Object.entries(members)
          .filter(([, one]) => one.getMergedTraits().httpHeader === undefined)
          .map(([member, one]) => {
            const flat = one.isListSchema() && one.getMergedTraits().xmlFlattened !== undefined
            const inner = flat ? one.getValueSchema().getMergedTraits().xmlName : undefined
            return [one.getMergedTraits().xmlName ?? inner ?? member, member]
          }),
      )
      const there = new Set(node.children.map((child) => byName.get(child.name)))
      return [
        ...missing(shape, (member) => there.has(member) || isElsewhere(members[member]!), at),
        ...node.children.flatMap((child) => {
          const member = byName.get(child.name)
          if (member === undefined) return [`${at}.${child.name} is no member of ${shape.getName()}`]
          const one = members[member]!
          const flat = one.isListSchema() && one.getMergedTraits().xmlFlattened !== undefined
          return ofXml(child, flat ? one.getValueSchema() : one, `${at}.${child.name}`, known(shape.getName(), member))
        }),
      ]
    }
    if (shape.isListSchema()) {
      const value = shape.getValueSchema()
      const name = value.getMergedTraits().xmlName ?? 'member'
      return node.children.flatMap((child, i) =>
        child.name === name
          ? ofXml(child, value, `${at}[${i}]`, values)
          : [`${at} holds <${child.name}>, a list of <${name}> is expected`],
      )
    }
    if (shape.isMapSchema()) return []
    if (node.children.length > 0) return [`${at} holds elements, a value is expected`]
    const { text } = node
    if (shape.isTimestampSchema())
      return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text) ? [] : [`${at} is no time of ISO 8601: ${text}`]
    if (shape.isNumericSchema()) return /^-?\d+(\.\d+)?(E-?\d+)?$/.test(text) ? [] : [`${at} is no number: ${text}`]
    if (shape.isBooleanSchema()) return /^(true|false)$/.test(text) ? [] : [`${at} is neither true nor false: ${text}`]
    return shape.isStringSchema() ? wrongEnum(text, values, at) : []
  }

  /** One field of a form, such as `Filters.member.1.Values.member.2`. */
  const ofField = (path: readonly string[], shape: Shape, at: string): string[] => {
    const [name, ...rest] = path
    if (name === undefined) return []
    if (shape.isStructSchema()) {
      const [, one] =
        Object.entries(shape.getMemberSchemas()).find(
          ([member, own]) => (own.getMergedTraits().xmlName ?? member) === name,
        ) ?? []
      return one ? ofField(rest, one, at) : [`${at}: ${name} is no member of ${shape.getName()}`]
    }
    if (shape.isListSchema()) {
      const value = shape.getValueSchema()
      const tag = value.getMergedTraits().xmlName ?? 'member'
      if (shape.getMergedTraits().xmlFlattened !== undefined) return ofField(rest, value, at)
      return name === tag ? ofField(rest.slice(1), value, at) : [`${at}: ${name} instead of ${tag} in a list`]
    }
    return shape.isMapSchema() ? [] : [`${at}: ${name} below a value`]
  }

  /** Not an element: in a header, or an attribute, which are not read here. */
  const isElsewhere = (one: Shape): boolean => {
    const { httpHeader, xmlAttribute } = one.getMergedTraits()
    return httpHeader !== undefined || xmlAttribute !== undefined
  }

  const unknown = (action: string) => [`${action} is no operation of ${client}`]

  return {
    /** A JSON body, or a form of the Query protocol. */
    input(action: string, body: unknown): string[] {
      const found = operation(action)
      if (!found) return unknown(action)
      if (!(body instanceof URLSearchParams)) return ofJson(body, found[0], action)
      const shape = found[0]
      const fields = [...body.keys()].filter((field) => field !== 'Action' && field !== 'Version')
      if (shape.isUnitSchema()) return fields.map((field) => `${action}: ${field}: there is no input`)
      const there = new Set(fields.map((field) => field.split('.')[0]))
      return [
        ...missing(shape, (m) => there.has(shape.getMemberSchemas()[m]?.getMergedTraits().xmlName ?? m), action),
        ...fields.flatMap((field) =>
          body.get(field) === '' ? [] : ofField(field.split('.'), shape, `${action} ${field}`),
        ),
      ]
    },
    /** A JSON body as it was parsed, or XML as text: of Query with its envelope, of REST the root element. */
    output(action: string, body: unknown): string[] {
      const found = operation(action)
      if (!found) return unknown(action)
      if (typeof body !== 'string') return ofJson(body, found[1], action)
      const root = parseXml(body)
      const result = root.children.find((child) => child.name === `${action}Result`)
      if (root.name !== `${action}Response`) {
        // A member may be the whole body.
        const members = found[1].isStructSchema() ? Object.values(found[1].getMemberSchemas()) : []
        return ofXml(root, members.find((one) => one.getMergedTraits().httpPayload) ?? found[1], action)
      }
      return result ? ofXml(result, found[1], action) : []
    },
  }
}
export type AwsModel = ReturnType<typeof awsModel>

/** `Struct.Member` to the name of its enum, out of the package's types: its schemas call all of them strings. */
function enumsOf(client: string): ReadonlyMap<string, string> {
  const folder = join(dirname(require.resolve(client)), '../dist-types/models')
  const found = new Map<string, string>()
  for (const file of readdirSync(folder).filter((name) => /^models_\d+\.d\.ts$/.test(name)))
    for (const [, struct, members = ''] of readFileSync(join(folder, file), 'utf8').matchAll(
      /^export interface (\w+)(?: extends [^{]+)? \{\n([\s\S]*?)^\}/gm,
    ))
      for (const [, member, type] of members.matchAll(/^ {4}(\w+)\??: \(?(\w+)[^;]*;$/gm))
        found.set(`${struct}.${member}`, type!)
  return found
}
