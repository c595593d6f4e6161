import { execFileSync, spawn } from 'node:child_process'
import { chownSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { endProgram } from '../../../src/sandbox/processes.ts'
import { type Engine, FLAGS } from '../../../src/sandbox/targets/postgres.ts'

const number = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))

/** Postgres as it is installed on this machine, by the path of its programs; `flags` go to the server as well. */
export const installed =
  (programOf: (name: string) => string, flags: readonly string[] = []): Engine =>
  async ({ folder, port, password, log }) => {
    // It does not run as root.
    const who = process.getuid?.() === 0 ? { uid: number('-u'), gid: number('-g') } : {}
    const data = join(folder, 'data')
    const secret = join(folder, 'password')
    writeFileSync(secret, password)
    for (const path of [folder, secret]) if (who.uid !== undefined) chownSync(path, who.uid, who.gid)
    const make = ['-D', data, '-U', 'postgres', '-A', 'password', `--pwfile=${secret}`, '--no-sync']
    execFileSync(programOf('initdb'), make, { ...who, stdio: 'ignore' })
    const child = spawn(programOf('postgres'), ['-D', data, '-p', String(port), ...FLAGS, ...flags], {
      ...who,
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    await new Promise<void>((ready, fail) => {
      const hear = (part: Buffer) => {
        log(part.toString())
        if (part.includes('ready to accept connections')) ready()
      }
      child.stdout.on('data', hear)
      child.stderr.on('data', hear)
      child.once('error', fail)
      child.once('exit', (code) => fail(new Error(`postgres ended with ${code}`)))
    })
    // The fast way: sessions are ended, not waited for.
    return () => endProgram(child, 'SIGINT')
  }
