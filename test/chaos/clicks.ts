import { createHmac } from 'node:crypto'
import { App } from '@slack/bolt'
import fastify, { type FastifyInstance } from 'fastify'
import { Policy } from '../../src/domain/policy.ts'
import { createFreezer } from '../../src/pipeline/freezer.ts'
import { createHandlers } from '../../src/pipeline/handlers.ts'
import { writePress } from '../../src/slack/actions.ts'
import { listen } from '../../src/slack/interactions.ts'
import { createHttpReceiver } from '../../src/slack/receiver.ts'
import { type Send, slackLogger } from '../../src/slack/send.ts'
import { modals } from '../../src/slack/views/modals.ts'
import { person } from '../domain/person.ts'
import { ID, STATES } from '../slack/cards.ts'
import { createMemoryPostbox } from '../slack/postbox.ts'
import { createLines, SECRETS } from '../slack/world.ts'
import { keys, MINUTE, T0 } from './authorisation-scene.ts'
import { createMemory } from './memory.ts'
import { randomOf } from './scheduler.ts'
import { Violation } from './violation.ts'

const CLICKS = 100
const APPROVERS = ['U0ADA', 'U0SAM', 'U0SAM2', 'U0ONA']
const OTHERS = ['U0WHO', 'U0GUS']
/** When the same signed bytes come again, in milliseconds after they were signed. */
const REPLAYS = [1000, 299_000, 301_000, 86_400_000]
const policy = Policy.parse({
  approvers: { dba: { users: APPROVERS } },
  people: { sam: ['U0SAM', 'U0SAM2'] },
  quorum: { low: 2 },
  selfApproval: 'high',
})
type Click = { body: string; timestamp: string; signature: string; user: string }

/**
 * A hundred clicks at once on one plan, on two bots: by approvers, others, twice, as Slack's retries, forged, too old and from
 * the future; then all of them once more, later. One decision a human, one grant, and nothing more after that.
 */
export async function storm(seed: number): Promise<void> {
  const random = randomOf(seed)
  let now = T0 + 10_000
  const clock = () => now
  const journal = createMemory(clock)
  journal.write(STATES.open!.map((e) => (e.type === 'incident.opened' ? lowRisk(e) : e)))
  const before = (await journal.entries(ID)).length
  const { log } = createLines()
  const postbox = createMemoryPostbox(clock)
  await postbox.write(ID, 'proposal:p1', { channel: 'C0OURS', ts: '1.1', hash: '', attemptedAt: 1 })
  let told = 0
  let ids = 0
  const bots = await Promise.all([0, 1].map(() => bot()))

  async function bot(): Promise<FastifyInstance> {
    const common = { journal, clock, ids: () => `op-${ids++}`, policy }
    const freezer = createFreezer({ ...common, incidentId: (_, n) => `freeze-${n}`, ordinal: () => 1 })
    const handlers = createHandlers({
      ...common,
      bell: { ring: async () => {} },
      locks: {
        acquire: async () => ({ ok: true as const, fresh: [] }),
        release: async () => {},
        began: async () => {},
        crowded: async () => [],
      },
      keys,
      freezer,
      faultsOf: () => ({}),
      onError: () => {},
    })
    const http = createHttpReceiver({ signingSecret: SECRETS.signingSecret, postbox, clock, log })
    const app = new App({
      receiver: http.receiver,
      authorize: async () => ({}),
      logger: slackLogger(log),
      convoStore: false,
    })
    const lookUp = async (user: string) => {
      // Slack takes its time, and not the same for everybody.
      for (let i = random.below(4); i > 0; i--) await new Promise((resolve) => setImmediate(resolve))
      return { ok: true as const, person: personOf(user) }
    }
    const send = { tell: async () => void told++ } as unknown as Send
    listen(app, { handlers, postbox, people: { lookUp }, send, policy, modals, drawHome: async () => {}, log })
    const server = fastify()
    await server.register(http.plugin)
    return server
  }

  const digest = (await journal.load(ID))!.proposals[0]!.digest!
  const press = writePress({ kind: 'decide', verdict: 'approve', incident: ID, proposal: 'p1', digest })
  let serial = 0
  const click = (user: string, at: number, secret = SECRETS.signingSecret): Click => {
    const payload = {
      type: 'block_actions',
      user: { id: user },
      team: { id: 'T1' },
      trigger_id: `t${serial++}`,
      container: { channel_id: 'C0OURS', message_ts: '1.1' },
      actions: [{ ...press, type: 'button', block_id: 'b' }],
    }
    const body = `payload=${encodeURIComponent(JSON.stringify(payload))}`
    const timestamp = String(Math.floor(at / 1000))
    const signature = `v0=${createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex')}`
    return { body, timestamp, signature, user }
  }
  const post = async (c: Click, retry = 0) => {
    const answer = await random.pick(bots).inject({
      method: 'POST',
      url: '/slack/events',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'x-slack-request-timestamp': c.timestamp,
        'x-slack-signature': c.signature,
        ...(retry > 0 ? { 'x-slack-retry-num': String(retry), 'x-slack-retry-reason': 'http_timeout' } : {}),
      },
      payload: c.body,
    })
    return answer.statusCode
  }

  const good: Click[] = []
  const sent: Promise<{ want: 'taken' | 'refused'; status: number }>[] = []
  const go = async (want: 'taken' | 'refused', c: Click, retry = 0) => ({ want, status: await post(c, retry) })
  while (sent.length < CLICKS) {
    const user = random.pick(random.chance(0.7) ? APPROVERS : OTHERS)
    const kind = random.below(8)
    if (kind === 0) sent.push(go('refused', click(user, now, 'guessed')))
    else if (kind === 1) sent.push(go('refused', click(user, now - 301_000)))
    else if (kind === 2) sent.push(go('refused', click(user, now + 302_000)))
    else {
      const c = click(user, now - random.below(299) * 1000)
      good.push(c)
      sent.push(go('taken', c))
      // Slack did not hear the answer in time.
      if (random.chance(0.3)) sent.push(go('taken', c, 1))
    }
  }
  const answers = await Promise.all(sent)
  // 503 is for bytes that another bot has in hand: Slack asks again.
  for (const { want, status } of answers)
    if (want === 'refused' ? status !== 401 : ![200, 503].includes(status))
      throw new Violation(`a click that is to be ${want} was answered with ${status}`)

  const humans = new Set(good.filter((c) => APPROVERS.includes(c.user)).map((c) => c.user.replace('SAM2', 'SAM')))
  const check = async (when: string) => {
    const events = (await journal.entries(ID)).slice(before).map((e) => e.event)
    const decided = events.flatMap((e) =>
      e.type === 'proposal.decided' ? [e.decision.user.replace('SAM2', 'SAM')] : [],
    )
    const wanted = Math.min(2, humans.size)
    if (decided.length !== wanted || new Set(decided).size !== wanted)
      throw new Violation(`${when}: decided by ${decided}, of ${[...humans]}`)
    const grants = events.filter((e) => e.type === 'proposal.granted').length
    if (grants !== (wanted === 2 ? 1 : 0) || events.length !== decided.length + grants)
      throw new Violation(`${when}: ${events.map((e) => e.type)}`)
  }
  await check('the storm')
  // Each press that was taken and decided nothing has told its person why; one that decided shows on the card.
  if (told !== good.length - Math.min(2, humans.size))
    throw new Violation(`${told} of ${good.length} were told why not`)

  for (const later of REPLAYS) {
    now = T0 + 10_000 + later
    for (const c of good) {
      const stale = now / 1000 - Number(c.timestamp) > 300
      const status = await post(c, random.below(3))
      if (stale ? status !== 401 : ![200, 503].includes(status))
        throw new Violation(`a replay after ${later / 1000} s was answered with ${status}`)
    }
    await check(`replays after ${later / MINUTE} min`)
  }
  await Promise.all(bots.map((b) => b.close()))
}

const personOf = (user: string) => person(user, { guest: user === 'U0GUS' })

type Opened = Extract<(typeof STATES)[string][number], { type: 'incident.opened' }>
/** The example's change as one that a press decides on, without a form. */
const lowRisk = (opened: Opened): Opened => ({
  ...opened,
  playbook: opened.playbook && {
    ...opened.playbook,
    steps: opened.playbook.steps.map((s) => (s.call?.risk ? { ...s, call: { ...s.call, risk: 'low' } } : s)),
  },
})
