import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Document, OpenAPIBackend } from 'openapi-backend'
import { parse } from 'yaml'

const FILES = { 1: 'airflow-2.10.0-stable-rest-v1.yaml', 2: 'airflow-3.2.1-rest-v2.yaml' } as const

type Request = Readonly<{ method: string; url: URL; headers: Record<string, string>; body: unknown }>

/** Airflow's own description of its API, as a judge of requests and answers. */
export type Spec = Readonly<{
  /** The operation of a request, or what is wrong with it. */
  judge(request: Request): { id: string } | { status: number; detail: string }
  /** What is wrong with an answer; empty if nothing is. */
  faults(id: string, status: number, answer: unknown): string
}>

/** Reads a spec from the folder that AIRFLOW_SPECS names; null, with one line said, when there is none. */
export async function openSpec(api: 1 | 2): Promise<Spec | null> {
  const folder = process.env.AIRFLOW_SPECS
  const file = folder && join(folder, FILES[api])
  if (!file || !existsSync(file)) {
    if (api === 1) process.stderr.write('AIRFLOW_SPECS names no specs: calls are held to own schemas.\n')
    return null
  }
  const definition = nullables(parse(await readFile(file, 'utf8'))) as Document
  const backend = new OpenAPIBackend({
    definition,
    apiRoot: api === 1 ? '/api/v1' : '/',
    // The specs' own examples and the words of marshmallow and pydantic (datetime, uuid) are no JSON Schema.
    ajvOpts: { strict: false, formats: { datetime: true, password: true, path: true, timedelta: true }, logger: false },
    quick: true,
  })
  await backend.init()
  return {
    judge({ method, url, headers, body }) {
      const request = {
        method: method.toLowerCase(),
        path: url.pathname,
        query: url.search.slice(1),
        headers,
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }
      const operation = backend.router.matchOperation(request)
      if (!operation?.operationId) return { status: 404, detail: `${method} ${url.pathname} is not in the spec` }
      const { errors } = backend.validator.validateRequest(request, operation)
      if (errors?.length) return { status: 400, detail: JSON.stringify(errors) }
      // The validator lets a parameter pass that the spec does not name; Airflow 2 answers 400.
      const named = (operation.parameters ?? []).flatMap((p) => ('name' in p && p.in === 'query' ? [p.name] : []))
      const stray = [...url.searchParams.keys()].find((key) => !named.includes(key))
      if (stray) return { status: 400, detail: `unknown query parameter ${stray}` }
      return { id: operation.operationId }
    },
    faults(id, status, answer) {
      const { errors } = backend.validator.validateResponse(answer, id, status)
      return errors?.length ? JSON.stringify(errors) : ''
    },
  }
}

/** A reference hides the `nullable` beside it from every JSON Schema validator: says the same so that it is seen. */
function nullables(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(nullables)
  if (typeof node !== 'object' || node === null) return node
  const { $ref, nullable, ...rest } = node as Record<string, unknown>
  if ($ref !== undefined && nullable === true)
    return { anyOf: [{ $ref }, { type: 'string', nullable: true, enum: [null] }] }
  const known = {
    ...rest,
    ...($ref !== undefined && { $ref }),
    // Beside an anyOf it says nothing that the validator understands, and is refused.
    ...(nullable !== undefined && rest.type !== undefined && { nullable }),
  }
  return Object.fromEntries(Object.entries(known).map(([key, inner]) => [key, nullables(inner)]))
}
