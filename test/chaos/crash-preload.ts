/**
 * Loaded into a bot or a worker before its program (`node --import`): turns the seams at which it meets the world into
 * points at which it can be killed. The program itself has none, so a process that is started without this has none.
 * The parent arms one point at a time: `{ seam, times }`; the process gets SIGKILL when it has passed there so often.
 */
import crypto from 'node:crypto'
import http from 'node:http'
import { syncBuiltinESMExports } from 'node:module'
import { Job, Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'

type Call = (this: unknown, ...args: unknown[]) => unknown

let armed: { seam: string; times: number } | null = null
process.on('message', (point: { seam: string; times: number }) => {
  armed = { ...point }
})
process.channel?.unref()
// Whoever arms it is gone: nobody would end it.
process.on('disconnect', () => process.exit(1))

/** A point: whoever is armed for it dies here, without another line of its program. */
function at(seam: string): void {
  if (armed?.seam !== seam) return
  armed.times -= 1
  if (armed.times <= 0) process.kill(process.pid, 'SIGKILL')
}

/** Puts a point before and after a method's calls. `named` says what a call is; one that has no name has no points. */
function around(owner: object, method: string, named: (args: unknown[], self: unknown) => readonly string[]): void {
  const inner = Reflect.get(owner, method) as Call
  Reflect.set(owner, method, function (this: unknown, ...args: unknown[]) {
    const names = named(args, this)
    for (const name of names) at(`before ${name}`)
    const result = inner.apply(this, args)
    const after = <T>(value: T) => {
      for (const name of names) at(`after ${name}`)
      return value
    }
    if (names.length === 0) return result
    return result instanceof Promise ? result.then(after) : after(result)
  })
}

// What is stored: our scripts by name, an append by the events that it carries.
const SCRIPTS: Record<string, string> = { keyturnTake: 'lock', keyturnFree: 'unlock', keyturnSlot: 'pace' }
const define = Redis.prototype.defineCommand as Call
Reflect.set(Redis.prototype, 'defineCommand', function (this: object, name: string, ...rest: unknown[]) {
  define.call(this, name, ...rest)
  if (name === 'keyturnAppend') around(this, name, (args) => args.flatMap(eventIn).map((type) => `append ${type}`))
  else if (SCRIPTS[name]) around(this, name, () => [SCRIPTS[name]!])
})
const eventIn = (arg: unknown): string[] =>
  typeof arg === 'string' && arg.startsWith('{"') ? [(JSON.parse(arg) as { event: { type: string } }).event.type] : []

// Plain commands, by name and key. The reply is a point before anybody hears of it.
type Command = { name: string; args: unknown[]; resolve: (value: unknown) => void }
const hooked = new WeakSet<Command>()
const send = Redis.prototype.sendCommand as Call
Reflect.set(Redis.prototype, 'sendCommand', function (this: unknown, command: Command, ...rest: unknown[]) {
  const name = hooked.has(command) ? null : written(command)
  if (name) {
    hooked.add(command)
    at(`before ${name}`)
    const resolve = command.resolve
    command.resolve = (value) => {
      at(`after ${name}`)
      resolve(value)
    }
  }
  return send.call(this, command, ...rest)
})
function written({ name, args }: Command): string | null {
  const key = String(args[0])
  if (name === 'hset' && key.endsWith(':slack')) return String(args[2]).includes('"ts":null') ? 'attempt' : 'ts'
  if (name === 'sadd' && key === 'keyturn:all') return 'list'
  if (name !== 'set') return null
  if (key.startsWith('keyturn:seen:')) return 'seen'
  return /:(lease|rendered|beat)(:|$)/.exec(key)?.[1] ?? null
}

// Jobs.
around(Queue.prototype, 'addBulk', (_, self) => [`ring ${(self as Queue).name}`])
around(Worker.prototype, 'processJob', (_, self) => [`job ${(self as Worker).name}`])
around(Job.prototype, 'moveToCompleted', (_, self) => [`complete ${(self as Job).queueName}`])

// Signatures.
around(crypto, 'sign', ([, bytes]) => [/^keyturn\/(\w+)/.exec(String(bytes))?.[1] ?? ''].map((what) => `sign ${what}`))

// Calls of Slack.
around(globalThis, 'fetch', ([to]) => {
  const method = /\/api\/([\w.]+)/.exec(String(to))?.[1]
  return method ? [`slack ${method}`] : []
})

// Requests to a target.
const request = http.request as Call
Reflect.set(http, 'request', (...args: unknown[]) => {
  const { method } = (args.find((a) => typeof a === 'object' && a !== null && 'method' in a) ?? {}) as {
    method?: string
  }
  at(`before send ${method}`)
  const outgoing = request(...args) as http.ClientRequest
  outgoing.once('response', () => at(`after send ${method}`))
  return outgoing
})

// Requests from outside, and their answers.
const kindOf = (url = '') => (url.startsWith('/webhooks') ? 'alert' : url.startsWith('/slack') ? 'click' : 'other')
const emit = http.Server.prototype.emit as Call
Reflect.set(http.Server.prototype, 'emit', function (this: unknown, event: string, ...args: unknown[]) {
  if (event === 'request') at(`receive ${kindOf((args[0] as http.IncomingMessage).url)}`)
  return emit.call(this, event, ...args)
})
const end = http.ServerResponse.prototype.end as Call
Reflect.set(http.ServerResponse.prototype, 'end', function (this: http.ServerResponse, ...args: unknown[]) {
  const kind = kindOf(this.req.url)
  at(`before answer ${kind}`)
  this.once('finish', () => at(`after answer ${kind}`))
  return end.apply(this, args)
})

syncBuiltinESMExports()
