import { setTimeout as pass } from 'node:timers/promises'
import { ADA, GUS, ONA, SAM, type World } from '../e2e/world.ts'
import { type Card, cardsOf, roomOf } from './crash-cards.ts'
import type { Target } from './crash-target.ts'

/** What people do about a room is the first word of its name. */
export const mindOf = (room: string | null): string => room?.split('-', 1)[0] ?? ''

/** How often people look, and how long they leave a card alone that they have just pressed, in milliseconds. */
const LOOK = 150
const PAUSE = 2000
/** What the sandbox says of something that is not there any more, when somebody reaches for it. */
const GONE = /^there is no |sees no message|does not have modal|has no input|has no view/

/**
 * People who look at their Slack and press: two who approve, one who rejects, cancels and settles, and a guest who tries.
 * A press that Slack shows as failed is made again, as people do. `stop` resolves when the last one has put down the hand.
 */
export function startPeople(w: World, target: Pick<Target, 'isLit'>, onError: (error: unknown) => void) {
  const { sandbox } = w
  const busy = new Map<string, Promise<void>>()
  const touched = new Map<string, number>()
  let over = false
  const told = (user: string) =>
    Object.values(sandbox.state().messages).flatMap((list) => list.filter((m) => m.ephemeral_to === user)).length

  async function fillIn(user: string, card: Card, action: string): Promise<void> {
    const open = w.modalOf(user)
    if (open) await sandbox.closeView(user, open.id)
    const pressed = await sandbox.press(user, card, action)
    if (!pressed.ok || action === 'keyturn:cancel') return
    const before = told(user)
    const form = () => w.modalOf(user)?.callback_id?.startsWith('keyturn:') === true
    const notice = () => /"title":\{[^}]*"Keyturn"/.test(JSON.stringify(w.modalOf(user) ?? ''))
    await sandbox.waitFor(() => form() || notice() || told(user) > before, 4000).catch(() => {})
    if (!form()) return
    const values = { reason: { value: { type: 'plain_text_input', value: 'It is dark' } } }
    await sandbox.submit(user, w.modalOf(user)!.id, values)
  }

  /** What somebody would do now, if anything. */
  function wish(user: string, cards: readonly Card[], rooms: ReadonlyMap<string, string>): [Card, string] | null {
    const can = (action: string, when: (mind: string, card: Card) => boolean): [Card, string] | null => {
      const card = cards.find(
        (c) =>
          (touched.get(`${user} ${c.ts}`) ?? 0) < Date.now() - PAUSE &&
          c.buttons.some((b) => b.action === action) &&
          when(mindOf(rooms.get(c.incident) ?? null), c),
      )
      return card ? [card, action] : null
    }
    const lit = (card: Card) => target.isLit(rooms.get(card.incident) ?? '')
    if (user === ONA)
      return (
        can('keyturn:settle_done', (_, card) => lit(card)) ??
        can('keyturn:settle_resume', (mind, card) => mind === 'approve' && !lit(card)) ??
        can('keyturn:settle_abandon', (_, card) => !lit(card)) ??
        can('keyturn:cancel', (mind) => mind === 'cancel') ??
        can('keyturn:reject', (mind) => mind === 'reject')
      )
    if (user === GUS) return can('keyturn:approve', (mind) => mind === 'approve' || mind === 'ignore')
    return can(
      'keyturn:approve',
      (mind, card) => mind !== 'ignore' && mind !== 'reject' && !card.shown.includes(`"user_id":"${user}"`),
    )
  }

  async function look(): Promise<void> {
    while (!over) {
      const cards = cardsOf(sandbox)
      const rooms = new Map(
        cards.flatMap((c) => (c.key.startsWith('proposal:') ? [[c.incident, roomOf(c) ?? '']] : [])),
      )
      for (const user of [ADA, SAM, ONA, GUS]) {
        const wanted = busy.has(user) ? null : wish(user, cards, rooms)
        if (!wanted) continue
        const [card, action] = wanted
        const done = fillIn(user, card, action)
          .catch((error: unknown) => {
            if (!GONE.test((error as Error).message)) onError(error)
          })
          .finally(() => {
            touched.set(`${user} ${card.ts}`, Date.now())
            busy.delete(user)
          })
        busy.set(user, done)
      }
      await pass(LOOK)
    }
    await Promise.all(busy.values())
  }
  const looking = look().catch(onError)
  return {
    stop() {
      over = true
      return looking
    },
  }
}
