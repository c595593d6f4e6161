import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto'
import { SignatureV4 } from '@smithy/signature-v4'
import { z } from 'zod'
import { awsSettings } from '../aws/client.ts'

/** How EKS is signed in to; AWS identities as everywhere (the worker's own, two secrets, or a role to take on). */
export const EksSettings = z.strictObject({
  /** The cluster's name. */
  cluster: z.string().regex(/^[0-9A-Za-z][\w-]{0,99}$/, 'the name of a cluster'),
  region: awsSettings.region,
  accessKeyIdFrom: awsSettings.accessKeyIdFrom,
  secretAccessKeyFrom: awsSettings.secretAccessKeyFrom,
  roleArn: awsSettings.roleArn,
  externalId: awsSettings.externalId,
  roleSessionName: awsSettings.roleSessionName,
})
export type EksSettings = z.output<typeof EksSettings>

/** A token is good for 15 minutes from its signature: aws-iam-authenticator, README, "API Authorization from Outside a Cluster". */
export const LIFETIME_MS = 15 * 60_000
/** What the AWS CLI signs with; the authenticator takes up to 900. */
const EXPIRES_S = 60

/** SHA-256 as the signer wants it. */
class Sha256 {
  #hash: Hash | Hmac
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash =
      secret === undefined
        ? createHash('sha256')
        : createHmac('sha256', typeof secret === 'string' ? secret : new Uint8Array(secret as ArrayBuffer))
  }
  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(typeof data === 'string' ? data : new Uint8Array(data as ArrayBuffer))
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest()
  }
}

type Credentials = ConstructorParameters<typeof SignatureV4>[0]['credentials']

/** `k8s-aws-v1.` and the signed URL of an STS GetCallerIdentity that names the cluster. */
export async function eksToken(
  { cluster, region }: Pick<EksSettings, 'cluster' | 'region'>,
  credentials: Credentials,
  at: Date,
): Promise<string> {
  const hostname = `sts.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`
  const signer = new SignatureV4({ service: 'sts', region, credentials, sha256: Sha256 })
  const signed = await signer.presign(
    {
      method: 'GET',
      protocol: 'https:',
      hostname,
      path: '/',
      query: { Action: 'GetCallerIdentity', Version: '2011-06-15' },
      headers: { host: hostname, 'x-k8s-aws-id': cluster },
    },
    { expiresIn: EXPIRES_S, signingDate: at },
  )
  const query = new URLSearchParams(signed.query as Record<string, string>)
  return `k8s-aws-v1.${Buffer.from(`https://${hostname}/?${query}`).toString('base64url')}`
}
