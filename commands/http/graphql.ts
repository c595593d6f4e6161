import { z } from 'zod'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { http } from './connection.ts'
import { readDocument } from './document.ts'
import { answeredWith, parseJson } from './json.ts'
import { parseAsItStands } from './numbers.ts'
import { patiently } from './patience.ts'
import { at, short } from './pointer.ts'
import { below } from './within.ts'

const LONGEST = 10_000

/** The JSON value of a variable's text, by the type that the query gives it. Throws Refused when it is none. */
function coerce(name: string, type: string, text: string): unknown {
  const [, inner] = /^\[(.+)\]!?$/.exec(type) ?? []
  if (inner) return text === '' ? [] : text.split(',').map((item) => coerce(name, inner, item.trim()))
  const scalar = type.replace(/!$/, '')
  // 32 bits: https://spec.graphql.org/October2021/#sec-Int
  if (scalar === 'Int' && /^-?\d{1,10}$/.test(text) && Number(text) === (Number(text) | 0)) return Number(text)
  if (scalar === 'Float' && /^-?(0|[1-9]\d{0,30})(\.\d{1,30})?$/.test(text)) return parseAsItStands(text)
  if (scalar === 'Boolean' && (text === 'true' || text === 'false')) return text === 'true'
  if (['Int', 'Float', 'Boolean'].includes(scalar)) throw new Refused(`The variable ${name} is no ${scalar}.`)
  return text
}

function variablesOf(types: ReadonlyMap<string, string>, lines: readonly string[]): Record<string, unknown> {
  const entries = lines.map((line): [string, unknown] => {
    const cut = line.indexOf('=')
    const name = cut < 0 ? line : line.slice(0, cut)
    const type = types.get(name)
    if (type === undefined) throw new Refused(`The query takes no variable ${JSON.stringify(name.slice(0, 60))}.`)
    return [name, coerce(name, type, line.slice(cut + 1).slice(0, LONGEST))]
  })
  return Object.fromEntries(entries)
}

/** What a GraphQL query answers. The document may hold one query and nothing that changes anything. */
export const graphql = defineRead({
  id: 'http.graphql',
  summary: 'Ask a GraphQL service a query',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('HTTP connection'),
    query: z.string().max(LONGEST).meta({
      description: 'Name of a query in the settings, or the query itself',
      from: 'playbook',
    }),
    variables: z.array(z.string()).default([]).describe('Its variables, one name=value each'),
  }),
  async read({ connection, query, variables }, ctx) {
    const { client, settings } = await ctx.connect(http, connection)
    if (!settings.graphql) throw new Refused(`The connection ${connection} has no graphql in its settings.`)
    const { path, queries } = settings.graphql
    const named = Object.hasOwn(queries, query)
    const text = named ? queries[query]! : query
    const document = readDocument(text)
    if (typeof document === 'string') throw new Refused(`This is no query that can be asked. ${document}`)
    const body = JSON.stringify({ query: text, variables: variablesOf(document.variables, variables) })
    const answer = await patiently(
      () =>
        client.send({
          method: 'POST',
          url: below(settings, path),
          headers: { 'content-type': 'application/json', accept: 'application/json' },
          body,
          signal: ctx.signal,
          reads: true,
        }),
      ctx.signal,
    )
    const called = named ? `The query ${query}` : 'The query'
    // A service may say in the body of a 400 what is wrong with the query.
    if (answer.status !== 200 && answer.status !== 400)
      throw new Error(`POST ${path} on ${connection} ${answeredWith(answer)}`)
    const parsed = parseJson(answer, `POST ${path} on ${connection}`)
    const errors = at(parsed, '/errors')
    const wrong = Array.isArray(errors) ? errors.map((e) => short(at(e, '/message'))) : []
    const data = at(parsed, '/data')
    return {
      summary: wrong.length > 0 ? `${called} had errors: ${wrong.slice(0, 5).join('; ')}` : `${called} was answered.`,
      blocks: data ? [{ type: 'code', text: JSON.stringify(data, null, 2) }] : [],
    }
  },
})
