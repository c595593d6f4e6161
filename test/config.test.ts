import { readFile } from 'node:fs/promises'
import { describe, expect, it } from '@jest/globals'
import { connectionKinds } from '../commands/index.ts'
import { formatConfigFaults, neededVariables, parseConfig, redisAddress } from '../src/config.ts'

const example = await readFile(new URL('../keyturn.example.yaml', import.meta.url), 'utf8')
const faultsOf = (text: string): string[] => {
  const parsed = parseConfig(text, connectionKinds)
  return parsed.ok ? [] : formatConfigFaults('k.yaml', parsed.faults).split('\n')
}
const SLACK = 'slack: { channels: { default: C0000 } }\n'

describe('keyturn.yaml', () => {
  it('as in the example is sound', () => {
    expect(faultsOf(example)).toEqual([])
  })

  it('takes no account that belongs to two humans: it would be counted as one of them, and their other accounts as more', () => {
    const people = (text: string) => faultsOf(`${SLACK}policy: { people: { ${text} } }`)
    expect(people('ada: [U0ADA, U0ADA2], sam: [U0SAM]')).toEqual([])
    expect(people('ada: [U0ADA, U0ADA2], sam: [U0ADA2, U0SAM]')).toEqual([
      expect.stringContaining('policy.people.sam: names U0ADA2, which belongs to ada'),
    ])
  })

  it.each(['9007199254740993', '12345678901234567890', '012345678901', '-9007199254740993'])(
    'takes %s only in quotes, since as a number it would lose a digit',
    (id) => {
      const source = (value: string) =>
        `${SLACK}sources: { ci: { kind: generic, auth: { bearerFrom: A }, labels: { a: /a },\n  status: { pointer: /s, firing: [${value}], resolved: [] } } }`
      expect(faultsOf(source(id))).toEqual([
        `k.yaml:3: YAML: ${id} cannot be kept as a number with all of its digits: put it in quotes`,
      ])
      expect(faultsOf(source(`"${id}"`))).toEqual([])
      expect(faultsOf(source('9007199254740991'))).toEqual([])
    },
  )

  it('names every fault at once, each with its line, its key and what to do', () => {
    const text = [
      'slack:',
      '  channels: { default: general }',
      '  botToken: xoxb-1',
      'http: { port: 99999 }',
      'connections:',
      '  lake: { kind: s4, environment: production }',
      '  shop: { kind: postgres, host: 1 }',
      'policy:',
      '  defaultApprovers: [nobody]',
      '  approvers: { dba: { oncall: [never] } }',
      'redis: { urlFrom: redis://h }',
    ].join('\n')
    const faults = faultsOf(text)
    const wanted = [
      /^k\.yaml:2: slack\.channels\.default: is not a Slack channel id/,
      /^k\.yaml:3: slack\.botToken: is not a known key: remove it/,
      /^k\.yaml:4: http\.port: /,
      /^k\.yaml:6: connections\.lake\.kind: "s4" is not one of /,
      /^k\.yaml(:7)?: connections\.shop\.environment: is required/,
      /^k\.yaml:7: connections\.shop\.host: /,
      /^k\.yaml:11: redis\.urlFrom: is not the name of an environment variable/,
    ]
    for (const pattern of wanted) expect(faults.filter((f) => pattern.test(f))).toHaveLength(1)
  })

  it.each([
    [
      'an approver list that is not there',
      `${SLACK}policy: { defaultApprovers: [nobody] }`,
      'policy.defaultApprovers: names "nobody", which is not under policy.approvers',
    ],
    [
      'a rotation that is not there',
      `${SLACK}policy: { approvers: { a: { oncall: [x] } } }`,
      'names "x", which is not under policy.oncall',
    ],
    ['a quorum of one for high risk', `${SLACK}policy: { quorum: { high: 1 } }`, 'policy.quorum.high'],
    ['no Slack at all', 'http: { port: 1 }', 'slack: is required'],
    ['no environment', `${SLACK}connections: { a: { kind: http } }`, 'connections.a.environment: is required'],
    ['a key twice', `${SLACK}slack: {}`, 'Map keys must be unique'],
    ['YAML that does not parse', 'slack: {', 'k.yaml:1: YAML'],
    ['nothing', '', 'slack: is required'],
  ])('says what is wrong with %s', (_what, text, fault) => {
    expect(faultsOf(text).join('\n')).toContain(fault)
  })

  it('is not grown by aliases, nor given keys that every object has', () => {
    const bomb = `a: &a [x,x]\n${Array.from({ length: 30 }, (_, i) => `b${i}: &b${i} [${i ? `*b${i - 1},*b${i - 1}` : '*a,*a'}]`).join('\n')}`
    expect(() => faultsOf(bomb)).toThrow(/alias/i)
    expect(faultsOf(`${SLACK}__proto__: { x: 1 }`).join('\n')).toContain('__proto__')
  })
})

describe('what a process needs from the environment', () => {
  const parsed = parseConfig(example, connectionKinds)
  if (!parsed.ok) throw new Error('the example has faults')
  const needs = (bot: boolean, worker: boolean) =>
    neededVariables(parsed.config, { bot, worker }).map((n) => n.variable)
  it('keeps production credentials from the bot, and Slack and the signing key from the worker', () => {
    expect(needs(true, false)).toEqual([
      'REDIS_URL',
      'KEYTURN_PRIVATE_KEY',
      'SLACK_BOT_TOKEN',
      'SLACK_APP_TOKEN',
      'ALERTMANAGER_TOKEN',
    ])
    expect(needs(false, true)).toEqual(['REDIS_URL', 'KEYTURN_PUBLIC_KEY', 'WAREHOUSE_PASSWORD'])
  })
})

describe('Redis', () => {
  const login = 'user: k, passwordFrom: REDIS_PASSWORD, tls: true'
  const configOf = (redis: string) => {
    const parsed = parseConfig(`${SLACK}redis: { ${redis} }`, connectionKinds)
    if (!parsed.ok) throw new Error(formatConfigFaults('k.yaml', parsed.faults))
    return parsed.config
  }
  const none = { bot: false, worker: false }

  it('is one server, one under Sentinel, or a cluster; passwords come from the environment', () => {
    const secret = (variable: string) => `value of ${variable}`
    expect(redisAddress(configOf(''), secret)).toEqual({ kind: 'one', url: 'value of REDIS_URL' })
    const given = { username: 'k', password: 'value of REDIS_PASSWORD', tls: true }
    const watched = configOf(`sentinels: { master: m, nodes: [a.b:26379], passwordFrom: WATCH }, ${login}`)
    expect(redisAddress(watched, secret)).toEqual({
      kind: 'sentinels',
      master: 'm',
      nodes: [{ host: 'a.b', port: 26379 }],
      sentinelPassword: 'value of WATCH',
      login: given,
    })
    expect(
      neededVariables(watched, none)
        .map((n) => n.variable)
        .sort(),
    ).toEqual(['REDIS_PASSWORD', 'WATCH'])
    const cluster = configOf(`cluster: { nodes: ['a:1', 'b:2'] }, ${login}`)
    expect(redisAddress(cluster, secret)).toEqual({
      kind: 'cluster',
      nodes: [
        { host: 'a', port: 1 },
        { host: 'b', port: 2 },
      ],
      login: given,
    })
    expect(neededVariables(cluster, none)).toEqual([{ key: 'redis.passwordFrom', variable: 'REDIS_PASSWORD' }])
  })

  it.each([
    ['two ways at once', "cluster: { nodes: ['a:1'] }, urlFrom: X", 'redis.cluster: cannot stand beside urlFrom'],
    ['a password beside a URL', 'passwordFrom: X', 'redis.passwordFrom: is for sentinels and clusters'],
    ['a node without a port', 'cluster: { nodes: [a] }', 'redis.cluster.nodes.0: is not written as host:port'],
    ['a password in a node', "cluster: { nodes: ['k:pw@a:1'] }", 'redis.cluster.nodes.0: is not written as host:port'],
    ['no nodes', 'cluster: { nodes: [] }', 'redis.cluster.nodes'],
    ['no master', "sentinels: { nodes: ['a:1'] }", 'redis.sentinels.master: is required'],
  ])('is not given by %s', (_what, redis, fault) => {
    expect(faultsOf(`${SLACK}redis: { ${redis} }`).join('\n')).toContain(fault)
  })
})
