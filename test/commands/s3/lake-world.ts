import { createWorld, type World } from '../context.ts'

/** A world whose connection `lake` reaches a server with the bucket `lake`; `more` are further settings of it. */
export const lakeWorld = (endpoint: string, more: object = {}, secrets: Record<string, string> = {}): World =>
  createWorld({
    secrets: { K: 'local', ...secrets },
    connections: {
      lake: {
        kind: 's3',
        settings: {
          ...{ region: 'us-east-1', endpoint, forcePathStyle: true, accessKeyIdFrom: 'K', secretAccessKeyFrom: 'K' },
          ...{ buckets: ['lake'], backoffMs: 1, deletable: [{ under: 'lake/tmp' }] },
          ...more,
        },
      },
    },
  })
