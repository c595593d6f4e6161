import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import type { KnownBlock } from '@slack/types'
import fc from 'fast-check'
import type { Happening } from '../../src/domain/event.ts'
import { digest, type Subject } from '../../src/domain/plan.ts'
import { refuseBlocks, refuseView } from '../../src/sandbox/slack/blocks.ts'
import { pingsOf } from '../../src/sandbox/slack/pings.ts'
import { BLOCKS_OF } from '../../src/sandbox/slack/surfaces.ts'
import { fitBlocks, fitView, TAKES } from '../../src/slack/limits.ts'
import { render } from '../../src/slack/render.ts'
import type { Drawn } from '../../src/slack/show.ts'
import { webUrl } from '../../src/slack/text.ts'
import { home } from '../../src/slack/views/home.ts'
import { modals } from '../../src/slack/views/modals.ts'
import { planText } from '../../src/slack/views/plan.ts'
import { alertOf, context, ID, incidentOf, openWith, plan, STATES, subjectOf } from './cards.ts'

const SIGNS = ['information_source', 'warning', 'red_circle', 'white_check_mark']
const sign = (name: string) =>
  expect.objectContaining({
    elements: [
      expect.objectContaining({
        type: 'rich_text_quote',
        elements: expect.arrayContaining([{ type: 'emoji', name }]),
      }),
    ],
  })
const GOLDEN = join(import.meta.dirname, '../fixtures/cards')
const draw = (name: string) => render(incidentOf(...STATES[name]!), context)
const blocksOf = (drawn: readonly Drawn[]) => drawn.flatMap((d) => (d.kind === 'message' ? [d.blocks ?? []] : []))
const card = (drawn: readonly Drawn[], key: string) => drawn.find((d) => d.key.startsWith(key))!
const idsIn = (node: unknown): string[] =>
  typeof node !== 'object' || node === null
    ? []
    : Object.entries(node).flatMap(([k, v]) => (k === 'action_id' ? [String(v)] : idsIn(v)))

describe('a thread in every state', () => {
  it.each(Object.keys(STATES))('%s looks as it was agreed on', (name) => {
    const file = join(GOLDEN, `${name}.json`)
    const drawn = JSON.parse(JSON.stringify(draw(name)))
    // To agree on a new look: delete the file, run this twice, and read the difference.
    if (!existsSync(file)) {
      writeFileSync(file, `${JSON.stringify(drawn, null, 1)}\n`)
      throw new Error(`${file} was missing and has been written: read it, and run this again`)
    }
    expect(drawn).toEqual(JSON.parse(readFileSync(file, 'utf8')))
  })

  it.each(Object.keys(STATES))('%s is taken by Slack as it is drawn, with a text for notifications', (name) => {
    for (const d of draw(name)) {
      expect(d.text.length).toBeGreaterThan(3)
      if (d.kind === 'file') continue
      expect(refuseBlocks(d.blocks ?? [])).toBeNull()
      expect(fitBlocks(d.blocks ?? [])).toEqual(d.blocks)
    }
  })

  it('holds no block that its surface does not take, by our list and by the one of the sandbox', () => {
    const files = readdirSync(GOLDEN).map((file) => JSON.parse(readFileSync(join(GOLDEN, file), 'utf8')) as Drawn[])
    const used = new Set(files.flatMap((drawn) => blocksOf(drawn).flatMap((blocks) => blocks.map((b) => b.type))))
    expect(used.size).toBeGreaterThan(5)
    expect([...used].filter((type) => !TAKES.message.has(type) || !BLOCKS_OF.message.includes(type))).toEqual([])
    const surfaces = ['message', 'modal', 'home'] as const
    for (const surface of surfaces)
      expect([...TAKES[surface]].filter((type) => !BLOCKS_OF[surface].includes(type))).toEqual([])
  })

  it('has distinct keys, and the root first', () => {
    for (const name of Object.keys(STATES)) {
      const keys = draw(name).map((d) => d.key)
      expect(new Set(keys).size).toBe(keys.length)
      expect(keys[0]).toBe('root')
    }
  })

  it('offers a decision only while there is one to make', () => {
    for (const name of Object.keys(STATES)) {
      const offered = idsIn(draw(name)).includes('keyturn:approve')
      expect([name, offered]).toEqual([
        name,
        [
          'handover-with-steps',
          'open',
          'open-long',
          'open-high',
          'approved-once',
          'reminded',
          'moved',
          'override',
          'parts',
        ].includes(name),
      ])
    }
  })

  it('shows environment, digest and who may decide on every card with a button to approve', () => {
    for (const name of ['open', 'open-long', 'open-high', 'moved']) {
      const text = JSON.stringify(card(draw(name), 'proposal:p1'))
      expect(text).toContain('"Approve in production"')
      expect(text).toContain(incidentOf(...STATES[name]!).proposals[0]!.digest!.slice(7, 19))
      expect(text).toContain('"usergroup_id":"S0000DATA"')
    }
  })

  it('offers three choices when an outcome is unknown, and none once a person has chosen', () => {
    const choices = ['keyturn:settle_done', 'keyturn:settle_resume', 'keyturn:settle_abandon']
    expect(idsIn(card(draw('unknown'), 'outcome:p1'))).toEqual(choices)
    expect(idsIn(card(draw('settled-done'), 'outcome:p1'))).toEqual([])
  })

  it('shows what differs after the target has moved', () => {
    const text = JSON.stringify(card(draw('moved'), 'proposal:p1'))
    expect(text).toContain('- target session 4711 of app')
    expect(text).not.toContain('- target session 4712 of app')
  })

  it('hands over to the owner where the playbook changes nothing, once the evidence is there', () => {
    const keys = draw('handover').map((d) => d.key)
    expect(keys.at(-1)).toBe('note:handover')
    expect(JSON.stringify(draw('handover').at(-1))).toContain('"usergroup_id":"S0000PLAT"')
    const early = render(incidentOf(...STATES.handover!.slice(0, -1)), context)
    expect(early.some((d) => d.key === 'note:handover')).toBe(false)
    expect(draw('open').some((d) => d.key === 'note:handover')).toBe(false)
  })

  it('hands over where the playbook says that its steps do not mend the cause, and offers them all the same', () => {
    const drawn = draw('handover-with-steps')
    const note = drawn.find((d) => d.key === 'note:handover')
    expect(JSON.stringify(note)).toContain('does not mend the cause. It is yours')
    expect(JSON.stringify(note)).toContain('"usergroup_id":"S0000PLAT"')
    expect(drawn.some((d) => d.key.startsWith('proposal:p1'))).toBe(true)
  })

  it('shows it in the owner’s own channel too, with what was found and without buttons, and after all else', () => {
    const there = { ...context, ownerChannel: (owner: string) => (owner === '@data-platform' ? 'C0000PLAT' : null) }
    const drawn = render(incidentOf(...STATES.handover!), there)
    const away = drawn.filter((d) => d.kind === 'message' && d.channel === 'C0000PLAT')
    expect(away.map((d) => d.key)).toEqual(['away:handover', expect.stringMatching(/^away:evidence:look:/)])
    expect(drawn.slice(-2)).toEqual(away)
    expect(away.every((d) => !d.thread)).toBe(true)
    expect(JSON.stringify(away)).toContain('"usergroup_id":"S0000PLAT"')
    expect(JSON.stringify(drawn)).toContain('"type":"actions"')
    expect(JSON.stringify(away)).not.toContain('"type":"actions"')
    expect(render(incidentOf(...STATES.handover!.slice(0, -1)), there).some((d) => d.key.startsWith('away:'))).toBe(
      false,
    )
    expect(draw('handover').some((d) => d.key.startsWith('away:'))).toBe(false)
  })

  it('gives a later look at the evidence a message of its own', () => {
    const again = { type: 'evidence.requested', step: 'look', params: {}, by: null } as const
    const key = (drawn: readonly Drawn[]) => card(drawn, 'evidence:look').key
    expect(key(render(incidentOf(...openWith(subjectOf()), again), context))).not.toBe(key(draw('open')))
  })

  it('does not say succeeded in green when nothing was verified', () => {
    const unchecked = STATES.succeeded!.map((e) => (e.type === 'run.finished' ? { ...e, checks: [] } : e))
    const outcome = card(render(incidentOf(...unchecked), context), 'outcome:p1')
    expect(outcome).toMatchObject({
      blocks: expect.arrayContaining([sign('warning')]),
    })
    expect(JSON.stringify(outcome)).not.toContain('white_check_mark')
  })
})

/** Pieces that mean something to Slack, to markdown or to a reader's eye, and any other text. */
const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '<!channel>',
        '<!here>',
        '<@U0000000SAM>',
        '<!subteam^S0000DATA>',
        '<#C1>',
        '<https://evil.example|ok>',
        '@channel',
        'https://evil.example/x',
        '[a](https://evil.example)',
        '*',
        '_',
        '~',
        '`',
        '```',
        '&lt;!channel&gt;',
        '\u202e',
        '\u200b',
        '\u0000',
        '\ud800',
        ':rotating_light:',
        '\n',
        '|',
        `\${labels.x}`,
      ),
      fc.string({ unit: 'binary', maxLength: 12 }),
      fc.constantFrom('x'.repeat(3100), 'word '.repeat(900)),
    ),
    { maxLength: 6 },
  )
  .map((parts) => parts.join('').toWellFormed())

/** Every link, mention and broadcast element that a message holds, from rich text and marks. */
function live(drawn: Drawn): string[] {
  const found: string[] = []
  const walk = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    const { type, url, user_id, usergroup_id, range } = node as Record<string, unknown>
    if (type === 'link') found.push(String(url))
    if (type === 'user') found.push(String(user_id))
    if (type === 'usergroup') found.push(String(usergroup_id))
    if (type === 'broadcast') found.push(String(range))
    // The signs of our own notices are the only emoji.
    if (type === 'emoji' && SIGNS.includes(String((node as { name?: string }).name))) return
    if (type === 'mrkdwn' || type === 'emoji' || type === 'channel') found.push(JSON.stringify(node))
    for (const value of Object.values(node)) walk(value)
  }
  if (drawn.kind === 'message') walk(drawn.blocks)
  return found
}

describe('hostile text', () => {
  const OURS = [
    /^https:\/\/wiki\.example\.com\//,
    /^https:\/\/alerts\.example\.com\//,
    /^U0000000SAM$/,
    /^U0000ONCALL$/,
    /^S0000DATA$/,
    /^S0000PLAT$/,
  ]
  const RUNS = { numRuns: 150 }

  const subject = fc
    .record({
      summary: hostile,
      name: hostile,
      key: hostile,
      value: hostile,
      detail: hostile,
      warning: hostile,
      param: hostile,
      environment: hostile,
      targets: fc.integer({ min: 1, max: 30 }),
      warnings: fc.integer({ min: 0, max: 9 }),
    })
    .map(
      (h): Subject =>
        subjectOf({
          environment: h.environment,
          params: { connection: h.param },
          plan: {
            summary: h.summary,
            targets: Array.from({ length: h.targets }, (_, i) => ({
              id: `${i}`,
              name: `${h.name}${i}`,
              fingerprint: 'f',
              details: { [h.key]: h.value },
            })),
            steps: [
              { id: 'end-4711', title: h.detail, detail: h.detail },
              { id: 'end-4712', title: h.summary, detail: '' },
            ],
            warnings: Array.from({ length: h.warnings }, () => h.warning),
            data: null,
          },
        }),
    )

  const states = fc
    .record({ subject, text: hostile, cells: fc.array(fc.array(hostile, { maxLength: 5 }), { maxLength: 12 }) })
    .map(({ subject, text, cells }) => {
      const proposal = 'p1'
      const alert = alertOf({
        labels: { alertname: text, [text || 'x']: text },
        annotations: { summary: text, [text || 'x']: text },
        links: [
          { title: text, url: text },
          { title: text, url: 'https://alerts.example.com/a' },
        ],
      })
      const events = openWith(subject).map((e): Happening => {
        if (e.type === 'incident.opened') return { ...e, title: text, severity: text }
        if (e.type === 'alerts.changed') return { ...e, alerts: [alert] }
        if (e.type === 'evidence.gathered')
          return {
            ...e,
            evidence: {
              summary: text,
              blocks: [
                { type: 'table' as const, columns: [text, 'b'], rows: cells, omitted: 0 },
                { type: 'table' as const, columns: [text, 'b'], rows: cells, omitted: 0 },
                { type: 'text' as const, text },
                { type: 'code' as const, text },
              ],
            },
          }
        return e
      })
      const bare = events
        .slice(0, 2)
        .map((e): Happening => (e.type === 'incident.opened' ? { ...e, playbook: null } : e))
      const tail = STATES.unknown!.slice(openWith(subjectOf()).length).map((e): Happening => {
        if (e.type === 'proposal.decided') return { ...e, decision: { ...e.decision, reason: text, name: text } }
        if (e.type === 'run.started') return { ...e, worker: text }
        if (e.type === 'run.unknown')
          return { ...e, message: text, findings: [{ step: text, landed: 'yes' as const, detail: text }] }
        return e
      })
      const finished: Happening = {
        type: 'run.finished',
        proposal,
        outcome: 'failed',
        message: text,
        checks: [{ title: text, ok: false, detail: text }],
      }
      const all: Happening[][] = [bare, events, [...events, ...tail], [...events, ...tail.slice(0, -1), finished]]
      return all.map((e) => incidentOf(...e))
    })

  const progress = { p1: { done: 1, total: 2, note: '<!channel> ' } }

  it('makes no mention, ping or link, and every message is taken by Slack', () => {
    fc.assert(
      fc.property(states, (incidents) => {
        for (const incident of incidents)
          for (const drawn of render(incident, { ...context, progress })) {
            // The address that the sender names as the alert's own page is linked, with its host; nothing else of theirs is.
            const own = Object.values(incident.alerts).flatMap((a) => a.links.map((l) => webUrl(l.url)))
            expect(live(drawn).filter((l) => !OURS.some((o) => o.test(l)) && !own.includes(l))).toEqual([])
            expect(pingsOf({ text: drawn.text }, new Map())).toEqual({
              users: [],
              groups: [],
              here: false,
              channel: false,
              everyone: false,
            })
            expect(drawn.text).not.toMatch(/https?:\/\//)
            if (drawn.kind === 'message') expect(refuseBlocks(fitBlocks(drawn.blocks ?? []))).toBeNull()
          }
      }),
      RUNS,
    )
  })

  it('never costs a plan its buttons or a part of itself: the card has it whole, or a file has', () => {
    fc.assert(
      fc.property(subject, (s) => {
        const incident = incidentOf(...openWith(s))
        const drawn = render(incident, context)
        const own = card(drawn, 'proposal:p1')
        if (own.kind !== 'message') throw new Error('the card is no message')
        const fitted = fitBlocks(own.blocks ?? [])
        expect(idsIn(fitted)).toEqual(['keyturn:approve', 'keyturn:reject'])
        const file = drawn.find((d) => d.kind === 'file')
        if (file?.kind === 'file') expect(file.content).toBe(planText(s, digest(s)))
        else expect(fitted).toEqual(own.blocks)
      }),
      RUNS,
    )
  })

  it.each([
    ['a warning', { plan: { ...plan, warnings: [`${'w'.repeat(900)}END`] } }],
    ['the list of what is not done again', { resumes: { proposal: 'p1', done: [`${'s'.repeat(900)}END`] } }],
  ])('never hides the end of %s: what the card cuts off, a file has', (_what, patch) => {
    const drawn = render(incidentOf(...openWith(subjectOf(patch))), context)
    expect(JSON.stringify(drawn)).toContain('END')
  })

  it('does not break a modal or the home tab', () => {
    fc.assert(
      fc.property(states, (incidents) => {
        expect(
          refuseView(home(incidents, { by: incidents[0]!.title, reason: incidents[0]!.title, since: '', until: null })),
        ).toBeNull()
        expect(refuseView(home(incidents, null))).toBeNull()
        for (const incident of incidents.slice(1)) {
          const on = { incident: ID, proposal: 'p1', origin: null }
          const decide = { kind: 'decide', verdict: 'approve', digest: digest('x'), ...on } as const
          const views = [
            modals.decide(incident, decide, true),
            modals.settle(incident, { kind: 'settle', choice: 'resume', ...on }),
            modals.notice(incident.title),
          ]
          for (const view of views) expect(refuseView(view)).toBeNull()
        }
      }),
      { numRuns: 50 },
    )
  })

  it('cannot be hidden from the approver by invisible characters', () => {
    const s = subjectOf({ plan: { ...plan, targets: [{ ...plan.targets[0]!, name: 'prod\u200b\u202euction' }] } })
    expect(JSON.stringify(card(render(incidentOf(...openWith(s)), context), 'proposal:p1'))).toContain(
      'prod\\\\u{200B}\\\\u{202E}uction',
    )
  })
})

describe('blocks that are too much for Slack', () => {
  it('keep their buttons, and shrink until they are taken', () => {
    const long: KnownBlock = { type: 'section', text: { type: 'plain_text', text: 'x'.repeat(9000) } } as const
    const rich: KnownBlock = {
      type: 'rich_text',
      elements: [{ type: 'rich_text_section', elements: [{ type: 'text', text: 'y'.repeat(40_000) }] }],
    } as const
    const table: KnownBlock = {
      type: 'table',
      rows: Array.from({ length: 300 }, () =>
        Array.from({ length: 30 }, () => ({ type: 'raw_text' as const, text: 'cell' })),
      ),
    } as const
    const button = {
      type: 'button',
      action_id: 'keyturn:approve',
      value: 'v',
      text: { type: 'plain_text', text: 'Go' },
    } as const
    const go: KnownBlock = { type: 'actions', elements: [button] } as const
    const fitted = fitBlocks([...Array.from({ length: 60 }, () => long), rich, table, table, go])
    expect(refuseBlocks(fitted)).toBeNull()
    expect(fitted.at(-1)).toEqual(go)
  })
})

describe('a block that a surface does not take', () => {
  const box: KnownBlock = { type: 'alert', level: 'warning', text: { type: 'plain_text', text: 'Mind the step' } }
  const go: KnownBlock = {
    type: 'actions',
    elements: [{ type: 'button', action_id: 'a', text: { type: 'plain_text', text: 'Go' } }],
  }
  const words = { type: 'section', text: { type: 'plain_text', text: 'Mind the step' } }

  it('is sent as its words to a message and to the Home tab', () => {
    expect(fitBlocks([box, go])).toEqual([words, go])
    expect(fitView({ type: 'home', blocks: [box, go] }).blocks).toEqual([words, go])
  })

  it('stays a box of at most 200 characters in a modal', () => {
    const title = { type: 'plain_text', text: 'x' } as const
    const long = { ...box, text: { type: 'plain_text', text: 'x'.repeat(300) } } as const
    const fitted = fitView({ type: 'modal', title, blocks: [long, { type: 'markdown', text: 'Plain words' }] })
    expect(refuseView(fitted)).toBeNull()
    expect(fitted.blocks.map((b) => b.type)).toEqual(['alert', 'section'])
  })
})

it('draws the same from the same incident, whatever the time', () => {
  expect(blocksOf(draw('running'))).toEqual(blocksOf(draw('running')))
  expect(JSON.stringify(draw('open'))).not.toContain(new Date().toISOString().slice(0, 13))
})

it('lists the newest incident first in the Home tab, and how old it is before what comes next', () => {
  const old = incidentOf(...STATES.open!)
  const young = { ...old, title: 'A younger one', openedAt: new Date(Date.parse(old.openedAt) + 60_000).toISOString() }
  const text = JSON.stringify(home([old, young], null))
  expect(text.indexOf(young.title)).toBeLessThan(text.indexOf(old.title))
  expect(text).toMatch(/waiting for a decision.*, opened .*\. Next: decide on/)
})

it('shows what the plan warns of once more to whoever approves it, and not to whoever rejects it', () => {
  const incident = incidentOf(...STATES.open!)
  const on = { kind: 'decide', digest: digest('x'), incident: ID, proposal: 'p1', origin: null } as const
  const shown = (verdict: 'approve' | 'reject') => JSON.stringify(modals.decide(incident, { ...on, verdict }, true))
  expect(shown('approve')).toContain('What these sessions have not committed is rolled back.')
  expect(shown('reject')).not.toContain('rolled back')
})
