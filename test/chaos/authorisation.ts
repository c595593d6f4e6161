import type { App } from '@slack/bolt'
import type { ModalView } from '@slack/types'
import { digest } from '../../src/domain/plan.ts'
import { approverNames } from '../../src/domain/policy.ts'
import type { Posted } from '../../src/domain/ports.ts'
import { checkGrant } from '../../src/domain/run.ts'
import { createLog } from '../../src/log.ts'
import { createFreezer } from '../../src/pipeline/freezer.ts'
import { createHandlers } from '../../src/pipeline/handlers.ts'
import { type Press, writePress } from '../../src/slack/actions.ts'
import type { LookUp } from '../../src/slack/approvers.ts'
import { listen } from '../../src/slack/interactions.ts'
import type { Send } from '../../src/slack/send.ts'
import { modals } from '../../src/slack/views/modals.ts'
import { ID } from '../slack/cards.ts'
import { type Drawn, draw, drawPolicy, keys, MINUTE, T0 } from './authorisation-scene.ts'
import { createMemory } from './memory.ts'
import * as oracle from './oracle.ts'
import { randomOf } from './scheduler.ts'
import { Violation } from './violation.ts'

const forms = (scene: Drawn): boolean =>
  !['cancel', 'request', 'override', 'skip'].includes(scene.act) && !(scene.act === 'approve' && scene.risk === 'low')

/** What must be in the journal afterwards, and whether the freeze must stand. */
function expected(scene: Drawn): { events: string[]; frozen: boolean } {
  const { act, press, submit, place, frozen } = scene
  if (act === 'freeze') return { events: [], frozen: oracle.freeze(scene, submit) }
  if (act === 'thaw') return { events: [], frozen: oracle.thaw(scene, submit) }
  const deciding = act === 'approve' || act === 'reject' || act === 'narrow'
  const isOn = deciding ? place === 'its message' : place !== 'elsewhere'
  // Where there is no proposal, there is no message of one.
  if (!isOn || (scene.state === 'none' && (deciding || place === 'its message'))) return { events: [], frozen }
  switch (act) {
    case 'approve':
      if (!oracle.mayApprove(scene, press)) return { events: [], frozen }
      return { events: oracle.approve(scene, forms(scene) ? submit : press), frozen }
    case 'reject':
      return { events: oracle.mayReject(scene, press) ? oracle.reject(scene, submit) : [], frozen }
    case 'cancel':
      return { events: oracle.cancel(scene, press), frozen }
    case 'override':
      return { events: oracle.override(scene, press), frozen }
    case 'narrow':
      return { events: press.account.is === 'silent' ? [] : oracle.narrow(scene, submit), frozen }
    case 'skip':
      return { events: oracle.skip(scene, press), frozen }
    case 'request':
      return { events: oracle.request(scene, press), frozen }
    default:
      return { events: press.account.is === 'silent' ? [] : oracle.settle(scene, submit, act), frozen }
  }
}

function pressOf({ act, digest: which }: Drawn, current: string): Press {
  const [incident, proposal] = [ID, 'p1']
  if (act === 'freeze' || act === 'thaw') return { kind: 'freeze', verb: act }
  if (act === 'request') return { kind: 'request', incident, step: 'end' }
  if (act === 'skip') return { kind: 'skip', incident, step: 'end' }
  if (act === 'override')
    return { kind: 'request', incident, step: 'end', override: which === 'current' ? 'month end' : 'Sunday' }
  if (act === 'cancel') return { kind: 'cancel', incident, proposal }
  const hash = which === 'current' ? current : digest('older')
  if (act === 'narrow') return { kind: 'narrow', incident, proposal, digest: hash }
  if (act === 'approve' || act === 'reject') return { kind: 'decide', verdict: act, incident, proposal, digest: hash }
  return { kind: 'settle', choice: act, incident, proposal }
}

const log = createLog({ level: 'silent', strike: (text) => text, destination: { write: () => {} } })
const MESSAGES: Record<string, Posted> = Object.fromEntries(
  ['root', 'proposal:p1', 'evidence:look'].map((key, i) => [
    key,
    { channel: 'C0OURS', ts: `1.${i}`, hash: '', attemptedAt: 1 },
  ]),
)
const PLACES = {
  'its message': { channel_id: 'C0OURS', message_ts: '1.1' },
  'another message of the thread': { channel_id: 'C0OURS', message_ts: '1.0' },
}

/** One press, with the form behind it if there is one, by the real way in from Slack; judged by the oracle. */
export async function authorise(seed: number): Promise<void> {
  const random = randomOf(seed)
  const scene = draw(random, null)
  let now = T0
  const journal = createMemory(() => now)
  journal.write(scene.events)
  const before = (await journal.entries(ID)).length
  const policy = scene.policy
  const common = { journal, clock: () => now, ids: () => `op-${seed}`, policy }
  const freezer = createFreezer({ ...common, incidentId: (_, n) => `freeze-${n}`, ordinal: () => 1 })
  if (scene.frozen) await freezer.freeze({ by: 'terminal', reason: 'release', person: null })
  const bell = { ring: async () => {} }
  const locks = {
    acquire: async () => ({ ok: true as const, fresh: [] }),
    release: async () => {},
    began: async () => {},
    crowded: async () => [],
  }
  const handlers = createHandlers({ ...common, bell, locks, keys, freezer, faultsOf: () => ({}), onError: () => {} })

  let asking = scene.press
  const lookUp = async (): Promise<LookUp> => {
    const { user, is, groups } = asking.account
    if (is === 'silent') return { ok: false, reason: 'lookup_failed' }
    const flags = {
      deleted: is === 'deactivated',
      bot: is === 'bot',
      guest: is === 'guest',
      external: is === 'external',
    }
    return { ok: true, person: { user, name: user, usergroups: groups, ...flags } }
  }
  const visible: string[] = []
  let form: ModalView | null = null
  const send = {
    open: async (_trigger: string, view: ModalView) => {
      form = view
      return { ok: true, value: 'V1' }
    },
    replace: async (_id: string, view: ModalView) => {
      form = view
      visible.push('form')
      return { ok: true, value: 'V1' }
    },
    tell: async () => void visible.push('told'),
  } as unknown as Send
  type Listener = (it: { body: unknown; ack: (answer?: unknown) => Promise<void> }) => Promise<void>
  const heard: { press?: Listener; submit?: Listener } = {}
  const app = {
    action: (pattern: RegExp, listener: Listener) => {
      if (pattern.test('keyturn:approve')) heard.press = listener
    },
    view: (_pattern: RegExp, listener: Listener) => {
      heard.submit = listener
    },
  } as unknown as App
  listen(app, {
    handlers,
    postbox: { read: async () => (scene.state === 'none' ? { root: MESSAGES.root! } : MESSAGES) },
    people: { lookUp },
    send,
    policy,
    modals,
    drawHome: async () => {},
    log,
  })

  const elsewhere = random.pick([
    { channel_id: 'C0OTHER', message_ts: '1.1' },
    { channel_id: 'C0OURS', message_ts: '9.9' },
  ])
  const container = scene.place === 'elsewhere' ? elsewhere : PLACES[scene.place]
  let acks = 0
  const ack = async (answer?: unknown) => {
    acks += 1
    if (answer) visible.push('answered')
  }
  now = scene.press.at
  const current = (await journal.load(ID))?.proposals[0]?.digest ?? digest('none')
  const user = { id: scene.press.account.user }
  await heard.press!({
    body: { user, trigger_id: 't', container, actions: [writePress(pressOf(scene, current))] },
    ack,
  })
  const shown = form as ModalView | null
  if (shown?.callback_id) {
    asking = scene.submit
    now = scene.submit.at
    const values =
      scene.act === 'narrow'
        ? { 'leave:0': { value: { type: 'checkboxes', selected_options: [{ value: '1' }] } } }
        : { reason: { value: { type: 'plain_text_input', value: scene.submit.reason } } }
    const view = { ...shown, private_metadata: shown.private_metadata ?? '', state: { values } }
    await heard.submit!({ body: { user, view }, ack })
    acks -= 1
  }

  const say = () =>
    `${scene.act} by ${scene.press.account.user} (${scene.press.account.is}, then ${scene.submit.account.is}) on ${scene.place}, ${scene.state}, ${scene.risk}, ${JSON.stringify(scene.press.reason)}, +${(scene.press.at - T0) / MINUTE} min, frozen ${scene.frozen}, policy ${JSON.stringify(policy)}, lists ${scene.lists}`
  const written = (await journal.entries(ID)).slice(before).map((e) => e.event.type)
  const wanted = expected(scene)
  if (JSON.stringify(written) !== JSON.stringify(wanted.events))
    throw new Violation(`[${written}] instead of [${wanted.events}]: ${say()}`)
  if (((await freezer.state()) !== null) !== wanted.frozen) throw new Violation(`the freeze is wrong: ${say()}`)
  if (acks !== 1) throw new Violation(`acknowledged ${acks} times: ${say()}`)
  const changed = wanted.events.length > 0 || wanted.frozen !== scene.frozen
  // Asking for what is under way already is no refusal.
  if (!changed && visible.length === 0 && scene.act !== 'request')
    throw new Violation(`nothing is seen of it: ${say()}`)
  if (!written.includes('proposal.granted')) return

  const own = random.chance(0.6) ? policy : drawPolicy(random)
  const given = forms(scene) ? scene.submit : scene.press
  const runAt = given.at + random.pick([0, policy.grantMinutes * MINUTE - 1, policy.grantMinutes * MINUTE, 86_400_000])
  const incident = (await journal.load(ID))!
  const view = {
    publicKey: keys.publicKey,
    policy: own,
    approvers: approverNames(own, scene.playbook),
    risk: scene.risk,
  }
  const runs = checkGrant(incident, 'p1', view, runAt) === null
  const approvals = [...scene.approvals, { ...given, reason: given.reason.trim() }]
  if (runs !== oracle.mayRun(scene, approvals, own, given.at, runAt))
    throw new Violation(`the worker ${runs ? 'runs' : 'does not run'} it, with ${JSON.stringify(own)}: ${say()}`)
}
