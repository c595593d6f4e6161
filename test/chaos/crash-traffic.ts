import { setTimeout as pass } from 'node:timers/promises'
import type { World } from '../e2e/world.ts'
import { type Card, cardsOf } from './crash-cards.ts'
import { HOUSES } from './crash-house.ts'
import type { Sent } from './crash-seen.ts'

/** What becomes of the rooms, in turn; a rival is the same room with another alert, and a strange alert has no playbook. */
const MINDS = ['approve', 'strange', 'rival', 'approve', 'reopen', 'ignore', 'resolve', 'cancel', 'reject']
/** How long a resolved alert is left alone, until nobody looks after it any more, in milliseconds. */
const QUIET = 5000
/** How long a freeze stands. */
const FROZEN = 3000

/** What comes from outside: alerts, their ends, a freeze. Each goes on until it is accepted, or until `stop`. */
export function createTraffic(w: World, onError: (error: unknown) => void) {
  const sent: Sent[] = []
  const freezes: { from: number; to: number }[] = []
  const going = new Set<Promise<void>>()
  let rooms = 0
  let over = false
  const go = (work: Promise<void>) => {
    going.add(work)
    void work.catch(onError).finally(() => going.delete(work))
  }

  /** As Alertmanager does: again until it is accepted. */
  async function send(name: string, room: string, house: number, status: Sent['status'] = 'firing'): Promise<void> {
    const labels = { alertname: name, room, house: String(house), severity: 'critical' }
    const summary = `${name} in ${room}.`
    while (!over) {
      const answer = await w.alert([{ labels, status, annotations: { summary } }]).catch(() => 0)
      sent.push({ at: Date.now(), summary, status, answer })
      if (answer === 200) return
      await pass(200)
    }
  }

  async function until(test: () => boolean): Promise<void> {
    while (!over && !test()) await pass(100)
  }
  const shows = (test: (card: Card) => boolean) => until(() => cardsOf(w.sandbox).some(test))

  async function resolve(room: string, house: number): Promise<void> {
    await shows((c) => c.key.startsWith('proposal:') && c.shown.includes(`/rooms/${room}/`))
    await send('LampOff', room, house, 'resolved')
    if (!room.startsWith('reopen')) return
    await shows((c) => c.key === 'root' && c.text.includes(': resolved') && c.shown.includes(`LampOff in ${room}.`))
    await pass(QUIET)
    await send('LampOff', room, house)
  }

  async function freezeAfter(test: () => boolean): Promise<void> {
    await until(test)
    const say = async (verb: 'freeze' | 'thaw') => {
      const { code, out } = await w.keyturn(verb, '--reason', 'a drill')
      if (code !== 0) throw new Error(`keyturn ${verb}: ${out}`)
    }
    await say('freeze')
    const from = Date.now()
    await pass(FROZEN)
    freezes.push({ from, to: Date.now() })
    await say('thaw')
  }

  return {
    sent: sent as readonly Sent[],
    freezes: freezes as readonly (typeof freezes)[number][],
    /** What is not accepted yet. */
    open: () => [...going].map(() => 'something is not accepted'),
    /** The next room's lamp goes off; `mind` is what becomes of it, its turn if not given. */
    fire(mind = MINDS[rooms % MINDS.length]!) {
      const room = `${mind === 'rival' ? 'approve' : mind}-${rooms}`
      rooms += 1
      const house = rooms % HOUSES
      go(send(mind === 'strange' ? `Strange-${room}` : 'LampOff', room, house))
      if (mind === 'rival') go(send('LampDim', room, (house + 1) % HOUSES))
      if (mind === 'resolve' || mind === 'reopen') go(resolve(room, house))
    },
    /** Freezes everything for some seconds, once `test` holds. */
    freeze: (test: () => boolean) => go(freezeAfter(test)),
    stop() {
      over = true
    },
  }
}
