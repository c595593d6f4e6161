import { afterEach, describe, expect, it } from '@jest/globals'
import type { Faults } from '../../src/sandbox/slack/faults.ts'
import { ACTIONS } from '../../src/slack/actions.ts'
import { createDesk, type Desk } from './desk.ts'
import { ADA, DATA, SAM } from './world.ts'

const desks: Desk[] = []
afterEach(async () => {
  for (const one of desks.splice(0)) await one.close()
})

/** What a real Slack does now and then. */
const MISCHIEF: Record<string, Partial<Faults>> = {
  'a limit of a second on every kind of call': { rateLimited: 3 },
  'a broken server, before and after it did what it was asked': { errorAfterCommit: 3 },
  'lost replies': { loseReplies: 3 },
  'slow replies': { slowMs: 150 },
  'fields that nobody knows, and nulls': { surprises: true },
  'no edits': { refuse: { 'chat.update': 'edit_window_closed' } },
  'edits of others': { refuse: { 'chat.update': 'cant_update_message' } },
  'a message that is not found': { refuse: { 'chat.update': 'message_not_found' } },
  'an archived channel': { refuse: { 'chat.postMessage': 'is_archived', 'chat.update': 'is_inactive' } },
  'a channel that is not found': { refuse: { 'chat.postMessage': 'channel_not_found' } },
  'a missing scope': { refuse: { 'chat.update': 'missing_scope', 'views.open': 'missing_scope' } },
  'a revoked token': { refuse: { '*': 'token_revoked' } },
  'an error that nobody knows': { refuse: { '*': 'brand_new_error' } },
  'a group that is gone': { refuse: { 'usergroups.users.list': 'no_such_subteam' } },
  'people who are not found': { refuse: { 'users.info': 'user_not_found' } },
  'no ephemeral messages': { refuse: { 'chat.postEphemeral': 'user_not_in_channel' } },
}
/** Words of Slack's API, of its client, and of JavaScript, which mean nothing to somebody at night. */
const RAW = /[a-z]+_[a-z]+_?[a-z]*\b|WebAPI|ZodError|undefined|Cannot read|\bat .+:\d+:\d+|Error:/

describe.each(Object.entries(MISCHIEF))('under %s', (_, faults) => {
  it.each(['low', 'medium'])(
    'a decision on a %s risk is taken once or not at all, with a sentence, and all is well afterwards',
    async (step) => {
      const d = await createDesk({ step })
      desks.push(d)
      d.sandbox.faults(faults)
      const pressed = await d.press(SAM, ACTIONS.approve)
      const said = () => JSON.stringify([d.whispers(SAM), d.sandbox.state().modals[SAM] ?? null])
      if (step === 'medium' && pressed.ok && !faults.refuse?.['views.open'] && !faults.refuse?.['*']) {
        const form = await d.modal(SAM).catch(() => null)
        if (form && 'submit' in form && form.submit) await d.sandbox.submit(SAM, form.id, d.reason('disk full'))
      }
      expect(
        said()
          .match(/"text":"([^"]*)"/g)
          ?.filter((text) => RAW.test(text)) ?? [],
      ).toEqual([])
      const { status, decisions } = await d.proposal()
      expect(['open', 'granted']).toContain(status)
      expect(decisions.length).toBe(status === 'granted' ? 1 : 0)

      // Slack is well again: who may decide can, and the thread shows it, once.
      d.sandbox.faults({ rateLimited: 0, errorAfterCommit: 0, loseReplies: 0, slowMs: 0, surprises: false, refuse: {} })
      if (status === 'open') {
        const card = d.card()
        expect((await d.press(ADA, ACTIONS.approve, card)).ok).toBe(true)
        if (step === 'medium') await d.sandbox.submit(ADA, (await d.modal(ADA)).id, d.reason('disk full'))
      }
      expect((await d.proposal()).status).toBe('granted')
      const shown = (text: string) => (d.sandbox.state().messages[DATA] ?? []).filter((m) => m.text === text)
      await d.sandbox.waitFor(() => shown(`${step}: granted`).length > 0, 40_000)
      expect(shown(`${step}: granted`)).toHaveLength(1)
      expect(JSON.stringify(d.lines.filter((l) => l.level === 'fatal'))).toBe('[]')
    },
  )
})
