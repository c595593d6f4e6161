import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Fault, type Json, startJson } from '../emr/json-server.ts'

const BIN = new URL('../../fixtures/machines/bin', import.meta.url).pathname
/** What Systems Manager keeps of an output. */
const MOST_OUT = 24_000

type Machine = {
  id: string
  name: string
  home: string
  tags: Record<string, string>
  online: boolean
  /** It was terminated a moment ago: still listed as Online, and no command goes there. */
  gone?: boolean
  /** More of its environment: another PATH leads to the real programs. */
  env?: Record<string, string>
}
type Invocation = {
  instance: string
  status: string
  details: string
  code: number
  out: string
  err: string
  /** What the machine says instead. */
  garble?: string
}
type Command = { id: string; comment: string; at: string; script: string; invocations: Invocation[]; asked: number }

/**
 * Systems Manager with machines whose scripts really run, in /bin/sh, with a systemd, a journal and package managers of
 * their own in front of the PATH. It refuses what the service refuses, and knows a command only some looks after it took it.
 */
export async function startFleet() {
  const root = await mkdtemp(join(tmpdir(), 'keyturn-machines-'))
  const machines = new Map<string, Machine>()
  const commands: Command[] = []
  const children = new Set<ChildProcess>()
  const state = {
    /** When true, commands are taken and wait. */
    hold: false,
    /** Called with each script before it runs. */
    before: (_script: string) => {},
  }

  function execute(machine: Machine, script: string, invocation: Invocation): void {
    state.before(script)
    if (state.hold) return
    const env = { PATH: `${BIN}:/usr/bin:/bin`, MACHINE: machine.home, ...machine.env }
    const child = spawn('/bin/sh', ['-s'], { env, cwd: machine.home, stdio: 'pipe' })
    children.add(child)
    invocation.status = 'InProgress'
    child.stdout.on('data', (part: Buffer) => (invocation.out += part.toString('utf8')))
    child.stderr.on('data', (part: Buffer) => (invocation.err += part.toString('utf8')))
    child.on('close', (code) => {
      children.delete(child)
      invocation.code = code ?? -1
      invocation.status = code === 0 ? 'Success' : 'Failed'
      invocation.details = invocation.status
    })
    child.stdin.end(script)
  }

  const server = await startJson('ssm', 'AmazonSSM', {
    DescribeInstanceInformation(input) {
      const filters = (input.Filters ?? []) as { Key: string; Values: string[] }[]
      const fits = (machine: Machine) =>
        filters.every(({ Key, Values }) => Values.includes(machine.tags[Key.replace(/^tag:/, '')] ?? ''))
      const all = [...machines.values()].filter(fits)
      const from = Number(input.NextToken ?? 0)
      const size = Number(input.MaxResults ?? 10)
      if (!(size >= 5 && size <= 50)) throw new Fault('ValidationException', `MaxResults ${size}`)
      return {
        // Pages smaller than asked for, as the service may give them: whoever forgets the next one sees too few.
        InstanceInformationList: all.slice(from, from + 2).map((machine) => ({
          InstanceId: machine.id,
          PingStatus: machine.online ? 'Online' : 'ConnectionLost',
          ComputerName: machine.name,
          PlatformName: 'Debian GNU/Linux',
          PlatformVersion: '12',
          IPAddress: '10.0.0.7',
        })),
        ...(all.length > from + 2 && { NextToken: String(from + 2) }),
      }
    },
    SendCommand(input) {
      const {
        DocumentName,
        InstanceIds,
        Parameters,
        Comment = '',
        TimeoutSeconds,
      } = input as {
        DocumentName: string
        InstanceIds: string[]
        Parameters: Record<string, string[]>
        Comment?: string
        TimeoutSeconds: number
      }
      if (DocumentName !== 'AWS-RunShellScript') throw new Fault('InvalidDocument', `Document ${DocumentName}`)
      if (Comment.length > 100 || !(TimeoutSeconds >= 30) || !(InstanceIds.length >= 1 && InstanceIds.length <= 50))
        throw new Fault('ValidationException', 'validation error')
      const known = ['commands', 'workingDirectory', 'executionTimeout']
      for (const [name, value] of Object.entries(Parameters))
        if (!known.includes(name) || !Array.isArray(value) || value.some((one) => /\{\{/.test(one)))
          throw new Fault('InvalidParameters', name)
      for (const id of InstanceIds)
        if (!machines.get(id)?.online || machines.get(id)?.gone)
          throw new Fault('InvalidInstanceId', `Instances [[${id}]] not in a valid state`)
      const script = Parameters.commands!.join('\n')
      const invocations = InstanceIds.map(
        (instance): Invocation => ({
          instance,
          status: 'Pending',
          details: 'Pending',
          code: -1,
          out: '',
          err: '',
        }),
      )
      const command = {
        id: randomUUID(),
        comment: Comment,
        at: new Date().toISOString(),
        script,
        invocations,
        asked: 0,
      }
      commands.unshift(command)
      for (const one of invocations) execute(machines.get(one.instance)!, script, one)
      return { Command: { CommandId: command.id, Comment, Status: 'Pending' } }
    },
    GetCommandInvocation(input) {
      const command = commands.find((one) => one.id === input.CommandId)
      const found = command?.invocations.find((one) => one.instance === input.InstanceId)
      if (!command || !found || command.asked++ === 0) throw new Fault('InvocationDoesNotExist', 'not yet')
      return {
        CommandId: command.id,
        InstanceId: found.instance,
        Comment: command.comment,
        Status: found.status,
        StatusDetails: found.details,
        ResponseCode: found.code,
        StandardOutputContent: (found.garble ?? found.out).slice(0, MOST_OUT),
        StandardErrorContent: found.err.slice(0, 8_000),
      }
    },
    ListCommands(input) {
      const after = ((input.Filters ?? []) as { key: string; value: string }[]).find((f) => f.key === 'InvokedAfter')
      if (after && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(after.value))
        throw new Fault('InvalidFilterValue', after.value)
      const all = commands.filter(
        (one) => (!after || one.at > after.value) && one.invocations.some((inv) => inv.instance === input.InstanceId),
      )
      const from = Number(input.NextToken ?? 0)
      return {
        Commands: all
          .slice(from, from + 2)
          .map((one) => ({ CommandId: one.id, Comment: one.comment, Status: one.invocations[0]!.status })),
        ...(all.length > from + 2 && { NextToken: String(from + 2) }),
      }
    },
    CancelCommand(input: Json) {
      const command = commands.find((one) => one.id === input.CommandId)
      if (!command) throw new Fault('InvalidCommandId', String(input.CommandId))
      for (const one of command.invocations)
        if (['Pending', 'InProgress'].includes(one.status)) {
          one.status = 'Cancelled'
          one.details = 'Cancelled'
        }
      return {}
    },
  })

  const write = async (machine: Machine, folder: string, file: string, text: string) => {
    await mkdir(join(machine.home, folder), { recursive: true })
    await writeFile(join(machine.home, folder, file), text)
  }
  const get = (id: string) => machines.get(id)!
  return {
    ...server,
    root,
    state,
    machines,
    commands,
    async add(id: string, name: string, tags: Record<string, string>) {
      const machine = { id, name, home: join(root, id), tags, online: true }
      await mkdir(machine.home, { recursive: true })
      machines.set(id, machine)
    },
    /** A unit in a state, by its first start, a long time ago. */
    unit: (id: string, unit: string, active = 'active') =>
      write(get(id), 'units', unit, `${active} 1 2026-01-05T09:00:00Z\n`),
    /** How often the unit has been started by now. */
    starts: (id: string, unit: string) => Number(readFileSync(join(get(id).home, 'units', unit), 'utf8').split(' ')[1]),
    /** The names of all files below a folder. */
    files: async (folder: string) =>
      (await readdir(folder, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile())
        .map((entry) => entry.name)
        .sort(),
    journal: (id: string, unit: string, lines: readonly string[]) =>
      write(get(id), 'journal', unit, `${lines.join('\n')}\n`),
    processes: (id: string, lines: readonly string[]) => write(get(id), '.', 'processes', `${lines.join('\n')}\n`),
    /** `broken`: does not come up. `flaps`: comes up and crashes, over and over. */
    spoil: (id: string, unit: string, how: 'broken' | 'flaps') => write(get(id), how, unit, ''),
    packages: (id: string, all: Record<string, string>, archive: Record<string, string> = {}) =>
      Promise.all([
        write(get(id), '.', 'packages', list(all, '\t')),
        write(get(id), '.', 'archive', list({ ...all, ...archive }, '=')),
      ]),
    /** What versions bring along, as lines of `apt-get --simulate`. */
    pulls: (id: string, lines: readonly string[]) => write(get(id), '.', 'pulls', `${lines.join('\n')}\n`),
    installed: async (id: string) =>
      Object.fromEntries(
        (await readFile(join(get(id).home, 'packages'), 'utf8'))
          .trim()
          .split('\n')
          .map((line) => line.split('\t') as [string, string]),
      ),
    /** Commands of changes; those that only look are left out. */
    changes: () => commands.filter((one) => one.comment !== 'keyturn looks').reverse(),
    async close() {
      for (const child of children) {
        child.kill('SIGKILL')
        await once(child, 'close')
      }
      await server.close()
      await rm(root, { recursive: true, force: true })
    },
  }
}
export type Fleet = Awaited<ReturnType<typeof startFleet>>

const list = (all: Record<string, string>, by: string) =>
  Object.entries(all)
    .map(([name, version]) => `${name}${by}${version}\n`)
    .join('')
