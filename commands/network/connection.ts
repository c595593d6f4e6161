import { z } from 'zod'
import { defineConnection } from '../../src/domain/command.ts'

/** Where a system is reached. Nothing is sent there but a TLS handshake. */
export const Endpoint = z.strictObject({
  host: z
    .string()
    .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/, 'is no host name')
    .max(253),
  port: z.number().int().min(1).max(65_535),
  /** Whether it speaks TLS from the first byte. */
  tls: z.boolean().default(false),
  /** The name that its certificate must have, where that is not `host`. */
  serverName: z.string().min(1).optional(),
})
export type Endpoint = z.infer<typeof Endpoint>

export const NetworkSettings = z.strictObject({
  /** By the names that people use. */
  endpoints: z
    .record(z.string().regex(/^[\w.-]+$/), Endpoint)
    .refine((all) => Object.keys(all).length > 0 && Object.keys(all).length <= 50, 'name 1 to 50 endpoints'),
  /** For each of name, connection and handshake. */
  timeoutMs: z.number().int().min(50).max(15_000).default(5_000),
  /** A certificate authority of your own, as PEM, in place of the well-known ones. */
  ca: z.string().includes('-----BEGIN CERTIFICATE-----').optional(),
  /** Certificates that end sooner are marked. */
  expiryDays: z.number().int().min(0).max(365).default(21),
})
export type NetworkSettings = z.infer<typeof NetworkSettings>

/** Endpoints that a worker can be asked to reach, and no others. */
export const network = defineConnection<NetworkSettings, null>({
  kind: 'network',
  settings: NetworkSettings,
  open: () => null,
  close() {},
})
