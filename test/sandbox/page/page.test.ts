import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import type { Browser, Page } from 'playwright-core'
import { ADA, DATA, ONA, SAM } from '../slack/sandbox.ts'
import { launchChromium } from './browser.ts'
import { EVIDENCE, OUTCOME, PROPOSAL, ROOT, RUN } from './incident.ts'
import { open, startWorld, type World } from './world.ts'

let browser: Browser
let world: World
let page: Page
beforeAll(async () => {
  browser = await launchChromium()
})
afterAll(async () => {
  await browser?.close()
})
beforeEach(async () => {
  world = await startWorld()
  page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
})
afterEach(async () => {
  await page?.close()
  await world?.close()
})

const plain = (text: string) => ({ type: 'plain_text' as const, text })
const mrkdwn = (text: string) => ({ type: 'mrkdwn' as const, text })
const verbatim = (text: string) => ({ ...mrkdwn(text), verbatim: true })
const REJECT = {
  type: 'modal' as const,
  callback_id: 'reject',
  title: plain('Reject'),
  submit: plain('Reject it'),
  blocks: [
    {
      type: 'input',
      block_id: 'reason',
      label: plain('Reason'),
      element: { type: 'plain_text_input', action_id: 'text', multiline: true },
    },
    {
      type: 'input',
      block_id: 'minutes',
      label: plain('Minutes'),
      element: { type: 'number_input', action_id: 'n', is_decimal_allowed: false, min_value: '1', max_value: '60' },
    },
    {
      type: 'input',
      block_id: 'kind',
      label: plain('Kind'),
      element: {
        type: 'static_select',
        action_id: 'k',
        options: [
          { text: plain('Too risky'), value: 'risky' },
          { text: plain('Too late'), value: 'late' },
        ],
      },
    },
    {
      type: 'input',
      block_id: 'tell',
      optional: true,
      label: plain('Tell'),
      element: { type: 'checkboxes', action_id: 't', options: [{ text: plain('The owner'), value: 'owner' }] },
    },
  ],
}

/** A proposal whose reject button opens the modal above. */
async function proposeWithModal(): Promise<void> {
  world.answer = (payload) => {
    if (payload.type === 'block_actions')
      void world.web.views.open({ trigger_id: payload.trigger_id, view: REJECT as never })
    return ''
  }
  await world.post('Proposal', PROPOSAL)
}

describe('the page', () => {
  it('shows every block of an incident, and what came after it was opened', async () => {
    const errors = await open(page, world, { as: ADA })
    const ts = await world.post('Orders', ROOT)
    await page.getByRole('heading', { name: 'Orders database: sessions blocked' }).waitFor()
    for (const blocks of [EVIDENCE, PROPOSAL, RUN, OUTCOME]) await world.post('More', blocks, ts)
    await page.getByText('4 replies').click()
    const thread = page.getByRole('complementary', { name: 'Thread' })
    await thread.getByText('No session is blocked any more').waitFor()
    const said = await thread.textContent()
    for (const text of ['etl_writer', 'UPDATE orders SET', 'sha256:9f2c41d0', 'Terminate pid 48121', '@data-oncall'])
      expect(said).toContain(text)
    expect(await thread.locator('.unknown').count()).toBe(0)
    expect(
      await thread.locator('blockquote, [class*=quote]').filter({ hasText: 'Succeeded.' }).count(),
    ).toBeGreaterThan(0)
    expect(await thread.locator('[class*=status_in_progress]').count()).toBe(1)
    expect(await thread.getByRole('link', { name: 'Playbook' }).getAttribute('rel')).toContain('noopener')
    expect(errors).toEqual([])
  })

  it('sends a press with its action, block and value, as the person who pressed', async () => {
    const ts = await world.post('Proposal', PROPOSAL)
    await open(page, world, { as: ONA })
    await page.getByRole('combobox', { name: 'You are' }).selectOption(SAM)
    await page.locator(`#app[data-as=${SAM}]`).waitFor()
    await page.getByRole('button', { name: 'Approve in production' }).click()
    await world.sandbox.waitFor((now) => now.presses.length === 1)
    expect(world.received).toHaveLength(1)
    expect(world.received[0]).toMatchObject({
      type: 'block_actions',
      user: { id: SAM },
      container: { message_ts: ts },
      actions: [{ action_id: 'approve', block_id: 'decide', value: 'p1' }],
    })
  })

  it('marks the button that the bot did not answer, and clears the mark when it does', async () => {
    await world.post('Proposal', PROPOSAL)
    world.status = 503
    await open(page, world, { as: ADA })
    const button = page.getByRole('button', { name: 'Approve in production' })
    await button.click()
    await page.locator('.press-error').waitFor()
    world.status = 200
    await button.click()
    await page.locator('.press-error').waitFor({ state: 'detached' })
    expect(world.received).toHaveLength(2)
  })

  it('asks before a press that wants to be confirmed, and sends nothing on no', async () => {
    const confirm = { title: plain('Really?'), text: mrkdwn('It restarts.'), confirm: plain('Yes'), deny: plain('No') }
    const element = { type: 'button' as const, action_id: 'restart', value: 'x', text: plain('Restart'), confirm }
    await world.post('Restart?', [{ type: 'actions', elements: [element] }])
    await open(page, world, { as: ADA })
    await page.getByRole('button', { name: 'Restart' }).click()
    await page.getByRole('button', { name: 'No' }).click()
    await page.getByRole('button', { name: 'Restart' }).click()
    await page.getByRole('button', { name: 'Yes' }).click()
    await world.sandbox.waitFor((now) => now.presses.length > 0)
    expect(world.received).toHaveLength(1)
  })

  it('sends what was confirmed though its message was edited meanwhile', async () => {
    const confirm = { title: plain('Really?'), text: mrkdwn('It ends.'), confirm: plain('Yes'), deny: plain('No') }
    const cancel = { type: 'button' as const, action_id: 'cancel', value: 'x', text: plain('Cancel'), confirm }
    const other = { type: 'button' as const, action_id: 'other', value: 'y', text: plain('Other') }
    const ts = await world.post('Running', [{ type: 'actions', elements: [cancel] }])
    await open(page, world, { as: ADA })
    await page.getByRole('button', { name: 'Cancel' }).click()
    const blocks = [{ type: 'actions' as const, elements: [other, cancel] }]
    await world.web.chat.update({ channel: DATA, ts, text: 'Running', blocks })
    await page.getByRole('button', { name: 'Other', includeHidden: true }).waitFor({ state: 'attached' })
    await page.getByRole('button', { name: 'Yes' }).click()
    await world.sandbox.waitFor((now) => now.presses.length > 0)
    expect(world.received).toMatchObject([{ actions: [{ action_id: 'cancel', value: 'x' }] }])
  })

  it('refuses an incomplete form beside its fields, then sends every value and shows what the bot refuses', async () => {
    await proposeWithModal()
    await open(page, world, { as: ADA })
    await page.getByRole('button', { name: 'Reject…' }).click()
    const dialog = page.getByRole('dialog', { name: 'Reject' })
    await dialog.waitFor()
    await dialog.getByRole('button', { name: 'Reject it' }).click()
    expect(await dialog.getByText('Please complete this required field.').count()).toBe(3)
    expect(world.received).toHaveLength(1)

    await dialog.getByLabel('Reason').fill('It is <b>too</b> late')
    await dialog.getByLabel('Minutes').fill('30')
    await dialog.getByLabel('Kind').selectOption({ label: 'Too late' })
    await dialog.getByLabel('The owner').check()
    world.answer = () => ({ response_action: 'errors', errors: { reason: 'Say which change is late.' } })
    await dialog.getByRole('button', { name: 'Reject it' }).click()
    await dialog.getByText('Say which change is late.').waitFor()
    expect(await dialog.getByLabel('Reason').getAttribute('aria-invalid')).toBe('true')
    expect(await dialog.getByLabel('Minutes').inputValue()).toBe('30')
    expect(world.received.at(-1)?.view?.state.values).toMatchObject({
      reason: { text: { type: 'plain_text_input', value: 'It is <b>too</b> late' } },
      minutes: { n: { value: '30' } },
      kind: { k: { selected_option: { value: 'late' } } },
      tell: { t: { selected_options: [{ value: 'owner' }] } },
    })

    world.answer = () => ''
    await dialog.getByRole('button', { name: 'Reject it' }).click()
    await dialog.waitFor({ state: 'detached' })
    expect(world.received).toHaveLength(3)
  })

  it('keeps focus and what is half typed while the channel moves on, and closes a modal by Escape', async () => {
    await proposeWithModal()
    await open(page, world, { as: ADA })
    await page.getByRole('button', { name: 'Reject…' }).click()
    const reason = page.getByLabel('Reason')
    await reason.fill('Because the')
    await world.post('Something new happened')
    await page.getByText('Something new happened').first().waitFor()
    expect(await reason.inputValue()).toBe('Because the')
    expect(await reason.evaluate((field) => field === document.activeElement)).toBe(true)
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(world.sandbox.state().modals[ADA]).toBeNull()
  })

  it('keeps the place where somebody reads back', async () => {
    for (let number = 1; number <= 40; number += 1) world.sandbox.say(SAM, DATA, `Line ${number}`)
    await open(page, world, { as: ADA })
    const scroll = page.locator('main .scroll')
    expect(await scroll.evaluate((one) => one.scrollHeight - one.scrollTop - one.clientHeight)).toBeLessThan(2)
    await scroll.evaluate((one) => {
      one.scrollTop = 100
    })
    world.sandbox.say(SAM, DATA, 'Line 41')
    await page.getByText('Line 41').waitFor({ state: 'attached' })
    expect(await scroll.evaluate((one) => one.scrollTop)).toBe(100)
  })

  it('shows what is for one person to that person only', async () => {
    await world.web.chat.postEphemeral({ channel: DATA, user: ADA, text: 'You are not an approver' })
    await open(page, world, { as: ADA })
    await page.getByText('Only visible to you').waitFor()
    await page.getByRole('combobox', { name: 'You are' }).selectOption(SAM)
    await page.locator(`#app[data-as=${SAM}]`).waitFor()
    expect(await page.getByText('You are not an approver').count()).toBe(0)
  })

  it('notifies of a reply that is not in view with the fallback text, and leads there', async () => {
    const ts = await world.post('Root', ROOT)
    await open(page, world, { as: ADA })
    await world.post('Proposal: end pid 48121 &lt;now&gt; <@U0000000SAM>', PROPOSAL, ts)
    const toast = page.locator('.toast')
    await toast.waitFor()
    expect(await toast.textContent()).toContain('Proposal: end pid 48121 <now> @sam')
    await toast.click()
    await page.getByRole('complementary', { name: 'Thread' }).getByText('Proposal 1').waitFor()
  })

  it('marks a channel unread until it is opened', async () => {
    await open(page, world, { as: ADA })
    await world.web.chat.postMessage({ channel: 'C0000PLATON', text: 'Here too' })
    const item = page.locator('.sidebar a.unread')
    await item.waitFor()
    expect(await item.textContent()).toContain('platform-oncall')
    await item.click()
    await page.getByText('Here too').waitFor()
    await page.locator('.sidebar a.unread').waitFor({ state: 'detached' })
  })

  it('lets a person write, and shows an edited message and a text file', async () => {
    await open(page, world, { as: SAM })
    await page.getByRole('textbox', { name: 'Message #data-oncall' }).fill('Looking at *it*')
    await page.keyboard.press('Enter')
    await page.locator('.message strong, .message .font-semibold', { hasText: 'it' }).waitFor()
    const ts = await world.post('First')
    await world.web.chat.update({ channel: DATA, ts, text: 'Second' })
    await page.getByText('(edited)').waitFor()
    await world.web.filesUploadV2({ channel_id: DATA, filename: 'plan.txt', title: 'Full plan', content: 'step <1>' })
    await page.locator('[data-preview]', { hasText: 'step <1>' }).waitFor()
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Download Full plan' }).click(),
    ])
    expect(download.suggestedFilename()).toBe('plan.txt')
  })
})

describe('hostile text', () => {
  const ATTACK =
    '&lt;script&gt;window.hit=1&lt;/script&gt; &lt;img src=x onerror="window.hit=2"&gt; &lt;!channel&gt; &lt;@U0000000ADA&gt; &lt;https://evil.example|safe&gt; <javascript:window.hit=3|press>'
  const RAW =
    '<script>window.hit=4</script><img src=x onerror="window.hit=5"> <!channel> <https://evil.example|safe> [a](javascript:window.hit=6)'

  it('stays text in every block: no script, no image, no ping, no link', async () => {
    await world.post(ATTACK, [
      { type: 'section', text: verbatim(ATTACK), fields: [verbatim(ATTACK)] },
      { type: 'section', text: plain(RAW) },
      { type: 'header', text: plain(RAW) },
      { type: 'context', elements: [plain(RAW), verbatim(ATTACK)] },
      {
        type: 'rich_text',
        elements: [{ type: 'rich_text_quote', elements: [{ type: 'text', text: RAW }] }],
      },
      {
        type: 'markdown',
        text: '[x](javascript:window.hit=7) <img src=x onerror="window.hit=8"> <script>hit=9</script>',
      },
      { type: 'table', rows: [[{ type: 'raw_text', text: RAW }]] },
      { type: 'actions', elements: [{ type: 'button', action_id: 'b', text: plain('<b>!</b> <!channel>') }] },
    ])
    const errors = await open(page, world, { as: ADA })
    await page.locator('.block.actions').waitFor()
    const message = page.locator('.message').last()
    expect(await message.locator('script, img, .mention').count()).toBe(0)
    const links = await message.locator('a[href]').evaluateAll((all) => all.map((one) => one.getAttribute('href')))
    expect(links).toEqual([])
    const said = await message.textContent()
    for (const text of ['<script>window.hit=1</script>', '<!channel>', '<@U0000000ADA>', '<https://evil.example|safe>'])
      expect(said).toContain(text)
    expect(await page.evaluate(() => 'hit' in window)).toBe(false)
    expect(errors).toEqual([])
  })

  it('cannot become a script even if it were HTML: the policy of the page forbids what is inline', async () => {
    await open(page, world, { as: ADA })
    await page.evaluate(() => {
      const image = document.createElement('div')
      image.innerHTML = '<img src="data:," onerror="window.hit=1">'
      document.body.append(image)
      const script = document.createElement('script')
      script.textContent = 'window.hit=2'
      document.body.append(script)
    })
    expect(await page.evaluate(() => 'hit' in window)).toBe(false)
  })
})

describe('on a phone', () => {
  it('shows one pane at a time, with a way back from thread to channel to the list', async () => {
    await page.setViewportSize({ width: 390, height: 844 })
    const ts = await world.post('Root', ROOT)
    await world.post('Reply', PROPOSAL, ts)
    await open(page, world, { as: ADA })
    const panes = ['.sidebar', 'main', '.thread', '.demo']
    const shown = async () => {
      const seen = await Promise.all(panes.map((pane) => page.locator(`#app > ${pane}`).isVisible()))
      return panes.filter((_, index) => seen[index])
    }
    expect(await shown()).toEqual(['main'])
    await page.getByText('1 reply').click()
    await page.locator('.thread').waitFor()
    expect(await shown()).toEqual(['.thread'])
    const wide = await page.evaluate(() => document.documentElement.scrollWidth)
    expect(wide).toBeLessThanOrEqual(390)
    await page.getByRole('link', { name: 'Back to channel' }).click()
    await page.locator('main').waitFor()
    expect(await shown()).toEqual(['main'])
    await page.getByRole('link', { name: 'Back to channels' }).click()
    await page.locator('.sidebar').waitFor()
    expect(await shown()).toEqual(['.sidebar'])
    await page.getByRole('link', { name: 'Demo controls' }).click()
    await page.locator('.demo').waitFor()
    expect(await shown()).toEqual(['.demo'])
  })
})
