import { isAbsolute } from 'node:path'
import { type Admin, Kafka, logLevel } from 'kafkajs'
import { z } from 'zod'
import { defineConnection } from '../../src/domain/command.ts'
import { createReader, type Reader } from './reader.ts'

const Name = z.string().regex(/^[A-Za-z0-9._-]{1,249}$/, 'not a name of a topic')

export const KafkaSettings = z
  .strictObject({
    brokers: z.array(z.string().regex(/^[^\s:/]+:\d+$|^\[[^\]]+\]:\d+$/, 'write host:port')).min(1),
    tls: z.boolean().default(false),
    sasl: z
      .strictObject({
        mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']),
        username: z.string().min(1),
        passwordFrom: z.string().min(1),
      })
      .optional(),
    /** What may be looked at, and changed as far as it says. */
    topics: z.record(
      Name,
      z.strictObject({
        /** Consumer groups whose position in this topic may be moved. */
        groups: z.array(z.string().min(1)).default([]),
        /** Where a skipped record is copied to first. It must exist. Without it no record is skipped. */
        deadLetter: Name.optional(),
        /** The highest rate of a replay, in records per second. Without it nothing is replayed. */
        maxPerSecond: z.number().int().min(1).max(100_000).optional(),
      }),
    ),
    /** The folder of this machine where dumps lie; side files and progress are written beside them. */
    dumps: z
      .string()
      .refine((path) => isAbsolute(path) && !path.includes('\0'), 'write an absolute path')
      .optional(),
    /** A partition that gives no record for this long is not read on. */
    idleSeconds: z.number().min(0.1).max(120).default(10),
  })
  .refine((s) => Object.entries(s.topics).every(([topic, { deadLetter }]) => topic !== deadLetter), {
    path: ['topics'],
    message: 'a topic cannot be its own dead-letter topic',
  })
export type KafkaSettings = z.infer<typeof KafkaSettings>

export type KafkaClient = Readonly<{ kafka: Kafka; admin: Admin; reader: Reader }>

/** One Kafka cluster: the topics that may be looked at, and the groups of them that may be moved. */
export const kafka = defineConnection<KafkaSettings, KafkaClient>({
  kind: 'kafka',
  settings: KafkaSettings,
  async open({ brokers, tls, sasl }, secret) {
    const config = {
      clientId: 'keyturn',
      brokers,
      ssl: tls,
      ...(sasl && {
        sasl: { mechanism: sasl.mechanism as 'plain', username: sasl.username, password: secret(sasl.passwordFrom) },
      }),
      logLevel: logLevel.NOTHING,
      connectionTimeout: 5_000,
      requestTimeout: 30_000,
      retry: { retries: 3 },
    }
    const client = new Kafka(config)
    const admin = client.admin()
    await admin.connect()
    return { kafka: client, admin, reader: createReader(config) }
  },
  close: async ({ admin, reader }) => void (await Promise.all([admin.disconnect(), reader.close()])),
})
