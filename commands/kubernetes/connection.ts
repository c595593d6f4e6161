import { z } from 'zod'
import { defineConnection } from '../../src/domain/command.ts'
import { createKubernetes, type Kubernetes } from './client.ts'

const isLoopback = (host: string) => host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)

/** A name of Kubernetes, as RFC 1123 has it: nothing in it can lead out of a path. */
export const Name = z
  .string()
  .max(253)
  .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, 'small letters, digits, "-" and "."')

const Deployments = z.record(
  Name,
  z.strictObject({
    /** How far it may be scaled. Without it the deployment can be restarted and undone, and not scaled. */
    replicas: z
      .strictObject({ min: z.number().int().min(0).default(0), max: z.number().int().min(1) })
      .refine(({ min, max }) => min <= max, 'min is above max')
      .optional(),
  }),
)

export const Settings = z.strictObject({
  /** Of the API server. The token goes over https or loopback only. */
  server: z
    .url({ protocol: /^https?$/ })
    .refine((text) => {
      const url = new URL(text)
      return !url.search && !url.hash && !url.username && !url.password
    }, 'leave out the query, the fragment and the credentials')
    .refine(
      (text) => text.startsWith('https:') || isLoopback(new URL(text).hostname),
      'the token is sent over https only; change server',
    )
    .transform((text) => text.replace(/\/+$/, '')),
  /** The certificate, in PEM, of who signed the server's; without it the system's authorities are asked. */
  ca: z
    .string()
    .regex(/^\s*-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----\s*$/, 'not a PEM certificate')
    .optional(),
  /** Of a service account that may get, list and watch in these namespaces, and patch these deployments. */
  tokenFrom: z.string().min(1),
  /** What may be read, and in it the deployments that may be changed. */
  namespaces: z.record(Name, z.strictObject({ deployments: Deployments.default({}) })),
  /** How long a deployment may take until all of its pods are ready. */
  readyMinutes: z.number().positive().max(10).default(10),
  /** How long its pods must then stay up: one without a readiness probe is ready just before it crashes. */
  steadySeconds: z.number().min(0).max(120).default(15),
})
export type Settings = z.output<typeof Settings>

/** One Kubernetes cluster: the namespaces that may be looked at, and the deployments that may be changed. */
export const kubernetes = defineConnection<Settings, Kubernetes>({
  kind: 'kubernetes',
  settings: Settings,
  open: (settings, secret) => createKubernetes(settings, secret(settings.tokenFrom)),
  close: (client) => client.close(),
})
