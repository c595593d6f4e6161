import { describe, expect, it } from '@jest/globals'
import { fill } from '../../src/domain/playbook.ts'
import { formatFaults } from '../../src/markdown/fault.ts'
import { misspelt } from '../../src/markdown/misspelt.ts'
import { parsePlaybook } from '../../src/markdown/parse.ts'
import { commands } from './commands.ts'

const FENCE = '```'
const SLOT = `\${labels.topic}`
const book = (body: string, front: Record<string, string> = {}) => {
  const lines = { match: '{ alertname: X, topic: true }', group_by: '[topic]', ...front }
  const yaml = Object.entries(lines).map(([key, value]) => `${key}: ${value}`)
  return `---\ntitle: T\n${yaml.join('\n')}\nowner: o\napprovers: []\n---\n## 1. Skip it\n${body}\n`
}
const parse = (text: string) => parsePlaybook('playbooks/a/b.md', text, { commands })
const whats = (text: string) => {
  const result = parse(text)
  return result.ok ? [] : result.faults.map((f) => `${f.line}: ${f.what}`)
}
const playbookOf = (text: string) => {
  const result = parse(text)
  if (!result.ok) throw new Error(formatFaults(result.faults))
  return result.playbook
}
const call = (info: string, fence = FENCE, close = fence) => `${fence}${info}\ntopic: ${SLOT}\ngroup: g\n${close}`
const GOOD = 'yaml kafka.skip-record'

describe('what looks like a call and is none', () => {
  it.each([
    ['a call', call(GOOD)],
    ['a call in tildes', call(GOOD, '~~~')],
    ['a call with blanks', call(` ${GOOD} `)],
    ['code of another kind', `${call(GOOD)}\n\n${FENCE}sh\nkcat -C -t orders\n${FENCE}`],
    ['code without a kind', `${call(GOOD)}\n\n${FENCE}\nPlain text, kafka.skip-record and more.\n${FENCE}`],
    ['other YAML', `${call(GOOD)}\n\n${FENCE}yaml\nreplicas: 3\nimage: x\n${FENCE}`],
    ['a command in a sentence', `${call(GOOD)}\n\nThis is what kafka.skip-record does; yaml is kind to it.`],
    ['a command in a list', `${call(GOOD)}\n\n- kafka.skip-record\n- kafka.find-bad-record`],
    ['a slot in a sentence, as code', `${call(GOOD)}\n\nThe topic: \`${SLOT}\` of the alert.`],
    ['what is in a comment', `${call(GOOD)}\n\n<!--\n${call(GOOD)}\n-->`],
    ['an array of a shell', `${call(GOOD)}\n\n${FENCE}sh\necho \${labels[0]}\n${FENCE}`],
  ])('is not %s', (_name, body) => expect(whats(book(body))).toEqual([]))

  it.each([
    ['yml', call('yml kafka.skip-record'), 'the call is marked "yml"'],
    ['capitals', call('YAML kafka.skip-record'), 'the call is marked "YAML"'],
    ['no yaml', call('kafka.skip-record'), 'the block "kafka.skip-record" is not a call'],
    ['json', call('json kafka.skip-record'), 'the block "json kafka.skip-record" is not a call'],
    ['a shell', call('sh kafka.skip-record'), 'is not a call'],
    ['a colon', call('yaml:kafka.skip-record'), 'the block "yaml:kafka.skip-record" is not a call'],
    ['braces', call('{yaml kafka.skip-record}'), 'is not a call'],
    ['one word', call('yaml-kafka.skip-record'), 'is not a call'],
    ['a slip in yaml', call('yalm kafka.skip-record'), 'is not a call'],
    ['a slip in both', call('yalm kafka.skip-rekord'), 'is not a call'],
    ['a slip in the id', call('yaml kafka.skip-rekord'), 'there is no command "kafka.skip-rekord"'],
    ['an id with _', call('yaml kafka.skip_record'), 'there is no command "kafka.skip_record"'],
    ['a name before the id', call('yaml title=x kafka.skip-record'), 'there is no command "title=x"'],
    ['no command, with a slot', call('yaml'), 'the block holds a slot, and it is no call'],
    ['nothing, with a slot', call(''), 'the block holds a slot, and it is no call'],
    [
      'no command',
      `${FENCE}yaml\ntopic: orders\ngroup: g\n${FENCE}`,
      'the block holds the parameters of "kafka.skip-record", and it is no call',
    ],
    ['the command in the first line', `${FENCE}\nkafka.skip-record\ntopic: a\n${FENCE}`, 'names the command'],
    ['the command as a key', `${FENCE}yaml\nkafka.skip-record:\n  topic: a\n${FENCE}`, 'names the command'],
    ['the command as a value', `${FENCE}yaml\ncommand: kafka.skip-record\ntopic: a\n${FENCE}`, 'names the command'],
    ['the info in the next line', `${FENCE}\n${GOOD}\ntopic: a\n${FENCE}`, 'names the command'],
    ['an indented block', `Text.\n\n    ${FENCE}${GOOD}\n    topic: a\n    ${FENCE}`, 'names the command'],
    ['an indented block without a fence', `Text.\n\n    topic: ${SLOT}\n    group: g`, 'holds a slot'],
    ['a block in a block', `${FENCE.repeat(2)}md\n${call(GOOD)}\n${FENCE.repeat(2)}`, 'names the command'],
    ['two ticks', call(GOOD, '``'), 'the line names the command'],
    ['quotes', call(GOOD, "'''"), 'the line names the command'],
    ['double quotes', call(GOOD, '"""'), 'the line names the command'],
    ['two tildes', call(GOOD, '~~'), 'the line names the command'],
    ['other ticks', call(GOOD, '´´´'), 'the line names the command'],
    ['no fence', `${GOOD}\ntopic: ${SLOT}`, 'the line names the command'],
    ['a name alone', `kafka.skip-record:\n  topic: a`, 'the line names the command'],
    ['a parameter alone', `topic: ${SLOT}`, 'the line fills a parameter outside of a call'],
    ['HTML before it', `<details>\n${call(GOOD)}\n</details>`, 'the line names the command'],
    ['mixed fences', call(GOOD, '```', '~~~'), 'the fenced block does not end'],
    ['a shorter end', call(GOOD, '````', '```'), 'the fenced block does not end'],
    ['text after the end', call(GOOD, '```', '``` end'), 'the fenced block does not end'],
    ['a heading without a blank', `${call(GOOD)}\n\n##2. Again\n`, '"##2. Again" is no heading'],
  ])('is named with its line: %s', (_name, body, what) => {
    expect(whats(book(body)).join('\n')).toContain(what)
  })

  it('says the command that was meant', () => {
    const result = parse(book(call('yalm kafka.skip-rekord')))
    expect(!result.ok && formatFaults(result.faults)).toContain(
      'playbooks/a/b.md:9: the block "yalm kafka.skip-rekord" is not a call. Write "yaml kafka.skip-record" after the fence.',
    )
  })
})

/** A § stands for a $: what follows would look like a slip of the test's own. */
describe('a slot', () => {
  const dollar = (text: string) => text.replaceAll('§', '$')
  const withSlot = (text: string, front = {}) =>
    book(`${FENCE}${GOOD}\ntopic: '${dollar(text).replaceAll("'", "''")}'\ngroup: g\n${FENCE}`, front)

  it.each([
    ['§{labels.topic}', 'orders'],
    ['§{labels["topic"]}', 'orders'],
    ["§{labels['topic']}", 'orders'],
    ['a-§{labels["app.kubernetes.io/name"]}-z', 'a-web-z'],
    ['§{annotations["a \\"quoted\\" name"]}', 'q'],
    ['§{labels["ünï / x"]}', 'u'],
  ])('%s is filled', (text, value) => {
    const { steps } = playbookOf(withSlot(text))
    const labels = { topic: 'orders', 'app.kubernetes.io/name': 'web', 'ünï / x': 'u' }
    expect(fill(steps[0]!.call!, { labels, annotations: { 'a "quoted" name': 'q' } }).params.topic).toBe(value)
    expect(fill(steps[0]!.call!, { labels: {}, annotations: {} }).missing.map((f) => f.name)).toEqual(['topic'])
  })

  it('that an empty label would fill is asked for', () => {
    const { steps } = playbookOf(withSlot('§{labels.topic}'))
    expect(fill(steps[0]!.call!, { labels: { topic: '' }, annotations: {} }).missing.map((f) => f.name)).toEqual([
      'topic',
    ])
  })

  it.each([
    ['§{label.topic}', 'Write §{labels.topic} if that was meant'],
    ['§{Labels.topic}', 'Write §{labels.topic} if that was meant'],
    ['§{annotation.x}', 'Write §{annotations.x} if that was meant'],
    ['§{ labels.topic }', 'Write §{labels.topic} if that was meant'],
    ['§{labels.app.kubernetes.io/name}', 'Write §{labels["app.kubernetes.io/name"]} if that was meant'],
    ['§{labels["topic"}', 'Write §{labels.topic} if that was meant'],
    ['§{labels["topic]}', 'Write §{labels.topic} if that was meant'],
    ['§{labels[topic]}', 'Write §{labels.topic} if that was meant'],
    ['§{labels.topic', 'Write §{labels.topic} if that was meant'],
    ['§{labels[""]}', 'Only §{labels.name}'],
    ['§{labels}', 'Only §{labels.name}'],
    ['§{topic}', 'Only §{labels.name}'],
    ['{{ labels.topic }}', 'Write §{labels.topic} if that was meant'],
    ['{{ $labels.topic }}', 'Write §{labels.topic} if that was meant'],
    ['{{ .Labels.topic }}', 'Write §{labels.topic} if that was meant'],
    ['{{ .CommonLabels.topic }}', 'Write §{labels.topic} if that was meant'],
    ['$labels.topic', 'Write §{labels.topic} if that was meant'],
    ['$(labels.topic)', 'Write §{labels.topic} if that was meant'],
    ['{labels.topic}', 'Write §{labels.topic} if that was meant'],
    ['labels.topic', 'Write §{labels.topic} if that was meant'],
    ['labels["topic"]', 'Write §{labels.topic} if that was meant'],
  ])('%s is none, and that is said', (text, remedy) => {
    const result = parse(withSlot(text))
    expect(!result.ok && result.faults.map((f) => f.remedy).join('\n')).toContain(dollar(remedy))
  })

  it.each(['costs $5 {a}', '{{ ds }}', 'my labels', '<labels>', 'topics.labels'])('%s is just text', (text) =>
    expect(whats(withSlot(text))).toEqual([]),
  )

  it.each([
    ['§{labels.topc}', {}],
    ['§{labels.Topic}', {}],
    ['§{labels.tpoic}', {}],
    ['§{labels["topics"]}', {}],
    ['§{labels.consumer-group}', { group_by: '[consumer_group]' }],
    ['§{labels.consumerGroup}', { group_by: '[consumer_group]' }],
    ['§{labels.alertnam}', {}],
  ])('%s, which "match" and "group_by" spell otherwise, is a fault', (text, front) =>
    expect(whats(withSlot(text, front)).join()).toContain('names another label than'),
  )

  it('that "match" says is not there is a fault', () => {
    const found = whats(withSlot('§{labels.partition}', { match: '{ alertname: X, partition: "" }' }))
    expect(found.join()).toContain('"match" says that the label is not there')
  })
})

describe('the front matter', () => {
  it('takes any label, in quotes', () => {
    const playbook = playbookOf(
      book(call(GOOD), {
        match: '{ alertname: X, "app.kubernetes.io/name": true, "a b": /c+/ }',
        group_by: '["app.kubernetes.io/name", topic]',
      }),
    )
    expect(playbook.match['app.kubernetes.io/name']).toEqual({ kind: 'present' })
    expect(playbook.groupBy).toEqual(['app.kubernetes.io/name', 'topic'])
  })

  it.each([
    [{ match: '{ alertname: X, "a\\nb": true }' }, 'is not the name of a label'],
    [{ match: `{ alertname: X, topic: "${SLOT}" }` }, 'holds a slot, which nothing fills'],
    [{ match: '{ alertname: X, topic: "{{ $labels.topic }}" }' }, 'holds a slot, which nothing fills'],
    [{ group_by: '[topc]' }, '"group_by" has "topc", and "match" has "topic"'],
    [{ match: '{ alertname: X, room: "" }', group_by: '[room, topic]' }, '"match" says that it is not there'],
    [{ group_by: `["${'x'.repeat(257)}"]` }, 'is not the name of a label'],
  ])('%j is a fault', (front, what) => expect(whats(book(call(GOOD), front)).join()).toContain(what))
})

describe('a name', () => {
  it.each([
    ['topc', 'topic'],
    ['database_nmae', 'database_name'],
    ['TOPIC', 'topic'],
  ])('%s is likely %s', (name, meant) => expect(misspelt(name, ['room', 'topic', 'database_name'])).toBe(meant))

  it.each([
    ['host1', 'host2'],
    ['pod', 'pool'],
    ['min_rows', 'max_rows'],
    ['source_table', 'target_table'],
    ['db', 'dag'],
    ['run_id', 'dag_id'],
    ['topic', 'topic'],
  ])('%s is another than %s', (name, other) => expect(misspelt(name, [other])).toBeNull())
})

describe('what looks like a heading and is none', () => {
  it.each([
    ['Replace it\n----------\nText.', '9: "Replace it" with a line below it begins no step'],
    ['Replace it\n===\nText.', '9: "Replace it" with a line below it begins no step'],
    ['##\u00a0Replace it', '9: "##\u00a0Replace it" is no heading, so it begins no step'],
  ])('%j is named', (text, what) => expect(whats(book(text))).toEqual([what]))

  it.each([
    'Text.\n\n---\n\nText.',
    '| a | b |\n| --- | --- |\n| 1 | 2 |',
    `${FENCE}\nName\n----\n${FENCE}`,
    '- an item\n---\nText.',
    '<!--\nReplace it\n---\n-->',
  ])('%j is not', (text) => expect(whats(book(text))).toEqual([]))
})

describe('a matcher that could never match', () => {
  it.each([
    ['{ alertname: X, topic: /lag.*/i }', 'the matcher of "topic" has letters after the pattern, so it is none'],
    ['{ alertname: X, topic: "/^lag$/s" }', 'the matcher of "topic" has letters after the pattern, so it is none'],
    ['{ alertname: X, topic: "or\u200bders" }', 'the matcher of "topic" holds a character that nobody sees (U+200B)'],
    ['{ alertname: X, topic: "orders\u00a0" }', 'the matcher of "topic" holds a character that nobody sees (U+00A0)'],
    ['{ alertname: X, "to\u200bpic": a }', 'the label "to\u200bpic" holds a character that nobody sees (U+200B)'],
    ['{ alertname: X, topic: “orders” }', 'the matcher of "topic" stands in quotes that are none in YAML'],
  ])('%s is named', (match, what) =>
    expect(whats(book('Text.', { match, group_by: '[alertname]' }))).toEqual([`3: ${what}`]),
  )

  it.each([
    '{ alertname: X, topic: /var/lib }',
    '{ alertname: X, topic: "/(?i)lag.*/" }',
    '{ alertname: X, topic: Größe – 大 }',
  ])('%s is none', (match) => expect(whats(book('Text.', { match }))).toEqual([]))
})

describe('YAML that does not parse', () => {
  it.each([
    [
      { owner: '@data' },
      'a value begins with a character that YAML keeps for itself (@, ` or %)',
      'Put the whole value in quotes',
    ],
    [{ owner: 'data: platform' }, 'a value holds ": "', 'Put the whole value in quotes'],
    [{ match: '\n\talertname: X' }, 'a line begins with a tab', 'Write blanks instead'],
    [
      { match: '{ alertname: X }\n...\nseverity: critical' },
      'a line "---" or "..." begins a second document',
      'Keep one',
    ],
  ])('is explained: %j', (front, what, remedy) => {
    const result = parse(book('Text.', { group_by: '[alertname]', ...front } as never))
    expect(result.ok ? [] : result.faults[0]).toMatchObject({ what: `the YAML does not parse: ${what}`, remedy })
  })
})

it('suggests the label of a slot with a default, and takes no variable of Prometheus for text', () => {
  const faults = (topic: string) => {
    const result = parse(book(`${FENCE}${GOOD}\ntopic: "${topic}"\ngroup: g\n${FENCE}`))
    return result.ok ? [] : result.faults.map((f) => f.remedy)
  }
  expect(faults(`\${labels.topic:-orders}`)).toEqual([expect.stringContaining(`Write ${SLOT} if`)])
  expect(faults('{{ $value }}')).toHaveLength(1)
})
