import { z } from 'zod'
import { defineConnection } from '../../src/domain/command.ts'
import { Value } from '../values.ts'
import { Networks } from './address.ts'
import { authorized, BaseUrl, BasicAuth, Ca, oneOfBoth, secureFor } from './base.ts'
import { Graphql } from './document.ts'
import { type Answer, exchange } from './exchange.ts'
import { danglingNames, List, Operation } from './operations.ts'

export const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
export type Method = (typeof METHODS)[number]

export const HttpSettings = z
  .strictObject({
    baseUrl: BaseUrl,
    /** What may be asked for, below the base. `*` in a path stands for one segment. */
    allow: z
      .array(
        z.strictObject({
          method: z.enum(METHODS),
          path: z.string().regex(/^\/[^?#\s]*$/, 'begin with "/", without query or fragment'),
          /** Whether a query (`?…`) may follow the path. */
          query: z.boolean().default(false),
        }),
      )
      .default([]),
    /** Parameters of the lists and operations, by name. */
    params: z.record(z.string().regex(/^(?!id$)\w+$/, 'is no name, or is "id"'), Value).default({}),
    /** What http.list shows and operations are made of. */
    lists: z.record(z.string().regex(/^[\w-]+$/), List).default({}),
    /** What http.operate and http.bulk can do, each by its name. */
    operations: z.record(z.string().regex(/^[\w-]+$/), Operation).default({}),
    graphql: Graphql.optional(),
    /** Sent as `Authorization: Bearer …`. */
    tokenFrom: z.string().min(1).optional(),
    auth: BasicAuth,
    ca: Ca,
    networks: Networks,
    timeoutMs: z.number().int().min(100).max(300_000).default(10_000),
    maxResponseBytes: z.number().int().min(256).max(1_048_576).default(16_384),
  })
  .refine((s) => s.allow.length > 0 || Object.keys(s.lists).length > 0 || s.graphql, {
    path: ['allow'],
    message: 'allow something, or name lists or GraphQL queries',
  })
  .superRefine((s, ctx) => {
    for (const fault of danglingNames(s)) ctx.addIssue({ code: 'custom', ...fault })
  })
  .refine(...secureFor)
  .refine(...oneOfBoth)
export type HttpSettings = z.infer<typeof HttpSettings>

export type HttpClient = Readonly<{
  /** Sends one request and reads the answer. `url` is one that `within` made. */
  send(request: {
    method: Method
    url: URL
    body?: string
    headers?: Record<string, string>
    signal: AbortSignal
    /** It changes nothing, though its method could. */
    reads?: boolean
  }): Promise<Answer>
}>

/** A web service under one base URL. Every request has its own socket, so nothing stays open. */
export const http = defineConnection<HttpSettings, HttpClient>({
  kind: 'http',
  settings: HttpSettings,
  open(settings, secret) {
    const { headers: auth, secrets } = authorized(settings, secret)
    return {
      send: ({ method, url, body, headers, signal, reads = false }) =>
        exchange({
          method,
          url,
          body,
          headers: { ...headers, ...auth },
          signal: AbortSignal.any([signal, AbortSignal.timeout(settings.timeoutMs)]),
          maxBytes: settings.maxResponseBytes,
          secrets,
          reachable: settings.networks,
          ca: settings.ca,
          reads,
        }),
    }
  },
  close() {},
})
