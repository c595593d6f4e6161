import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { EMRClient, ModifyInstanceGroupsCommand } from '@aws-sdk/client-emr'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { answered } from '../../../commands/aws/answered.ts'
import { awsClient } from '../../../commands/aws/client.ts'
import { Unanswered } from '../../../src/domain/command.ts'

let answer: (reply: ServerResponse) => unknown
const server = createServer((_, reply) => answer(reply))
let client: EMRClient

beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const keys = { accessKeyIdFrom: 'K', secretAccessKeyFrom: 'K' }
  client = awsClient(EMRClient, { region: 'us-east-1', endpoint, ...keys }, () => 'local', 1)
})
afterAll(async () => {
  client.destroy()
  server.closeAllConnections()
  await new Promise((done) => server.close(done))
})

const send = (signal = new AbortController().signal) =>
  answered('ModifyInstanceGroups', signal, () =>
    client.send(new ModifyInstanceGroupsCommand({ ClusterId: 'j-1' }), { abortSignal: signal }),
  ).then(
    () => 'done',
    (error: Error) => error,
  )
const json = { 'content-type': 'application/x-amz-json-1.1' }

it.each<[string, typeof answer]>([
  ['no answer', (reply) => reply.destroy()],
  [
    'half an answer',
    (reply) => reply.writeHead(200, { ...json, 'content-length': 99 }).write('{', () => reply.destroy()),
  ],
  ['an answer that is not one', (reply) => reply.writeHead(200, json).end('<html>')],
  ['a breakdown', (reply) => reply.writeHead(500, json).end('{"__type":"InternalServerException"}')],
])('takes %s for none', async (_, given) => {
  answer = given
  expect(await send()).toBeInstanceOf(Unanswered)
})

it('passes a whole answer and a refusal on as they are', async () => {
  answer = (reply) => reply.writeHead(200, json).end('{}')
  expect(await send()).toBe('done')
  answer = (reply) => reply.writeHead(400, json).end('{"__type":"InvalidRequestException","message":"no such group"}')
  expect(await send()).toMatchObject({ name: 'InvalidRequestException', message: 'no such group' })
})
