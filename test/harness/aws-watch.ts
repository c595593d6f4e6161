import type { Server } from 'node:http'
import { type AwsModel, awsModel } from './aws-model.ts'

/** The client package of a service, by the name that its requests are signed for. */
const CLIENTS: Readonly<Record<string, string>> = {
  ...{ elasticmapreduce: 'emr', autoscaling: 'auto-scaling', monitoring: 'cloudwatch', logs: 'cloudwatch-logs' },
  ...{ 'application-autoscaling': 'application-auto-scaling', states: 'sfn' },
}

/** A server may set this header (`setHeader`) on an answer that breaks the model on purpose. */
export const MISCHIEF = 'x-mischief'

/** What was asked of all servers that are watched, by the session that it was signed in: actions as IAM names them. */
export const askedInSession = new Map<string, Set<string>>()

const models = new Map<string, AwsModel>()
function modelOf(service: string): AwsModel {
  const known = models.get(service)
  if (known) return known
  const model = awsModel(`@aws-sdk/client-${CLIENTS[service] ?? service}`)
  models.set(service, model)
  return model
}

const actionIn = (target: string | string[] | undefined, text: string): string =>
  target === undefined ? (new URLSearchParams(text).get('Action') ?? '') : String(target).split('.').at(-1)!

/**
 * Holds each request that comes to a server of AWS's JSON or Query protocol, and each good answer of it, to the SDK's model of
 * the service that the request is signed for. `assertHeld` throws what differed; servers call it when they close.
 */
export function watchAws(server: Server) {
  const faults = new Set<string>()
  server.prependListener('request', (request, reply) => {
    const [, service] = /\/[\w-]+\/([\w-]+)\/aws4_request/.exec(request.headers.authorization ?? '') ?? []
    if (service === undefined) return
    const asked: Buffer[] = []
    const answered: Buffer[] = []
    request.on('data', (chunk: Buffer) => asked.push(chunk))
    const keep = (chunk: unknown) => {
      if (typeof chunk === 'string' || Buffer.isBuffer(chunk)) answered.push(Buffer.from(chunk))
    }
    const { write, end } = reply
    reply.write = ((chunk: unknown, ...rest: never[]) => {
      keep(chunk)
      return write.call(reply, chunk, ...(rest as [never]))
    }) as typeof write
    reply.end = ((chunk: unknown, ...rest: never[]) => {
      keep(chunk)
      return end.call(reply, chunk, ...(rest as [never]))
    }) as typeof end
    const target = request.headers['x-amz-target']
    request.once('end', () => {
      const session = request.headers['x-amz-security-token']
      if (session === undefined) return
      const before = askedInSession.get(String(session)) ?? new Set()
      askedInSession.set(String(session), before.add(`${service}:${actionIn(target, Buffer.concat(asked).toString())}`))
    })
    reply.once('finish', () => {
      // What was refused is none of the model's business.
      if (reply.statusCode !== 200 || reply.getHeader(MISCHIEF) !== undefined) return
      const text = Buffer.concat(asked).toString()
      const body = Buffer.concat(answered).toString()
      const form = target === undefined ? new URLSearchParams(text) : null
      const action = actionIn(target, text)
      const model = modelOf(service)
      for (const fault of model.input(action, form ?? JSON.parse(text))) faults.add(`asked ${service}: ${fault}`)
      for (const fault of model.output(action, form ? body : JSON.parse(body || '{}')))
        faults.add(`answered by ${service}: ${fault}`)
    })
  })
  return {
    assertHeld() {
      if (faults.size > 0) throw new Error(`not as the AWS SDK has it:\n${[...faults].sort().join('\n')}`)
    },
  }
}
