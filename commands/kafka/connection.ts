import { isAbsolute } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { z } from 'zod'
import { defineConnection } from '../../src/domain/command.ts'
import { isClear, Sasl, saslOf, Tls, tlsOf } from './auth.ts'
import { createWire, type Wire } from './wire/client.ts'
import { PARTITIONERS } from './wire/partitioners.ts'

const Name = z.string().regex(/^[A-Za-z0-9._-]{1,249}$/, 'not a name of a topic')

/** What the values of a topic are. Only `json` and `json-schema` (Confluent's five bytes, then JSON) are judged. */
export const FORMATS_OF_TOPICS = ['json', 'json-schema', 'avro', 'protobuf', 'bytes'] as const

export const KafkaSettings = z
  .strictObject({
    brokers: z.array(z.string().regex(/^[^\s:/]+:\d+$|^\[[^\]]+\]:\d+$/, 'write host:port')).min(1),
    tls: Tls.default(false),
    sasl: Sasl.optional(),
    /** Lets a password or token cross the network as it is. */
    plaintext: z.boolean().default(false),
    /** What may be looked at, and changed as far as it says. */
    topics: z.record(
      Name,
      z.strictObject({
        /** Without it a record is called bad only where the records around it are JSON. */
        format: z.enum(FORMATS_OF_TOPICS).optional(),
        /** Consumer groups whose position in this topic may be moved. */
        groups: z.array(z.string().min(1)).default([]),
        /** Where a skipped record is copied to first. It must exist. Without it no record is skipped. */
        deadLetter: Name.optional(),
        /** The highest rate of a replay, in records per second. Without it nothing is replayed. */
        maxPerSecond: z.number().int().min(1).max(100_000).optional(),
        /** How the topic's producers choose a partition by the key: a replay puts a key where they do. */
        partitioner: z.enum(PARTITIONERS).default('murmur2'),
      }),
    ),
    /** The folder of this machine where dumps lie; side files and progress are written beside them. */
    dumps: z
      .string()
      .refine((path) => isAbsolute(path) && !path.includes('\0'), 'write an absolute path')
      .optional(),
    /** A partition that gives no record for this long is not read on. */
    idleSeconds: z.number().min(0.1).max(120).default(10),
    /** How long a broker that moves, restarts or loads is waited for. */
    patienceSeconds: z.number().min(0).max(300).default(60),
  })
  .refine((s) => Object.entries(s.topics).every(([topic, { deadLetter }]) => topic !== deadLetter), {
    path: ['topics'],
    message: 'a topic cannot be its own dead-letter topic',
  })
  .refine((s) => s.tls !== false || s.plaintext || !isClear(s.sasl), {
    path: ['tls'],
    message: 'the password or token would cross the network in clear: set tls, or plaintext: true if that is meant',
  })
export type KafkaSettings = z.infer<typeof KafkaSettings>

/** Connects when it is first asked for something. */
export type KafkaClient = Readonly<{ kafka: Kafka; wire: Wire }>

/** One Kafka cluster: the topics that may be looked at, and the groups of them that may be moved. */
export const kafka = defineConnection<KafkaSettings, KafkaClient>({
  kind: 'kafka',
  settings: KafkaSettings,
  async open({ brokers, tls, sasl }, secret) {
    const config = {
      clientId: 'keyturn',
      brokers,
      ssl: await tlsOf(tls, secret),
      ...(sasl && { sasl: saslOf(sasl, secret) }),
      logLevel: logLevel.NOTHING,
      connectionTimeout: 5_000,
      authenticationTimeout: 15_000,
      requestTimeout: 30_000,
      retry: { retries: 3 },
    }
    return { kafka: new Kafka(config), wire: createWire(config) }
  },
  close: ({ wire }) => wire.close(),
})
