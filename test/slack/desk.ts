import { generateKeyPairSync, randomUUID } from 'node:crypto'
import type { ModalView } from '@slack/types'
import fastify from 'fastify'
import type { Risk } from '../../src/domain/command.ts'
import { type Incident, proposalOf } from '../../src/domain/incident.ts'
import { digest, type Subject } from '../../src/domain/plan.ts'
import type { Field, Playbook } from '../../src/domain/playbook.ts'
import { Policy } from '../../src/domain/policy.ts'
import { createFreezer } from '../../src/pipeline/freezer.ts'
import { createHandlers } from '../../src/pipeline/handlers.ts'
import { createSandboxSlack, type SandboxOptions } from '../../src/sandbox/slack/server.ts'
import {
  CALLBACKS,
  CHECK_BLOCK,
  paramBlock,
  REASON_BLOCK,
  VALUE,
  writeModal,
  writePress,
} from '../../src/slack/actions.ts'
import { createSlackEdge, type Views } from '../../src/slack/app.ts'
import type { Modals } from '../../src/slack/interactions.ts'
import type { Drawn } from '../../src/slack/show.ts'
import { home } from '../../src/slack/views/home.ts'
import { createMemoryPostbox } from './postbox.ts'
import { ADA, createLines, createMemoryJournal, DATA, ONA, opened, SAM, SECRETS } from './world.ts'

const plain = (text: string) => ({ type: 'plain_text' as const, text })
const modal = (
  title: string,
  blocks: ModalView['blocks'],
  form?: { callback_id: string; private_metadata: string },
): ModalView => ({
  type: 'modal',
  title: plain(title),
  blocks,
  ...(form ? { ...form, submit: plain('Send') } : {}),
})
const input = (block_id: string, label: string): ModalView['blocks'][number] => ({
  type: 'input',
  block_id,
  label: plain(label),
  optional: true,
  element: { type: 'plain_text_input', action_id: VALUE },
})
const form = (state: Parameters<typeof writeModal>[0]) => ({
  callback_id: CALLBACKS[state.kind],
  private_metadata: writeModal(state),
})

const modals: Modals = {
  loading: () => modal('One moment', [{ type: 'section', text: plain('…') }]),
  notice: (text) => modal('Not now', [{ type: 'section', text: plain(text) }]),
  decide: (_, state) => modal('Decide', [input(REASON_BLOCK, 'Why')], form(state)),
  params: (_, state, fields) =>
    modal(
      'Parameters',
      fields.map((f) => input(paramBlock(f), f.label)),
      form(state),
    ),
  narrow: (_, state) => modal('Leave out', [input(CHECK_BLOCK, 'Which')], form(state)),
  settle: (_, state) => modal('Settle', [input(REASON_BLOCK, 'Why')], form(state)),
  freeze: (state) => modal('Freeze', [input(REASON_BLOCK, 'Why')], form(state)),
}

const link = {
  type: 'actions' as const,
  block_id: 'link',
  elements: [{ type: 'button' as const, text: plain('Playbook'), action_id: 'playbook', url: 'https://example.com/' }],
}

/** Buttons for everything, in the root; a card with its decision, a proposal. */
const render = (incident: Incident): Drawn[] => {
  const button = (press: Parameters<typeof writePress>[0], block_id: string) => ({
    type: 'actions' as const,
    block_id,
    elements: [{ type: 'button' as const, text: plain(block_id), ...writePress(press) }],
  })
  const i = incident.id
  const requests = (incident.playbook?.steps ?? []).map((s) =>
    button({ kind: 'request', incident: i, step: s.id }, `ask ${s.id}`),
  )
  return [
    { key: 'root', kind: 'message', thread: false, text: incident.title, blocks: [...requests, link] },
    ...incident.proposals.map((p): Drawn => {
      const decide = { kind: 'decide', incident: i, proposal: p.id, digest: p.digest ?? '-' } as const
      const blocks = [
        button({ ...decide, verdict: 'approve' }, 'approve'),
        button({ ...decide, verdict: 'reject' }, 'reject'),
        button({ kind: 'cancel', incident: i, proposal: p.id }, 'cancel'),
        button({ kind: 'settle', choice: 'done', incident: i, proposal: p.id }, 'done'),
      ]
      return { key: `proposal:${p.id}`, kind: 'message', thread: true, text: `${p.step}: ${p.status}`, blocks }
    }),
  ]
}
const views: Views = {
  render,
  modals,
  home,
}

const field: Field = { name: 'days', label: 'Days', type: 'number', options: [], required: true }
const call = (risk: Risk, fields: Field[] = []) =>
  ({ command: `test.${risk}`, summary: 'Do it', effect: 'once', risk, params: {}, fields }) as const
const step = (id: string, line: number, made: ReturnType<typeof call>) => ({
  id,
  title: id,
  line,
  prose: '',
  call: { ...made, params: {} },
})
const playbook: Playbook = {
  id: 'test/playbook',
  hash: 'sha256:1',
  title: 'Test',
  match: {},
  groupBy: [],
  owner: '',
  approvers: ['data'],
  severity: null,
  channel: null,
  intro: '',
  steps: [step('low', 1, call('low')), step('medium', 2, call('medium')), step('ask', 3, call('low', [field]))],
}
const DATA_LIST = { users: [ADA], usergroups: ['S0000DATA'] }

/** A sandbox, an edge with real handlers on stores in memory, and an incident `i1` with a plan to decide on. */
export async function createDesk(
  options: {
    mode?: 'http' | 'socket'
    step?: string
    sandbox?: Partial<SandboxOptions>
    approvers?: object
    team?: string
  } = {},
) {
  const { mode = 'http' } = options
  const policy = Policy.parse({ approvers: { data: DATA_LIST, ...options.approvers } })
  const closers: (() => Promise<unknown>)[] = []
  const sandbox = await createSandboxSlack({ ...SECRETS, ...options.sandbox })
  closers.push(sandbox.close)
  const clock = Date.now
  const journal = createMemoryJournal(clock)
  // The pace of channels is tested with virtual time.
  const postbox = Object.assign(createMemoryPostbox(clock), { pace: async () => 0 })
  const { log, lines, has } = createLines()
  const freezer = createFreezer({
    journal: journal as never,
    clock,
    ids: randomUUID,
    policy,
    incidentId: (_, n) => `freeze-${n}`,
    ordinal: (id) => Number(id.split('-')[1]),
  })
  const handlers = createHandlers({
    freezer,
    journal: journal as never,
    bell: { ring: async () => {} },
    locks: {
      acquire: async () => ({ ok: true, fresh: [] }),
      release: async () => {},
      began: async () => {},
      crowded: async () => [],
    },
    clock,
    ids: randomUUID,
    policy,
    keys: generateKeyPairSync('ed25519'),
    faultsOf: (_, params): Record<string, string> => (params.days === 99 ? { days: 'at most 30' } : {}),
    onError: () => {},
  })
  const edge = createSlackEdge({
    settings: {
      mode,
      botTokenFrom: 'botToken',
      signingSecretFrom: 'signingSecret',
      appTokenFrom: 'appToken',
      apiUrl: sandbox.apiUrl,
      team: options.team,
      channels: { default: DATA },
      owners: {},
      ownerChannels: {},
    },
    secret: (name) => SECRETS[name as keyof typeof SECRETS],
    handlers,
    journal,
    postbox,
    pulse: { read: async () => null },
    policy,
    playbookUrl: () => null,
    views,
    clock,
    log,
  })
  if (edge.plugin) {
    const server = fastify()
    await server.register(edge.plugin)
    sandbox.setRequestUrl(`${await server.listen({ host: '127.0.0.1', port: 0 })}/slack/events`)
    closers.push(() => server.close())
  }
  await edge.start()
  closers.push(edge.stop)
  if (mode === 'socket')
    await sandbox.waitFor(() => sandbox.log.some((e) => e.kind === 'socket' && e.name === 'connected'))

  const chosen = options.step ?? 'low'
  const subject: Subject = {
    incident: 'i1',
    proposal: 'p1',
    playbook: { id: playbook.id, hash: playbook.hash },
    step: chosen,
    command: { id: `test.${chosen}`, version: '1' },
    params: {},
    environment: 'test',
    plan: {
      summary: 'Does it',
      targets: [{ id: 't', name: 't', fingerprint: '1', details: {} }],
      steps: [{ id: 's', title: 's', detail: '' }],
      warnings: [],
      data: {},
    },
    requestedBy: null,
    requestedAt: new Date(0).toISOString(),
    resumes: null,
  }
  journal.add(
    'i1',
    { ...opened(), playbook } as never,
    { type: 'proposal.requested', proposal: 'p1', step: chosen, params: {}, by: null, resumes: null },
    { type: 'plan.made', proposal: 'p1', subject, digest: digest(subject) },
  )
  const at = (key: string) => ({ channel: DATA, ts: postbox.posted.get('i1')![key]!.ts! })
  await sandbox.waitFor(() => (sandbox.state().messages[DATA] ?? []).some((m) => m.text === `${chosen}: open`))
  await settled()

  /** Until the edge has noted what it posted. */
  async function settled(): Promise<void> {
    while (!(await edge.isShown('i1'))) await new Promise((resolve) => setImmediate(resolve))
  }

  return {
    sandbox,
    edge,
    freezer,
    journal,
    postbox,
    log,
    lines,
    has,
    at,
    settled,
    card: () => at('proposal:p1'),
    proposal: async () => proposalOf((await journal.load('i1'))!, 'p1')!,
    incident: async () => (await journal.load('i1'))!,
    press: (user: string, action: string, where = at('proposal:p1'), block?: string) =>
      sandbox.press(user, where, action, block ? { block_id: block } : {}),
    /** The modal that a person has in front of them, once it is no longer loading. */
    async modal(user: string) {
      const ready = (state: ReturnType<typeof sandbox.state>) => {
        const view = state.modals[user] as { title?: { text: string } } | null
        return view != null && view.title?.text !== 'One moment'
      }
      const state = await sandbox.waitFor(ready)
      return state.modals[user] as unknown as ModalView & { id: string }
    },
    reason: (text: string) => ({ [REASON_BLOCK]: { [VALUE]: { type: 'plain_text_input', value: text } } }),
    days: (text: string) => ({ [paramBlock(field)]: { [VALUE]: { type: 'plain_text_input', value: text } } }),
    /** What only this person sees. */
    whispers: (user: string) =>
      (sandbox.state().messages[DATA] ?? []).filter((m) => m.ephemeral_to === user).map((m) => [m.text, m.thread_ts]),
    async close() {
      for (const close of closers.reverse()) await close()
    },
  }
}
export type Desk = Awaited<ReturnType<typeof createDesk>>
export { ADA, DATA, ONA, SAM }
