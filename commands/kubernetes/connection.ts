import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { defineConnection, Refused } from '../../src/domain/command.ts'
import { Ca } from '../http/base.ts'
import { createKubernetes, type Kubernetes } from './client.ts'
import { EksSettings } from './eks.ts'
import { eksTokens, fileToken, fixedToken, gkeTokens, type Tokens } from './tokens.ts'

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

const HERE = '/var/run/secrets/kubernetes.io/serviceaccount'
const Absolute = z.string().regex(/^\/[^\0]*$/, 'write an absolute path')

export const Settings = z
  .strictObject({
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
      .transform((text) => text.replace(/\/+$/, ''))
      .optional(),
    /** The certificate, in PEM, of who signed the server's; without it the system's authorities are asked. */
    ca: Ca,
    /** Or a file of the worker that holds it. */
    caFile: Absolute.optional(),
    /** Of a service account that may get, list and watch in these namespaces, and patch these deployments. */
    tokenFrom: z.string().min(1).optional(),
    /** Or a file that is written anew before the token in it ends, as a projected volume is. */
    tokenFile: Absolute.optional(),
    /** Or the service account of the worker's own pod; server and ca are those of its cluster. */
    inCluster: z.literal(true).optional(),
    /** Or an AWS identity, for EKS. */
    eks: EksSettings.optional(),
    /** Or the worker's Google identity, for GKE. */
    gke: z.literal(true).optional(),
    /** What may be read, and in it the deployments that may be changed. */
    namespaces: z.record(Name, z.strictObject({ deployments: Deployments.default({}) })),
    /** Where Argo CD keeps its applications, if it is asked whether it puts things back. */
    argocd: z.strictObject({ namespace: Name }).prefault({ namespace: 'argocd' }),
    /** How long a deployment may take until all of its pods are ready. */
    readyMinutes: z.number().positive().max(60).default(10),
    /** How long its pods must then stay up: one without a readiness probe is ready just before it crashes. */
    steadySeconds: z.number().min(0).max(120).default(15),
  })
  .superRefine((s, ctx) => {
    const given = (['tokenFrom', 'tokenFile', 'inCluster', 'eks', 'gke'] as const).filter((name) => s[name])
    if (given.length !== 1)
      ctx.addIssue({
        code: 'custom',
        path: ['tokenFrom'],
        message: `name one of tokenFrom, tokenFile, inCluster, eks and gke; ${given.length === 0 ? 'there is none' : `there are ${given.join(' and ')}`}`,
      })
    if (!s.server && !s.inCluster) ctx.addIssue({ code: 'custom', path: ['server'], message: 'name the API server' })
    if (s.ca && s.caFile) ctx.addIssue({ code: 'custom', path: ['caFile'], message: 'ca or caFile, not both' })
  })
  .transform((s) => ({
    ...s,
    server: s.server ?? 'https://kubernetes.default.svc',
    ...(s.inCluster && !s.ca && !s.caFile && { caFile: `${HERE}/ca.crt` }),
    ...(s.inCluster && { tokenFile: `${HERE}/token` }),
  }))
export type Settings = z.output<typeof Settings>

function tokensOf(settings: Settings, secret: (variable: string) => string): Tokens {
  if (settings.tokenFile) return fileToken(settings.tokenFile)
  if (settings.eks) return eksTokens(settings.eks, secret)
  if (settings.gke) return gkeTokens()
  return fixedToken(secret(settings.tokenFrom!), settings.tokenFrom!)
}

/** One Kubernetes cluster: the namespaces that may be looked at, and the deployments that may be changed. */
export const kubernetes = defineConnection<Settings, Kubernetes>({
  kind: 'kubernetes',
  settings: Settings,
  async open(settings, secret) {
    const { server, ca, caFile } = settings
    const authority = caFile
      ? await readFile(caFile, 'utf8').catch(() => {
          throw new Refused(`There is no certificate in ${caFile} on the worker.`)
        })
      : ca
    return createKubernetes({ server, ca: authority }, tokensOf(settings, secret))
  },
  close: (client) => client.close(),
})
