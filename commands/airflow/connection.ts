import { z } from 'zod'
import { defineConnection } from '../../src/domain/command.ts'
import { awsSettings } from '../aws/client.ts'
import { type Airflow, createAirflow } from './client.ts'
import { createRest } from './rest.ts'

const isLoopback = (host: string) => host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)
const isPrivate = (url: string) => url.startsWith('https:') || isLoopback(new URL(url).hostname)

const name = z.string().regex(/^[\w.~-]+$/, 'letters, digits, "_", "-", "." and "~"')
/** A name in which `*` stands for any characters. */
const pattern = z.string().regex(/^[\w.~*-]+$/, 'letters, digits, "_", "-", ".", "~" and "*"')

const Settings = z
  .strictObject({
    /** Where the web server is, without `/api/v1` or `/api/v2`. Credentials go over https or loopback only. */
    baseUrl: z
      .url({ protocol: /^https?$/ })
      .refine((text) => {
        const url = new URL(text)
        return !url.search && !url.hash && !url.username && !url.password
      }, 'leave out the query, the fragment and the credentials')
      .refine(isPrivate, 'credentials are sent over https only; change baseUrl')
      .optional(),
    /** The certificate authority of the web server in PEM, where it is none of the well-known ones. */
    ca: z.string().includes('-----BEGIN CERTIFICATE-----').optional(),
    /** 1: Airflow 2. 2: Airflow 3. */
    api: z.union([z.literal(1), z.literal(2)]),
    auth: z.discriminatedUnion('kind', [
      /** A token that somebody made: of a deployment of Astronomer, or of a gateway. It is not bought anew. */
      z.strictObject({ kind: z.literal('bearer'), tokenFrom: z.string().min(1) }),
      z.strictObject({ kind: z.literal('basic'), user: z.string().min(1), passwordFrom: z.string().min(1) }),
      /** Airflow 3: the password buys a token at `path` before the first call of a job. */
      z.strictObject({
        kind: z.literal('token'),
        user: z.string().min(1),
        passwordFrom: z.string().min(1),
        path: z.string().startsWith('/').default('/auth/token'),
      }),
      /** Amazon MWAA: AWS gives a token of 60 seconds, the web server a session for it. `baseUrl` may be left out. */
      z.strictObject({
        kind: z.literal('mwaa'),
        environment: z.string().regex(/^[A-Za-z][\w-]{0,79}$/),
        ...awsSettings,
      }),
      /** Google Cloud Composer 2 and 3: an access token of a service account. `audience` makes it an id token, as IAP wants it. */
      z.strictObject({
        kind: z.literal('google'),
        /** The key of a service account as JSON; without it the identity of the machine. */
        keyFrom: z.string().min(1).optional(),
        audience: z.string().min(1).optional(),
      }),
    ]),
    /** The DAGs that may be changed. Every DAG can be read. */
    dags: z.array(pattern).min(1),
    /** DAGs and tasks (`dag.task`) that nobody marks as success, and that come before everything else. */
    critical: z.strictObject({ dags: z.array(pattern).default([]), tasks: z.array(pattern).default([]) }).prefault({}),
    /** DAGs that are not started or resumed while a critical DAG runs, or is due within `leadMinutes`. */
    backfills: z
      .strictObject({ dags: z.array(pattern).default([]), leadMinutes: z.number().int().min(0).max(1440).default(30) })
      .prefault({}),
    /** The pools that may be resized, the most slots that any approval can set, and the size on a normal day. */
    pools: z
      .record(
        z.string().min(1),
        z.strictObject({ max: z.number().int().min(1), usual: z.number().int().min(1).optional() }),
      )
      .default({}),
    /** The DAGs that may be started, and the keys of their conf that may be set, with the highest number of each. */
    trigger: z
      .record(
        name,
        z.strictObject({
          numbers: z.record(z.string(), z.number()).default({}),
          texts: z.array(z.string()).default([]),
        }),
      )
      .default({}),
    /** DAGs that take the date which they process from this key of their conf, and not from their run. */
    dateFromConf: z.record(name, z.string().min(1)).default({}),
    /** DAG to the DAGs that must have succeeded before it, beside what Airflow itself shows. */
    dependsOn: z.record(name, z.array(name)).default({}),
    /** The last good value of connections of Airflow. Secret parts stand in the environment only. */
    connections: z
      .record(
        z.string().regex(/^[\w.-]{1,200}$/),
        z.strictObject({
          type: z.string().min(1),
          host: z.string().default(''),
          login: z.string().default(''),
          schema: z.string().default(''),
          port: z.number().int().min(1).max(65_535).nullable().default(null),
          passwordFrom: z.string().min(1).optional(),
          /** A JSON object as text: the connection's `extra`. */
          extraFrom: z.string().min(1).optional(),
        }),
      )
      .default({}),
    /** How often a run is looked at while somebody waits for it. */
    pollSeconds: z.number().positive().max(300).default(10),
    timeoutMs: z.number().int().min(100).max(60_000).default(15_000),
  })
  .refine((all) => all.baseUrl !== undefined || all.auth.kind === 'mwaa', {
    path: ['baseUrl'],
    message: 'is missing; only MWAA names its web server itself',
  })
export type Settings = z.output<typeof Settings>

/** One Airflow, by its stable REST API: version 1 (Airflow 2) or 2 (Airflow 3). */
export const airflow = defineConnection<Settings, Airflow>({
  kind: 'airflow',
  settings: Settings,
  open: (settings, secret) => createAirflow(settings, createRest(settings, secret), secret),
  close: (client) => client.close(),
})
