import { afterEach, describe, expect, it } from '@jest/globals'
import { refuseBlocks, refuseView } from '../../../src/sandbox/slack/blocks.ts'
import { createFakeClock } from '../../../src/sandbox/slack/clock.ts'
import { ADA, button, DATA, refusal, SAM, startSandbox } from './sandbox.ts'

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})
const start = async (options: Parameters<typeof startSandbox>[0] = {}) => {
  const started = await startSandbox(options)
  closers.push(started.sandbox.close)
  return started
}

const plain = (length: number) => ({ type: 'plain_text', text: 'x'.repeat(length) })
const mrkdwn = (length: number) => ({ type: 'mrkdwn', text: 'x'.repeat(length) })
const press = (fields: object) => ({ type: 'button', action_id: 'a', text: plain(5), ...fields })
const actions = (...elements: object[]) => ({ type: 'actions', elements })
const cell = { type: 'raw_text', text: 'x' }
const many = <T>(count: number, make: (index: number) => T) => Array.from({ length: count }, (_, index) => make(index))
const rich = { type: 'rich_text', elements: [{ type: 'rich_text_section', elements: [{ type: 'text', text: 'x' }] }] }
const task = (fields: object = {}) => ({ type: 'task_card', task_id: 't', title: 'x', status: 'pending', ...fields })
const alert = (fields: object = {}) => ({ type: 'alert', text: mrkdwn(1), ...fields })
const container = (children: number) => ({
  type: 'container',
  title: plain(1),
  child_blocks: many(children, () => ({ type: 'divider' })),
})

describe('the limit of', () => {
  it.each<[string, object, object, string]>([
    [
      'a section text',
      { type: 'section', text: mrkdwn(3000) },
      { type: 'section', text: mrkdwn(3001) },
      '/blocks/0/text/text',
    ],
    ['a header', { type: 'header', text: plain(150) }, { type: 'header', text: plain(151) }, '/blocks/0/text/text'],
    [
      'section fields',
      { type: 'section', fields: many(10, () => mrkdwn(100)) },
      { type: 'section', fields: many(11, () => mrkdwn(100)) },
      '/blocks/0/fields',
    ],
    [
      'one section field',
      { type: 'section', fields: [mrkdwn(2000)] },
      { type: 'section', fields: [mrkdwn(2001)] },
      '/blocks/0/fields/0/text',
    ],
    [
      'context elements',
      { type: 'context', elements: many(10, () => mrkdwn(5)) },
      { type: 'context', elements: many(11, () => mrkdwn(5)) },
      '/blocks/0/elements',
    ],
    [
      'actions elements',
      actions(...many(25, (index) => press({ action_id: `a${index}` }))),
      actions(...many(26, (index) => press({ action_id: `a${index}` }))),
      '/blocks/0/elements',
    ],
    [
      'a button text',
      actions(press({ text: plain(75) })),
      actions(press({ text: plain(76) })),
      '/blocks/0/elements/0/text/text',
    ],
    [
      'a button value',
      actions(press({ value: 'x'.repeat(2000) })),
      actions(press({ value: 'x'.repeat(2001) })),
      '/blocks/0/elements/0/value',
    ],
    [
      'an action_id',
      actions(press({ action_id: 'x'.repeat(255) })),
      actions(press({ action_id: 'x'.repeat(256) })),
      '/blocks/0/elements/0/action_id',
    ],
    [
      'a block_id',
      { type: 'divider', block_id: 'x'.repeat(255) },
      { type: 'divider', block_id: 'x'.repeat(256) },
      '/blocks/0/block_id',
    ],
    ['button mrkdwn', actions(press({})), actions(press({ text: mrkdwn(5) })), '/blocks/0/elements/0/text'],
    [
      'table rows',
      { type: 'table', rows: many(100, () => [cell]) },
      { type: 'table', rows: many(101, () => [cell]) },
      '/blocks/0/rows',
    ],
    [
      'table columns',
      { type: 'table', rows: [many(20, () => cell)] },
      { type: 'table', rows: [many(21, () => cell)] },
      '/blocks/0/rows/0',
    ],
    ['a task status', task({ details: rich }), task({ status: 'running' }), '/blocks/0/status'],
    [
      'a plan',
      { type: 'plan', title: 'x', tasks: [task()] },
      { type: 'plan', tasks: [task()] },
      'missing required field: title [json-pointer:/blocks/0]',
    ],
    ['a card body', { type: 'card', body: mrkdwn(200) }, { type: 'card', body: mrkdwn(201) }, '/blocks/0/body/text'],
    ['container children', container(10), container(11), '/blocks/0/child_blocks'],
    ['a known type', { type: 'divider' }, { type: 'blink' }, '/blocks/0/type'],
    ['known fields', { type: 'divider' }, { type: 'divider', colour: 'red' }, 'invalid additional property: colour'],
    [
      'an empty text',
      { type: 'section', text: mrkdwn(1) },
      { type: 'section', text: mrkdwn(0) },
      '/blocks/0/text/text',
    ],
  ])('%s is where Slack puts it', (_, within, beyond, pointer) => {
    expect(refuseBlocks([within])).toBeNull()
    const refused = refuseBlocks([beyond])
    expect(refused?.error).toBe('invalid_blocks')
    expect(refused?.messages.join('\n')).toContain(pointer)
  })

  it('a box is a level of five and 200 characters, in a modal', () => {
    const modal = (block: object) => refuseView({ type: 'modal', title: plain(5), blocks: [block] })
    expect(modal(alert({ level: 'error', text: mrkdwn(200) }))).toBeNull()
    expect(modal(alert({ level: 'fatal' }))?.messages.join()).toContain('/view/blocks/0/level')
    expect(modal(alert({ text: mrkdwn(201) }))?.messages.join()).toContain('must be less than 201 characters')
  })

  it('a message is 50 blocks, one table, 12,000 characters of markdown and distinct ids', () => {
    const dividers = (count: number) => many(count, () => ({ type: 'divider' }))
    const table = { type: 'table', rows: [[cell]] }
    const markdown = (length: number) => ({ type: 'markdown', text: 'x'.repeat(length) })
    expect(refuseBlocks(dividers(50))).toBeNull()
    expect(refuseBlocks(dividers(51))?.error).toBe('invalid_blocks')
    expect(refuseBlocks([table])).toBeNull()
    expect(refuseBlocks([table, table])?.error).toBe('invalid_attachments')
    expect(refuseBlocks([markdown(6000), markdown(6000)])).toBeNull()
    expect(refuseBlocks([markdown(6000), markdown(6001)])?.error).toBe('msg_blocks_too_long')
    expect(refuseBlocks(many(5, () => ({ type: 'section', text: mrkdwn(3000) })))?.error).toBe('msg_blocks_too_long')
    expect(refuseBlocks(many(2, () => ({ type: 'divider', block_id: 'same' })))?.messages[0]).toContain(
      'already exists',
    )
    expect(refuseBlocks([actions(press({}), press({}))])?.messages[0]).toContain('already exists')
    expect(refuseBlocks([actions(press({})), actions(press({}))])).toBeNull()
  })

  it('a view is 100 blocks, a title of 24 characters, 3,000 of metadata, and a submit button beside inputs', () => {
    const input = { type: 'input', label: plain(5), element: { type: 'plain_text_input', action_id: 'a' } }
    const modal = (fields: object) => ({ type: 'modal', title: plain(24), blocks: [], ...fields })
    const dividers = (count: number) => ({ blocks: many(count, () => ({ type: 'divider' })) })
    expect(refuseView(modal(dividers(100)))).toBeNull()
    expect(refuseView(modal(dividers(101)))?.messages[0]).toContain('[json-pointer:/view/blocks]')
    expect(refuseView(modal({ title: plain(25) }))?.messages.join()).toContain('must be less than 25 characters')
    expect(refuseView(modal({ private_metadata: 'x'.repeat(3001) }))?.messages[0]).toContain('/view/private_metadata')
    expect(refuseView(modal({ callback_id: 'x'.repeat(256) }))?.messages[0]).toContain('/view/callback_id')
    expect(refuseView(modal({ blocks: [input] }))?.messages[0]).toContain('missing required field: submit')
    expect(refuseView(modal({ blocks: [input], submit: plain(24) }))).toBeNull()
    expect(refuseView({ type: 'home', blocks: [{ type: 'divider' }] })).toBeNull()
  })
})

describe('each surface takes its own blocks:', () => {
  const input = (type: string) => ({ type: 'input', label: plain(5), element: { type, action_id: 'a' } })
  const table = { type: 'table', rows: [[cell]] }
  const plan = { type: 'plan', title: 'x', tasks: [task()] }
  const markdown = { type: 'markdown', text: 'x' }
  const card = { type: 'card', body: mrkdwn(5) }
  const when = actions({ type: 'datetimepicker', action_id: 'w' })
  it.each<[string, object, boolean, boolean, boolean]>([
    ['alert', alert(), false, true, false],
    ['plan', plan, true, false, false],
    ['task_card', task(), true, false, false],
    ['table', table, true, false, false],
    ['markdown', markdown, true, false, false],
    ['card', card, true, false, true],
    ['container', container(1), true, false, false],
    ['carousel', { type: 'carousel', elements: [card] }, true, false, true],
    ['file', { type: 'file', source: 'remote', external_id: 'x' }, false, false, false],
    ['rich_text', rich, true, true, true],
    ['header', { type: 'header', text: plain(5) }, true, true, true],
    ['an input', input('plain_text_input'), true, true, true],
    ['an input of a file', input('file_input'), false, true, false],
    ['an input of an address', input('email_text_input'), false, true, false],
    ['a picker of a moment', when, true, true, false],
  ])('%s', (_, block, message, modal, home) => {
    const takes = [
      refuseBlocks([block]),
      refuseView({ type: 'modal', title: plain(5), submit: plain(5), blocks: [block] }),
      refuseView({ type: 'home', blocks: [block] }),
    ].map((refused) => refused === null)
    expect(takes).toEqual([message, modal, home])
  })
})

it('says what is wrong with blocks in the words of Slack', async () => {
  const { web } = await start()
  const blocks = [{ type: 'section', text: { type: 'mrkdwn' as const, text: 'x'.repeat(3001) } }]
  expect(await refusal(web.chat.postMessage({ channel: DATA, text: 'x', blocks }))).toEqual({
    error: 'invalid_blocks',
    messages: [
      '[ERROR] failed to match all allowed schemas [json-pointer:/blocks/0/text]',
      '[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]',
    ],
  })
})

it('refuses an edit with more than 4,000 bytes of text, too many attachments and metadata without a type', async () => {
  const { web } = await start()
  const { ts } = await web.chat.postMessage({ channel: DATA, text: 'x' })
  const update = (text: string) => web.chat.update({ channel: DATA, ts: ts!, text })
  expect((await update('é'.repeat(2000))).ok).toBe(true)
  expect((await refusal(update('é'.repeat(2001)))).error).toBe('msg_too_long')
  const attachments = many(101, () => ({ text: 'x' }))
  expect((await refusal(web.chat.postMessage({ channel: DATA, attachments, text: 'x' }))).error).toBe(
    'too_many_attachments',
  )
  const metadata = { event_payload: {} } as never
  expect((await refusal(web.chat.postMessage({ channel: DATA, text: 'x', metadata }))).error).toBe(
    'invalid_metadata_format',
  )
})

it('lets a channel have about one message a second, and says when to come back', async () => {
  const clock = createFakeClock()
  const { sandbox } = await start({ clock })
  const post = (channel: string) =>
    fetch(`${sandbox.apiUrl}chat.postMessage`, {
      method: 'POST',
      headers: { authorization: 'Bearer xoxb-sandbox', 'content-type': 'application/json' },
      body: JSON.stringify({ channel, text: 'x' }),
    })
  for (let i = 0; i < 3; i++) expect((await post(DATA)).status).toBe(200)
  const refused = await post(DATA)
  expect([refused.status, refused.headers.get('retry-after'), await refused.json()]).toEqual([
    429,
    '1',
    { ok: false, error: 'ratelimited' },
  ])
  expect((await post('C0000PLATON')).status).toBe(200)
  clock.advance(1000)
  expect((await post(DATA)).status).toBe(200)
  expect((await post(DATA)).status).toBe(429)
  sandbox.faults({ rateLimit: false })
  expect((await post(DATA)).status).toBe(200)
})

it('opens a view once, within three seconds of the click', async () => {
  const clock = createFakeClock()
  const { sandbox, web } = await start({ clock })
  const { ts } = await web.chat.postMessage({ channel: DATA, text: 'x', blocks: button() })
  const view = { type: 'modal' as const, title: { type: 'plain_text' as const, text: 'Why?' }, blocks: [] }
  const triggerOf = async (user: string) => {
    await sandbox.press(user, { channel: DATA, ts: ts! }, 'approve')
    return String(sandbox.log.findLast(({ kind }) => kind === 'interaction')?.args?.trigger_id)
  }
  const [first, second] = [await triggerOf(ADA), await triggerOf(SAM)]
  const opened = await web.views.open({ trigger_id: first, view })
  expect((await refusal(web.views.open({ trigger_id: first, view }))).error).toBe('exchanged_trigger_id')
  clock.advance(3001)
  expect((await refusal(web.views.open({ trigger_id: second, view }))).error).toBe('expired_trigger_id')
  expect((await refusal(web.views.open({ trigger_id: '1.2.x', view }))).error).toBe('invalid_trigger_id')
  const { id, hash } = opened.view as { id: string; hash: string }
  expect((await web.views.update({ view_id: id, hash, view })).ok).toBe(true)
  expect((await refusal(web.views.update({ view_id: id, hash, view }))).error).toBe('hash_conflict')
})
