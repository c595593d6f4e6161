import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { digest } from '../../src/domain/plan.ts'
import { Playbook } from '../../src/domain/playbook.ts'
import { formatFaults } from '../../src/markdown/fault.ts'
import { parsePlaybook } from '../../src/markdown/parse.ts'
import { matchesWhole } from '../../src/markdown/regex.ts'
import { commands } from './commands.ts'

const slot = (name: string) => `\${${name}}`
const FILE = 'playbooks/kafka/poison.md'
const known = { commands, approvers: ['data-oncall', 'sre'], channels: ['default', 'data'] }

const GOOD = `---
title: A poison message blocks a Kafka consumer
match: { alertname: KafkaConsumerCrashLoop, topic: /orders\\..+/, group: true }
group_by: [topic, consumer_group]
owner: "@data-platform"
approvers: ["@data-oncall"]
severity: critical
---
The consumer reads one record that is *not* JSON.

## Find the bad record
\`\`\`yaml kafka.find-bad-record
topic: \${labels.topic}
limit: 3
\`\`\`
Its offset is in the table.

## 1. Skip it
Copies the record first.

- Look at this:
  \`\`\`sh
  kcat -C -t orders
  \`\`\`

  \`\`\`yaml kafka.skip-record
  topic: \${labels.topic}
  group: group-\${annotations.group}
  partitions: ["0", "\${labels.partition}"]
  \`\`\`

## If it comes back
Ask the producer's owner.
`

function parsed(text: string) {
  const result = parsePlaybook(FILE, text, known)
  if (!result.ok) throw new Error(formatFaults(result.faults))
  return result.playbook
}

const faultsOf = (text: string, file = FILE) => {
  const result = parsePlaybook(file, text, known)
  return result.ok ? [] : result.faults
}

describe('a playbook', () => {
  it('keeps what its front matter says', () => {
    const playbook = parsed(GOOD)
    expect(playbook).toMatchObject({
      id: 'kafka/poison',
      hash: digest(GOOD),
      title: 'A poison message blocks a Kafka consumer',
      match: {
        alertname: { kind: 'equals', value: 'KafkaConsumerCrashLoop' },
        topic: { kind: 'regex', pattern: 'orders\\..+' },
        group: { kind: 'present' },
      },
      groupBy: ['topic', 'consumer_group'],
      owner: '@data-platform',
      approvers: ['data-oncall'],
      severity: 'critical',
      channel: null,
      intro: 'The consumer reads one record that is *not* JSON.',
    })
    expect(Playbook.parse(playbook)).toEqual(playbook)
    expect(playbook.handOver).toBeUndefined()
    expect(parsed(GOOD.replace('severity: critical', 'hand_over: true')).handOver).toBe(true)
  })

  it('has a step for each second heading, with its line, its prose as written and its call', () => {
    const [find, skip, last] = parsed(GOOD).steps
    expect(find).toMatchObject({
      id: 'find-the-bad-record',
      line: 11,
      prose: 'Its offset is in the table.',
      call: { command: 'kafka.find-bad-record', risk: null, params: { topic: slot('labels.topic'), limit: 3 } },
    })
    expect(skip).toMatchObject({ id: 'skip-it', title: '1. Skip it', line: 18 })
    expect(skip!.prose).toBe('Copies the record first.\n\n- Look at this:\n  ```sh\n  kcat -C -t orders\n  ```')
    expect(skip!.call).toMatchObject({ effect: 'once', risk: 'medium' })
    expect(skip!.call!.fields.map((f) => [f.name, f.type, f.required])).toEqual([
      ['topic', 'text', true],
      ['group', 'text', true],
      ['mode', 'choice', false],
      ['partitions', 'list', false],
      ['offset', 'number', false],
      ['count', 'number', false],
    ])
    expect(last).toMatchObject({ id: 'if-it-comes-back', call: null, prose: "Ask the producer's owner." })
  })

  it('reads the same from a file with Windows line ends, but for the hash', () => {
    const { hash, ...rest } = parsed(GOOD.replaceAll('\n', '\r\n'))
    const { hash: other, ...same } = parsed(GOOD)
    expect(rest).toEqual(same)
    expect(hash).not.toBe(other)
  })

  it('does not take the headings and fences inside a code block for its own', () => {
    const text = GOOD.replace('kcat -C -t orders', '## no heading\n  ~~~yaml kafka.nothing')
    expect(parsed(text).steps).toHaveLength(3)
  })
})

/** The good playbook with one line changed: the fault that this makes, and its line. */
const TABLE: [name: string, from: string | RegExp, to: string, line: number, what: string][] = [
  ['no front matter', /^---[\s\S]*?---\n/, '', 1, 'there is no front matter'],
  ['front matter in JavaScript', '---\n', '---js\n', 1, 'the front matter begins with "---js"'],
  ['front matter without an end', /\n---\n/, '\n', 1, 'the front matter does not end'],
  ['an unknown key', 'severity:', 'severty:', 7, 'the front matter has an unknown key "severty"'],
  ['a key twice', 'severity: critical', 'owner: me', 7, 'the key "owner" is here twice, first in line 5'],
  ['a missing key', 'owner: "@data-platform"\n', '', 1, 'the front matter has no "owner"'],
  ['broken YAML', 'group_by: [topic', 'group_by: ]topic', 4, 'the YAML does not parse: '],
  ['YAML that is a list', /title:[\s\S]*?critical/, '- title', 2, 'the YAML is not a mapping'],
  ['hand_over that is not true', 'severity: critical', 'hand_over: "no"', 7, '"hand_over" is not true'],
  ['a title that is no text', /title: .*/, 'title: 5', 2, '"title" is not one line of text'],
  ['a title that is too long', /title: .*/, `title: ${'x'.repeat(151)}`, 2, '"title" is longer than 150 characters'],
  ['no matcher', /match: .*/, 'match: {}', 3, '"match" names no label'],
  ['a matcher that is a number', 'group: true', 'code: 500', 3, 'the matcher of "code" is neither text nor true'],
  ['a matcher that is false', 'group: true', 'group: false', 3, 'the matcher of "group" is neither text nor true'],
  ['a broken pattern', '/orders\\..+/', '/orders(/', 3, 'the pattern of "topic" does not compile: missing closing )'],
  ['a look-ahead', '/orders\\..+/', '/(?=a)/', 3, 'the pattern of "topic" does not compile: invalid or unsupported'],
  ['a label that cannot be', 'group: true', '"a\\tb": true', 3, '"a\\tb" is not the name of a label'],
  ['a merge key', 'group: true', '"<<": true', 3, '"<<" is not the name of a label'],
  ['group_by that is no list', /group_by: .*/, 'group_by: topic', 4, '"group_by" is not a list'],
  ['an approver without @', '"@data-oncall"', 'data-oncall', 6, 'the approver "data-oncall" is not a name with "@"'],
  ['an unknown approver', '@data-oncall', '@data-onkall', 6, 'the configuration has no approvers "@data-onkall"'],
  ['an approver twice', '["@data-oncall"]', '["@sre", "@sre"]', 6, '"@sre" is here twice'],
  ['an unknown channel', 'severity: critical', 'channel: dota', 7, 'the configuration has no channel "dota"'],
  [
    'a number that JSON cannot hold',
    'limit: 3',
    'limit: 12345678901234567890',
    14,
    '"12345678901234567890" is no number',
  ],
  [
    'an unknown command',
    'yaml kafka.find-bad-record',
    'yaml kafka.find-bad-rekord',
    12,
    'there is no command "kafka.find-bad-rekord"',
  ],
  [
    'a call without yaml',
    'yaml kafka.find-bad-record',
    'kafka.find-bad-record',
    12,
    'the block "kafka.find-bad-record" is not a call',
  ],
  ['a call marked yml', 'yaml kafka.find-bad-record', 'yml kafka.find-bad-record', 12, 'the call is marked "yml"'],
  ['an unknown parameter', 'limit: 3', 'limt: 3', 14, 'kafka.find-bad-record has no parameter "limt"'],
  ['a wrong value', 'limit: 3', 'limit: 21', 14, 'the parameter "limit" is wrong: Too big'],
  ['true for a number', 'limit: 3', 'limit: true', 14, 'the parameter "limit" is true, not a number'],
  ['a parameter without a value', 'limit: 3', 'limit:', 14, 'the parameter "limit" has no value'],
  ['a mapping for a value', 'limit: 3', 'limit: { a: 1 }', 14, 'the parameter "limit" is neither a plain value nor'],
  ['an expression', `${slot('labels.topic')}\nlimit`, `${slot('labels.topic || 1')}\nlimit`, 13, 'holds an expression'],
  [
    'a slot of something else',
    `${slot('labels.topic')}\nlimit`,
    `${slot('env.HOME')}\nlimit`,
    13,
    'holds an expression',
  ],
  [
    'a wrong choice, in an indented fence',
    'partitions:',
    'mode: skip\n  partitions:',
    29,
    'the parameter "mode" is wrong',
  ],
  ['a value that only a person may type', 'partitions:', 'count: 3\n  partitions:', 29, 'is for a person to type'],
  [
    'an alert in what only a playbook says',
    'limit: 3',
    `query: ${slot('labels.a')}`,
    14,
    'takes nothing from an alert',
  ],
  ['broken YAML in an indented fence', 'partitions: [', 'partitions: ]', 29, 'the YAML does not parse: '],
  [
    'parameters that do not go together',
    /topic: \S+\n {2}group: [\s\S]*?\]\n/,
    'topic: a\n  group: a\n',
    26,
    'topic and group are the same',
  ],
  ['what no form can ask for', 'yaml kafka.skip-record', 'yaml kafka.compare', 26, 'kafka.compare needs "groups"'],
  [
    'a second call in a step',
    'Its offset',
    '```yaml kafka.find-bad-record\n```\nIts',
    16,
    'the step has a second call, the first is in line 12',
  ],
  ['a call before the first step', '## Find the bad record\n', '', 11, 'the call stands before the first step'],
  ['a fence without an end', 'limit: 3\n```', 'limit: 3', 12, 'the fenced block does not end'],
  ['a step twice', '## If it comes back', '## 2) Skip it!', 32, 'the step "skip-it" is here twice, first in line 18'],
  ['a heading without a word', '## If it comes back', '## ...', 32, 'the heading has no letter and no digit'],
  ['no step', /## Find[\s\S]*/, 'Nothing.\n', 11, 'the playbook has no step'],
  ['an endless line', 'Copies', 'x'.repeat(1001), 19, 'the line is longer than 1000 characters'],
  ['half a character', 'limit: 3', 'limit: "\\ud800"', 14, 'the text is not Unicode'],
  ['an alias', 'limit: 3', 'limit: *x', 14, 'the YAML uses the alias "*x"'],
  ['a tag', 'limit: 3', 'limit: !!js/function 3', 14, 'the YAML uses the tag "tag:yaml.org,2002:js/function"'],
]

describe('a fault', () => {
  it.each(TABLE)('names the line of %s', (_, from, to, line, what) => {
    const text = GOOD.replace(from, () => to)
    expect(text).not.toBe(GOOD)
    const found = faultsOf(text)
    expect(found.map((f) => f.line)).toContain(line)
    expect(found.find((f) => f.line === line && f.what.includes(what)) ?? found).toMatchObject({ file: FILE, line })
    const windows = faultsOf(text.replaceAll('\n', '\r\n'))
    expect(windows).toEqual(found)
  })

  it('says what was probably meant', () => {
    const [fault] = faultsOf(GOOD.replace('yaml kafka.find-bad-record', 'yaml kafka.find-bad-rekord'))
    expect(formatFaults([fault!])).toBe(
      `${FILE}:12: there is no command "kafka.find-bad-rekord". Write "kafka.find-bad-record" if that was meant.`,
    )
  })

  it('names the column in the file, also inside an indented fence', () => {
    const text = GOOD.replace('partitions:', 'partitoins:')
    expect(faultsOf(text)).toEqual([
      expect.objectContaining({ line: 29, column: 3, what: 'kafka.skip-record has no parameter "partitoins"' }),
    ])
  })

  it('comes with all others of the file, in order', () => {
    const text = GOOD.replace('title:', 'titel:')
      .replace('group: true', 'code: 500')
      .replace('limit: 3', 'limit: 21')
      .replace('kafka.skip-record', 'kafka.skip')
      .replace('## If it comes back', '## Skip it')
    expect(faultsOf(text, 'Poison.md').map((f) => f.line)).toEqual([0, 1, 2, 3, 14, 26, 32])
  })
})

describe('hostile text', () => {
  const fill = (unit: string, size: number) => unit.repeat(Math.ceil(size / unit.length)).slice(0, size)
  const inLines = (text: string) => text.match(/[\s\S]{1,900}/g)!.join('\n')
  const front = (yaml: string) => `---\n${yaml}\n---\n## A\n`
  const bomb = `a: &a [x]\n${'bcdefghij'
    .split('')
    .map((name, i) => `${name}: &${name} [${fill(`*${'abcdefghij'[i]},`, 27)}]`)
    .join('\n')}`

  it.each([
    ['an alias bomb', front(bomb), 'alias'],
    ['a tag of JavaScript', front('title: !!js/function "function () {}"'), 'tag'],
    ['deep flow lists', front(inLines(fill('[', 60_000))), 'YAML'],
    ['deep flow mappings', front(inLines(fill('{a: ', 60_000))), 'YAML'],
    ['deep block lists', front(fill('- ', 900)), 'nested too deeply'],
    ['ten thousand keys', front(Array.from({ length: 6000 }, (_, i) => `k${i}: 1`).join('\n')), 'unknown key'],
    ['a megabyte of YAML', front(fill('a: [b, c, d]\n', 1_000_000)), 'larger than 64 KiB'],
    ['a megabyte of markdown', GOOD + fill('word ', 1_000_000), 'larger than 64 KiB'],
    ['deep block quotes in a long line', GOOD + fill('> ', 50_000), 'longer than 1000'],
    [
      'a pattern that grows when compiled',
      GOOD.replace('/orders\\..+/', '"/((a{1,999}){1,999}){1,999}/"'),
      'does not compile',
    ],
  ])('ends with a fault before the test times out: %s', (_, text, what) => {
    const found = faultsOf(text)
    expect(found.map((f) => f.what).join('\n')).toContain(what)
  })

  it.each(['_*', '[', '![[', '`', '<a ', '<!--', '> ', '+ ', '1. ', 'a\n--\n', '[a]: b\n', '\\`'])(
    'is read as prose before the test times out: %j',
    (unit) => {
      expect(parsePlaybook(FILE, GOOD + inLines(fill(unit, 60_000)), known).ok).toBeDefined()
    },
  )

  it('matches a pattern that others take for ever on', () => {
    expect(matchesWhole('^(a+)+$', `${'a'.repeat(30_000)}!`)).toBe(false)
    expect(matchesWhole('^(a+)+$', 'a'.repeat(30_000))).toBe(true)
  })

  it('matches whole values only', () => {
    expect(matchesWhole('orders|payments', 'payments')).toBe(true)
    expect(matchesWhole('orders|payments', 'my-payments')).toBe(false)
    expect(matchesWhole('orders|payments', 'orders\n')).toBe(false)
  })

  it('never makes the parser throw', () => {
    const pieces = GOOD.split(/(?<=\n)|(?=[[\]{}:"`#-])/)
    const soup = fc
      .array(
        fc.oneof(
          fc.constantFrom(...pieces, '\r', '\t', '&a ', '*a', '!!set ', '? ', '%', '\0', '\u2028', '\uD800'),
          fc.string(),
        ),
      )
      .map((parts) => parts.join(''))
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      soup,
      soup.map((s) => `---\n${s}\n---\n${s}`),
      soup.map((s) => GOOD.replace('limit: 3', () => s)),
    )
    fc.assert(
      fc.property(text, (t) => {
        const result = parsePlaybook(FILE, t, known)
        const end = t.split(/\r\n|\r|\n/).length
        if (result.ok) Playbook.parse(result.playbook)
        else expect(result.faults.every((f) => f.line >= 0 && f.line <= end && f.what && f.remedy)).toBe(true)
      }),
      { numRuns: 500 },
    )
  })
})

describe('a word after the command', () => {
  const ladder = (first: string, second: string) =>
    GOOD.replace('kafka.skip-record', `kafka.skip-record${first}`).replace(
      /(## If it comes back)/,
      `## 2. Skip it again\n\`\`\`yaml kafka.skip-record${second}\ntopic: t\ngroup: g\n\`\`\`\n\n$1`,
    )
  it.each(['otherwise', 'undoes'])('says that a change is %s', (word) => {
    const rungs = parsed(ladder('', ` ${word}`)).steps.flatMap((s) =>
      s.call && s.call.effect !== 'read' ? [s.call.rung] : [],
    )
    expect(rungs).toEqual([undefined, word])
  })
  it.each([
    ['that is none', ladder('', ' maybe'), '"maybe" stands after the command'],
    ['too many', ladder('', ' otherwise undoes'), '"undoes" stands after the command'],
    ['on the first change', ladder(' undoes', ''), 'the first change is marked "undoes"'],
    [
      'on a command that reads',
      GOOD.replace('kafka.find-bad-record', 'kafka.find-bad-record otherwise'),
      'a command that reads is marked "otherwise"',
    ],
  ])('%s is a fault', (_, text, what) => {
    expect(faultsOf(text).map((f) => f.what)).toEqual([what])
  })
})
