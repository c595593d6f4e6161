import { z } from 'zod'

/** A name, a number, a string, a block string, `...`, or one mark; comments and commas are nothing. */
const TOKEN =
  /#[^\n\r]*|[\s,\uFEFF]+|("""(?:\\"""|[\s\S])*?"""|"(?:\\.|[^"\\\n\r])*"|\.\.\.|[_A-Za-z]\w*|-?\d[\w.+-]*|[!$&():=@[\]{|}])/gy

/** Variables that an operation takes, with their types as written. */
export type Document = Readonly<{ variables: ReadonlyMap<string, string> }>

/** The tokens of a GraphQL document, or null where it is none. */
function tokens(text: string): string[] | null {
  const found: string[] = []
  let end = 0
  for (const match of text.matchAll(TOKEN)) {
    if (match[1]) found.push(match[1])
    end = match.index + match[0].length
  }
  return end === text.length ? found : null
}

/**
 * Reads what a GraphQL document asks for (https://spec.graphql.org/October2021/#sec-Document): one query, and fragments.
 * Gives what is wrong as a sentence when it is anything else: a mutation, a subscription, two operations.
 */
export function readDocument(text: string): Document | string {
  const all = tokens(text)
  if (!all || all.length === 0) return 'It is not a GraphQL document.'
  const variables = new Map<string, string>()
  let queries = 0
  for (let i = 0; i < all.length; ) {
    const word = all[i]!
    if (word === 'mutation' || word === 'subscription') return `It holds a ${word}; only a query can be asked here.`
    if (word !== 'query' && word !== 'fragment' && word !== '{')
      return `It holds ${word.slice(0, 40)} where a query begins.`
    if (word !== 'fragment') queries += 1
    let depth = 0
    // To the end of the selection set, which is the first pair of braces outside of parentheses.
    for (let round = 0; ; i++) {
      const token = all[i]
      if (token === undefined) return 'It ends before its last brace is closed.'
      if (token === '(' || token === '[') round++
      else if (token === ')' || token === ']') round--
      else if (token === '{') depth++
      else if (token === '}' && --depth === 0 && round === 0) break
      else if (token === '$' && depth === 0 && word === 'query' && all[i + 2] === ':')
        variables.set(all[i + 1]!, typeAt(all, i + 3))
      if (depth < 0 || round < 0) return 'Its braces do not match.'
    }
    i++
  }
  return queries === 1 ? { variables } : `It holds ${queries} operations; write one query.`
}

/** The type that begins here: `[ID!]!`. */
function typeAt(all: readonly string[], from: number): string {
  let end = from
  while (['[', ']', '!'].includes(all[end] ?? '') || /^[_A-Za-z]\w*$/.test(all[end] ?? '')) {
    if (end > from && /^[_A-Za-z]/.test(all[end]!) && /^[_A-Za-z\]!]/.test(all[end - 1]!)) break
    end++
  }
  return all.slice(from, end).join('')
}

const Query = z
  .string()
  .max(10_000)
  .superRefine((text, ctx) => {
    const read = readDocument(text)
    if (typeof read === 'string') ctx.addIssue({ code: 'custom', message: read })
  })

/** Where a service answers GraphQL, and queries by name. */
export const Graphql = z.strictObject({
  path: z.string().regex(/^\/[^?#\s]*$/, 'begin with "/", without query or fragment'),
  queries: z.record(z.string().regex(/^[\w-]+$/), Query).default({}),
})
