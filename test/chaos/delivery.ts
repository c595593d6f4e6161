import type { Happening } from '../../src/domain/event.ts'
import type { Incident } from '../../src/domain/incident.ts'
import type { Drawn } from '../../src/slack/show.ts'
import { asked, createWorld, DATA, opened, PLATFORM } from '../slack/world.ts'
import { type Random, randomOf } from './scheduler.ts'
import { Violation } from './violation.ts'

const MESSAGES = 15
/** Every so many seeds have two hundred threads, the others a few. */
const LARGE = 20
/** Virtual milliseconds until all must be there: a message a second and channel, and the outage. */
const PATIENCE = 6 * 3_600_000
const SLACK_DOWN = 600_000

type Told = {
  text: string
  ts: string
  thread_ts?: string
  metadata?: { event_payload?: { key?: string; incident?: string } }
}
const draw = (incident: Incident): Drawn[] => [
  { key: 'root', kind: 'message', thread: false, text: `${incident.title}${incident.resolvedAt ? ' (resolved)' : ''}` },
  ...incident.proposals.map(
    (p): Drawn => ({ key: `proposal:${p.id}`, kind: 'message', thread: true, text: `${p.step}: ${p.status}` }),
  ),
]

/**
 * Threads that grow while Slack is down for ten minutes, answers half of the calls with 429, loses replies, says 500 to
 * what it has done, and one of two bots ends in the middle; on virtual time. All messages arrive, in order, once.
 */
export function createDeliveryPart() {
  const figures = { threads: 0, messages: 0 }
  return {
    async run(seed: number): Promise<void> {
      const random = randomOf(seed)
      const w = await createWorld({ faults: { rateLimit: true } })
      try {
        await storm(w, random, seed % LARGE === 0 ? 200 : 2 + random.below(8), figures)
      } finally {
        await w.close()
      }
    },
    close: async () => `${figures.messages} messages in ${figures.threads} threads`,
  }
}

async function storm(
  w: Awaited<ReturnType<typeof createWorld>>,
  random: Random,
  threads: number,
  figures: { threads: number; messages: number },
): Promise<void> {
  const first = w.bot(draw)
  const second = w.bot(draw)
  const ids = Array.from({ length: threads }, (_, i) => `i${i + 1}`)
  await first.start()
  await second.start()
  for (const id of ids) w.journal.add(id, opened(id, random.pick(['default', 'platform'])))

  const pass = async (ms: number) => {
    let over = false
    void w.sleep(ms).then(() => {
      over = true
    })
    await w.pass(() => over, ms + 60_000)
  }
  const trouble = [
    async () => {
      w.sandbox.faults({ outage: random.pick([true, '503'] as const) })
      await pass(SLACK_DOWN)
      w.sandbox.faults({ outage: false })
    },
    async () => {
      w.sandbox.faults({ limitRate: 0.5, retryAfter: 1 + random.below(5) })
      await pass(60_000)
      w.sandbox.faults({ limitRate: 0 })
    },
    async () => w.sandbox.faults({ loseReplies: 1 + random.below(threads) }),
    async () => w.sandbox.faults({ errorAfterCommit: 1 + random.below(threads) }),
    async () => {
      w.sandbox.faults({ errorRate: 0.3 })
      await pass(20_000)
      w.sandbox.faults({ errorRate: 0 })
    },
    () => pass(random.below(30_000)),
  ]
  const gone = 1 + random.below(MESSAGES - 2)
  for (let n = 1; n < MESSAGES; n++) {
    for (const id of ids) w.journal.add(id, ...next(random, n))
    await random.pick(trouble)()
    // What it had begun is for the other one to find and to finish.
    if (n === gone) await first.stop()
  }
  for (const id of ids) w.journal.add(id, { type: 'incident.resolved' })
  w.sandbox.faults({ outage: false, limitRate: 0, errorRate: 0, loseReplies: 0, errorAfterCommit: 0 })
  await w.pass(async () => (await Promise.all(ids.map((id) => second.isShown(id)))).every(Boolean), PATIENCE)

  const posted = [DATA, PLATFORM].flatMap((channel) => (w.sandbox.state().messages[channel] ?? []) as Told[])
  for (const id of ids) {
    const mine = posted.filter((m) => m.metadata?.event_payload?.incident === id)
    const wanted = draw((await w.journal.load(id))!)
    const told = mine.map((m) => [m.metadata?.event_payload?.key, m.text])
    const due = wanted.map((d) => [d.key, d.kind === 'message' ? d.text : ''])
    if (JSON.stringify(told) !== JSON.stringify(due))
      throw new Violation(`${id} is told as ${JSON.stringify(told)}, not as ${JSON.stringify(due)}`)
    const [root, ...rest] = mine
    if (rest.some((m) => m.thread_ts !== root?.ts)) throw new Violation(`${id} is not in one thread`)
    figures.messages += mine.length
  }
  figures.threads += threads
}

/** One more message in a thread, and perhaps another that changes. */
function next(random: Random, n: number): Happening[] {
  const events: Happening[] = [asked(`p${n}`, `step ${n}`)]
  if (random.chance(0.4)) events.push({ type: 'plan.failed', proposal: `p${1 + random.below(n)}`, error: 'no' })
  return events
}
