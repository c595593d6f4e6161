import { z } from 'zod'

/** What every AWS connection has. Without both secrets the SDK's own chain is asked: role, profile, instance. */
export const awsSettings = {
  region: z.string().min(1),
  /** For a server that speaks the same protocol, on premises or in a test. */
  endpoint: z.url().optional(),
  accessKeyIdFrom: z.string().optional(),
  secretAccessKeyFrom: z.string().optional(),
}

type AwsSettings = Readonly<{
  region: string
  endpoint?: string
  accessKeyIdFrom?: string
  secretAccessKeyFrom?: string
}>

/** The configuration of an SDK client. `attempts` is 1 where a request must not be sent again after a lost reply. */
export function awsClient(settings: AwsSettings, secret: (variable: string) => string, attempts: number) {
  const { region, endpoint, accessKeyIdFrom, secretAccessKeyFrom } = settings
  if (Boolean(accessKeyIdFrom) !== Boolean(secretAccessKeyFrom))
    throw new Error('accessKeyIdFrom and secretAccessKeyFrom belong together: set both or neither')
  return {
    region,
    ...(endpoint && { endpoint }),
    ...(accessKeyIdFrom &&
      secretAccessKeyFrom && {
        credentials: { accessKeyId: secret(accessKeyIdFrom), secretAccessKey: secret(secretAccessKeyFrom) },
      }),
    maxAttempts: attempts,
    requestHandler: {
      connectionTimeout: 5_000,
      requestTimeout: 60_000,
      throwOnRequestTimeout: true,
      socketTimeout: 60_000,
    },
  }
}
