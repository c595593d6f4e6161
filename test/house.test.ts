import { access, readdir, readFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { parse } from 'yaml'
import { commands, connectionKinds } from '../commands/index.ts'

const ROOT = new URL('..', import.meta.url).pathname
const read = (file: string) => readFile(join(ROOT, file), 'utf8')
const all = await readdir(ROOT, { recursive: true, withFileTypes: true })
const tracked = all
  .filter((e) => e.isFile())
  .map((e) => relative(ROOT, join(e.parentPath, e.name)))
  .filter((f) => !/^(node_modules|\.git)\//.test(f))
const manifest = JSON.parse(await read('package.json')) as Record<
  'dependencies' | 'devDependencies',
  Record<string, string>
>
const packages = { ...manifest.dependencies, ...manifest.devDependencies }

describe('dependencies', () => {
  it('are pinned exactly', () => {
    for (const [name, version] of Object.entries(packages))
      expect([name, version]).toEqual([name, expect.stringMatching(/^\d+\.\d+\.\d+(-[\w.]+)?$/)])
  })

  it('are justified, each of them and nothing else', async () => {
    const rows = (await read('docs/dependencies.md'))
      .split('\n')
      .flatMap((line) => /^\| (@?[a-z].*?) \| .+ \|$/.exec(line)?.[1] ?? [])
    const named = rows
      .filter((cell) => cell !== 'package')
      .flatMap((cell) => {
        const [, scope, list] = /^(.*)\{(.*)\}$/.exec(cell) ?? []
        return list ? list.split(', ').map((name) => `${scope}${name}`) : cell.split(', ')
      })
      .flatMap((name) =>
        name.endsWith('/*') ? Object.keys(packages).filter((p) => p.startsWith(name.slice(0, -1))) : [name],
      )
    expect(named.toSorted()).toEqual(Object.keys(packages).toSorted())
  })

  it('are locked without the address of a registry', async () => {
    expect(await read('package-lock.json')).not.toMatch(
      /"resolved"|https?:\/\/(?!github|opencollective|feross|paypal|tidelift|ko-fi|www\.|patreon|dotenvx|bevry|buymeacoffee|eslint|jaywcjlove|polar)[^"]*registry/,
    )
  })
})

describe('the documents', () => {
  it('link to what is there', async () => {
    for (const file of tracked.filter((f) => f.endsWith('.md') && !f.startsWith('playbooks/'))) {
      const text = (await read(file)).replace(/```[\s\S]*?```/g, '')
      for (const [, target = ''] of text.matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)/g))
        await access(join(ROOT, dirname(file), target))
    }
  })

  it('name the methods of Slack that need a scope, and the manifest asks for no other', async () => {
    const app = parse(await read('manifest.yaml')) as { oauth_config: { scopes: { bot: string[] } } }
    const sources = await Promise.all(tracked.filter((f) => f.startsWith('src/slack/')).map(read))
    // https://docs.slack.dev/reference/scopes: what each of the methods that we call needs.
    const needs: Record<string, string[]> = {
      'chat.postMessage': ['chat:write'],
      'files.getUploadURLExternal': ['files:write'],
      'conversations.history': ['channels:history', 'groups:history'],
      'conversations.replies': ['channels:history', 'groups:history'],
      // To find a file of ours again after a lost reply, by its name in the message.
      'message.files': ['files:read'],
      'users.info': ['users:read'],
      'usergroups.users.list': ['usergroups:read'],
      'usergroups.list': ['usergroups:read'],
      'chat.delete': ['chat:write'],
    }
    const called = Object.keys(needs).filter((method) => sources.some((text) => text.includes(method)))
    expect(called).toEqual(Object.keys(needs))
    expect(app.oauth_config.scopes.bot.toSorted()).toEqual([...new Set(Object.values(needs).flat())].toSorted())
  })
})

describe('compose.yaml', () => {
  it('gives Redis the durability that a start asks for, and each part its own secrets only', async () => {
    const { services } = parse(await read('compose.yaml')) as {
      services: Record<string, { command?: string | string[]; environment?: unknown }>
    }
    const redis = [services.redis?.command].flat().join(' ')
    for (const setting of ['--appendonly yes', '--appendfsync always', '--maxmemory-policy noeviction'])
      expect(redis).toContain(setting)
    const environment = (name: string) => JSON.stringify(services[name]?.environment)
    expect(environment('worker')).not.toMatch(/SLACK|PRIVATE/)
    expect(environment('bot')).not.toMatch(/PUBLIC_KEY|PASSWORD/)
  })
})

it('every folder of commands is in the registry', async () => {
  const index = await read('commands/index.ts')
  const folders = (await readdir(join(ROOT, 'commands'), { withFileTypes: true })).filter((d) => d.isDirectory())
  for (const { name } of folders) expect([name, name === 'aws' || index.includes(`./${name}/`)]).toEqual([name, true])
})

it('every system that is reached by a connection says which rights that takes, and the README leads there', async () => {
  const page = await read('commands/README.md')
  const folders = tracked.flatMap((f) => /^commands\/(\w+)\/connection\.ts$/.exec(f)?.[1] ?? [])
  for (const folder of folders) {
    const files = tracked.filter((f) => new RegExp(`^commands/${folder}/rights\\.(md|json|sql|yaml)$`).test(f))
    expect([folder, files]).not.toEqual([folder, []])
    for (const file of files) expect([file, page.includes(`(${file.slice('commands/'.length)})`)]).toEqual([file, true])
    for (const file of files.filter((f) => f.endsWith('.json'))) JSON.parse(await read(file))
  }
})

describe('commands/README.md', () => {
  it('lists every command once, with parameters that it has', async () => {
    const rows = [...(await read('commands/README.md')).matchAll(/^\| `([^`]+)` \| .+ \| (`.+) \|$/gm)]
    expect(rows.map(([, id]) => id).toSorted()).toEqual(commands.map((c) => c.id).toSorted())
    for (const [, id, example = ''] of rows) {
      const has = Object.keys(commands.find((c) => c.id === id)?.params.shape ?? {})
      for (const [, name] of example.matchAll(/`(\w+):/g))
        expect([id, has]).toEqual([id, expect.arrayContaining([name])])
    }
  })

  it('has an example of every kind of connection, which its settings accept', async () => {
    const examples = [...(await read('commands/README.md')).matchAll(/^```yaml\n([\s\S]*?)^```/gm)]
      .flatMap(([, text = '']) => Object.values(parse(text) as Record<string, { kind: string; environment: string }>))
      .map(({ kind, environment: _, ...settings }) => ({ kind, settings }))
    expect([...new Set(examples.map((e) => e.kind))].toSorted()).toEqual(connectionKinds.map((k) => k.kind).toSorted())
    for (const { kind, settings } of examples) connectionKinds.find((k) => k.kind === kind)?.settings.parse(settings)
  })
})
