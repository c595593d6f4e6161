import type { Stage } from './stage.ts'

const CHANNEL = 'C0000DATAON'
const ONA = 'U0000ONCALL'
const GUS = 'U0000000GUS'
const ADA = 'U0000000ADA'
const SAM = 'U0000000SAM'
const PATIENCE = 60_000

/** What a block is marked with, whatever its words are. */
const holds = (m: Shown, mark: string) => JSON.stringify(m.blocks ?? []).includes(mark)
const SUCCESS = '"name":"white_check_mark"'

type Modal = { id: string; hash: string; callback_id: string; submit?: unknown }
type Shown = {
  text: string
  ts: string
  thread_ts?: string
  blocks?: readonly unknown[]
  metadata?: { event_payload?: { key?: string } }
}

/** One story: which system breaks, who approves its recovery and why, and when it counts as mended. */
type Story = { id: string; approver: string; reason: string; mended: (rows: string[][]) => boolean }
const STORIES: readonly Story[] = [
  {
    id: 'warehouse',
    approver: ADA,
    reason: 'The loader is hung; its owner agrees',
    mended: (rows) => rows.every((r) => r[2] === '–'),
  },
  {
    id: 'lake',
    approver: SAM,
    reason: 'One cut-off line; the producer died',
    mended: (rows) => rows.every(([file, , bad]) => bad === '0' || file?.startsWith('quarantine/')),
  },
  {
    id: 'ledger',
    approver: ADA,
    reason: 'Black Friday; the cost is fine',
    mended: (rows) => rows[0]?.[1] === 'ACTIVE' && rows[0]?.[3] === '20',
  },
]

/**
 * Plays each story to its end: alert, evidence, the on-call's word, a guest who is refused, an approval with a reason,
 * run, verification, resolve. Throws where anything differs; else the threads as text.
 */
export async function play(stage: Stage): Promise<string[]> {
  const said: string[] = []
  for (const story of STORIES) said.push(...(await playOne(stage, story)), '')
  return said
}

async function playOne(stage: Stage, { id, approver, reason, mended }: Story): Promise<string[]> {
  const { sandbox } = stage
  const known = new Set(messages(stage).map((m) => m.ts))
  const mine = () => messages(stage).filter((m) => !known.has(m.ts))
  const differs = (what: string, cause?: unknown) =>
    new Error(
      `The story of ${id} differs: ${what}. The thread:\n${mine()
        .map((m) => `  ${m.text}`)
        .join('\n')}`,
      { cause },
    )
  const see = async (what: string, key: string, test: (m: Shown) => boolean): Promise<Shown> => {
    const is = (m: Shown) => m.metadata?.event_payload?.key?.startsWith(key) === true && test(m)
    await sandbox
      .waitFor(() => mine().some(is), PATIENCE)
      .catch((cause) => {
        throw differs(`${what} did not come`, cause)
      })
    return mine().find(is)!
  }
  /** Presses approve; the modal that takes the place of the one that says to wait. */
  const press = async (who: string, card: Shown): Promise<Modal> => {
    const modal = () => sandbox.state().modals[who] as Modal | null | undefined
    const seen = new Set<string>()
    const answered = sandbox.waitFor(() => seen.add(modal()?.hash ?? '').size > (seen.has('') ? 2 : 1), PATIENCE)
    const pressed = await sandbox.press(who, { channel: CHANNEL, ts: card.ts }, 'keyturn:approve')
    if (!pressed.ok) throw differs(`the press was answered with ${pressed.error}`)
    await answered.catch((cause) => {
      throw differs(`no modal answered ${who}`, cause)
    })
    return modal()!
  }

  await stage.fire(id)
  const broken = JSON.stringify(await stage.rowsOf(id))
  await see('the evidence', 'evidence:', (m) => holds(m, 'keyturn:request'))
  const card = await see('the plan', 'proposal:', (m) => holds(m, 'keyturn:approve'))
  sandbox.say(ONA, CHANNEL, 'I look at it; who approves?', card.thread_ts)
  const refusal = await press(GUS, card)
  if (refusal.callback_id === 'keyturn:decide' || refusal.submit) throw differs('a guest was let in')
  await sandbox.closeView(GUS, refusal.id)
  if (JSON.stringify(await stage.rowsOf(id)) !== broken) throw differs('something changed before the approval')
  const form = await press(approver, card)
  if (form.callback_id !== 'keyturn:decide') throw differs(`${approver} was not asked for a reason`)
  const values = { reason: { value: { type: 'plain_text_input', value: reason } } }
  const submitted = await sandbox.submit(approver, form.id, values)
  if (!submitted.ok) throw differs(`the approval was answered with ${JSON.stringify(submitted)}`)
  await see('the outcome', 'outcome:', (m) => holds(m, SUCCESS))
  if (!mended(await stage.rowsOf(id)))
    throw differs(`the system is not mended: ${JSON.stringify(await stage.rowsOf(id))}`)
  await stage.resolve(id)
  await see('the resolve', 'note:resolved', () => true)
  await see('the resolved root', 'root', (m) => holds(m, SUCCESS))
  return mine().map((m) => `${m.thread_ts ? '  ' : ''}${m.text}`)
}

const messages = (stage: Stage): Shown[] => (stage.sandbox.state().messages[CHANNEL] ?? []) as Shown[]
