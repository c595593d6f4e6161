import { afterAll, beforeAll, expect, it } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { ADA } from '../slack/sandbox.ts'
import { launchChromium } from './browser.ts'
import { open, startWorld } from './world.ts'

let browser: Browser
beforeAll(async () => {
  browser = await launchChromium()
})
afterAll(async () => {
  await browser?.close()
})

it('fires an alert, switches a fault, and shows a target before and now', async () => {
  const runs: string[] = []
  const before = [['48121', 'idle']]
  const panel = {
    state: () => ({
      alerts: [
        {
          id: 'blocked',
          title: 'A session blocks',
          ...(runs.at(-1) === 'blocked' ? { resolve: 'unblocked' } : {}),
        },
      ],
      faults: [{ id: 'down', title: 'Slack is down', on: runs.includes('down') }],
      targets: [
        {
          id: 'pg',
          title: 'Postgres',
          columns: ['pid', 'state'],
          rows: runs.includes('blocked') ? [] : before,
          before,
        },
      ],
    }),
    run: async (id: string) => {
      runs.push(id)
      return { ok: true, message: `done: ${id}` }
    },
  }
  const world = await startWorld({ panel })
  const page = await browser.newPage()
  try {
    await open(page, world, { as: ADA })
    const demo = page.getByRole('region', { name: 'Demo controls' })
    expect(await demo.getByText('Before').count()).toBe(0)
    await demo.getByRole('button', { name: 'A session blocks' }).click()
    await demo.getByText('done: blocked').waitFor()
    await demo.locator('tr.gone', { hasText: '48121' }).waitFor()
    await demo.getByRole('button', { name: 'Resolve: A session blocks' }).click()
    await demo.getByText('done: unblocked').waitFor()
    await demo.getByRole('button', { name: 'Resolve: A session blocks' }).waitFor({ state: 'detached' })
    await demo.getByRole('switch', { name: 'Slack is down', checked: false }).click()
    await demo.getByRole('switch', { name: 'Slack is down', checked: true }).waitFor()
    expect(runs).toEqual(['blocked', 'unblocked', 'down'])
  } finally {
    await page.close()
    await world.close()
  }
})

it('shows the home tab that the bot published for the person, with buttons that reach the bot', async () => {
  const world = await startWorld()
  const page = await browser.newPage()
  try {
    const element = {
      type: 'button',
      action_id: 'mine',
      value: 'v',
      text: { type: 'plain_text', text: 'Mine' },
    } as const
    await world.web.views.publish({
      user_id: ADA,
      view: { type: 'home', blocks: [{ type: 'actions', elements: [element] }] },
    })
    await open(page, world, { as: ADA, pane: 'home' })
    await page.getByRole('button', { name: 'Mine' }).click()
    await world.sandbox.waitFor((now) => now.presses.length === 1)
    expect(world.received.find((one) => one.type === 'block_actions')).toMatchObject({
      user: { id: ADA },
      actions: [{ action_id: 'mine', value: 'v' }],
    })
  } finally {
    await page.close()
    await world.close()
  }
})
