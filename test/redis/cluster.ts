import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { type Address, connectPatient, connectRedis, type Store } from '../../src/redis/connect.ts'
import { endProgram, freePort, startProgram } from '../../src/sandbox/processes.ts'

export const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', '']

/** Tries until the answer is the wanted one; the last answer is in the error of a test that waits in vain. */
export async function until<T>(ask: () => Promise<T>, wanted: (answer: T) => boolean): Promise<T> {
  const end = Date.now() + 45_000
  for (;;) {
    const answer = await ask().catch((error: Error) => error)
    if (!(answer instanceof Error) && wanted(answer)) return answer
    if (Date.now() > end) throw new Error(`waited in vain; the last answer was ${JSON.stringify(answer)} ${answer}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Several Redis programs on the loopback interface in one temporary folder, and connections to where they are. */
export async function startNodes() {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-nodes-'))
  const programs = new Map<number, Awaited<ReturnType<typeof startProgram>>>()
  const stores: Store[] = []
  const start = async (port: number, args: readonly string[]) => {
    const given = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--appenddirname', `aof-${port}`]
    programs.set(port, await startProgram('redis-server', [...given, ...args], { ready: 'Ready to accept' }))
  }
  return {
    folder,
    start,
    program: (command: string, args: readonly string[], port: number, ready: string) =>
      startProgram(command, args, { ready }).then((child) => programs.set(port, child)),
    kill: (port: number) => endProgram(programs.get(port)!, 'SIGKILL'),
    /** The connections that a process opens, to be closed with the rest. */
    opener(address: Address) {
      const keep = (store: Store) => {
        stores.push(store)
        return store
      }
      return {
        hasty: () => keep(connectRedis(address, () => {})),
        patient: () => keep(connectPatient(address, () => {})),
      }
    },
    async stop() {
      for (const store of stores) store.disconnect()
      for (const program of programs.values()) await endProgram(program, 'SIGKILL')
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const SLOTS = 16_384

/** A real Redis Cluster of three masters without replicas. */
export async function startCluster(settings: readonly string[] = DURABLE) {
  const nodes = await startNodes()
  const ports: number[] = []
  const args = (port: number, bus: number) =>
    ['--cluster-enabled', 'yes', '--cluster-config-file', `nodes-${port}.conf`, '--cluster-port', String(bus)].concat(
      settings,
    )
  const buses: number[] = []
  for (let i = 0; i < 3; i += 1) {
    ports.push(await freePort())
    buses.push(await freePort())
    await nodes.start(ports[i]!, args(ports[i]!, buses[i]!))
  }
  const direct = ports.map((port) => new Redis(port, '127.0.0.1'))
  for (const [i, client] of direct.entries()) {
    const [from, to] = [Math.ceil((SLOTS / 3) * i), Math.ceil((SLOTS / 3) * (i + 1)) - 1]
    await client.call('CLUSTER', 'ADDSLOTSRANGE', from, to)
    // Two nodes with one epoch would have to find out which of them gives way.
    await client.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1)
    if (i > 0) await direct[0]!.call('CLUSTER', 'MEET', '127.0.0.1', ports[i]!, buses[i]!)
  }
  for (const client of direct)
    await until(
      async () => String(await client.call('CLUSTER', 'INFO')),
      (info) => info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3'),
    )
  for (const client of direct) client.disconnect()
  const address: Address = { kind: 'cluster', nodes: ports.map((port) => ({ host: '127.0.0.1', port })), login: {} }
  return {
    ...nodes.opener(address),
    address,
    ports,
    kill: () => Promise.all(ports.map((port) => nodes.kill(port))),
    restart: () => Promise.all(ports.map((port, i) => nodes.start(port, args(port, buses[i]!)))),
    stop: nodes.stop,
  }
}

/** A master, a replica and a sentinel that alone may decide that the master is gone. */
export async function startSentinel() {
  const nodes = await startNodes()
  const [master, replica, sentinel] = [await freePort(), await freePort(), await freePort()]
  await nodes.start(master, [...DURABLE, '--dbfilename', 'master.rdb'])
  await nodes.start(replica, [
    ...DURABLE,
    '--dbfilename',
    'replica.rdb',
    '--replicaof',
    '127.0.0.1',
    String(master),
    '--repl-diskless-sync-delay',
    '0',
  ])
  const file = join(nodes.folder, 'sentinel.conf')
  await writeFile(
    file,
    `port ${sentinel}\nbind 127.0.0.1\ndir ${nodes.folder}\nsentinel monitor keyturn 127.0.0.1 ${master} 1\n` +
      // Until it is killed it is not given up, however slow the machine is.
      'sentinel down-after-milliseconds keyturn 120000\nsentinel failover-timeout keyturn 3000\n',
  )
  await nodes.program('redis-server', [file, '--sentinel'], sentinel, '+monitor')
  const direct = new Redis(sentinel, '127.0.0.1')
  await until(
    async () => JSON.stringify(await direct.call('SENTINEL', 'REPLICAS', 'keyturn')),
    (answer) => answer.includes(String(replica)) && answer.includes('"master-link-status","ok"'),
  )
  const killMaster = async () => {
    await direct.call('SENTINEL', 'SET', 'keyturn', 'down-after-milliseconds', '300')
    await nodes.kill(master)
  }
  const stop = () => {
    direct.disconnect()
    return nodes.stop()
  }
  const address: Address = {
    kind: 'sentinels',
    master: 'keyturn',
    nodes: [{ host: '127.0.0.1', port: sentinel }],
    login: {},
  }
  return { ...nodes.opener(address), address, replica, killMaster, stop }
}
