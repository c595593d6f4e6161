import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb'
import { programOf } from '../../harness/peer.ts'

const FOLDER = join(dirname(createRequire(import.meta.url).resolve('amplify-dynamodb-simulator')), 'emulator')

/** AWS's own DynamoDB Local, which an npm package brings along; it takes Java. */
export async function startLocal() {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }
  await new Promise((done) => taken.close(done))
  const child = spawn(
    programOf('java')!,
    [
      '-Djava.library.path=./DynamoDBLocal_lib',
      '-jar',
      'DynamoDBLocal.jar',
      '-inMemory',
      '-sharedDb',
      '-disableTelemetry',
      '-port',
      String(port),
    ],
    { cwd: FOLDER, stdio: 'ignore' },
  )
  const endpoint = `http://127.0.0.1:${port}`
  const client = new DynamoDBClient({
    region: 'us-east-1',
    endpoint,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    maxAttempts: 1,
  })
  const close = async () => {
    client.destroy()
    if (child.exitCode !== null) return
    child.kill()
    await once(child, 'exit')
  }
  for (let tries = 0; ; tries++)
    try {
      await client.send(new ListTablesCommand({}))
      return { endpoint, client, close }
    } catch (error) {
      if (tries === 300 || child.exitCode !== null) {
        await close()
        throw error
      }
      await wait(100)
    }
}
