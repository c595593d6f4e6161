import type { Stage } from './stage.ts'

const CHANNEL = 'C0000DATAON'
const ADA = 'U0000000ADA'
const PATIENCE = 60_000

type Shown = {
  text: string
  ts: string
  thread_ts?: string
  blocks?: readonly unknown[]
  metadata?: { event_payload?: { key?: string } }
}

/** One story: which system breaks, why its recovery is approved, and when it counts as mended. */
type Story = { id: string; reason: string; mended: (rows: string[][]) => boolean }
const STORIES: readonly Story[] = [
  {
    id: 'warehouse',
    reason: 'The loader is hung; its owner agrees',
    mended: (rows) => rows.every((r) => r[2] === '–'),
  },
  {
    id: 'lake',
    reason: 'One cut-off line; the producer died',
    mended: (rows) => rows.every(([file, , bad]) => bad === '0' || file?.startsWith('quarantine/')),
  },
  {
    id: 'ledger',
    reason: 'Black Friday; the cost is fine',
    mended: (rows) => rows[0]?.[1] === 'ACTIVE' && rows[0]?.[3] === '20',
  },
]

/**
 * Plays each story to its end: alert, evidence, plan, approval with a reason, run, verification, resolve. Throws where
 * anything differs; else the threads as text.
 */
export async function play(stage: Stage): Promise<string[]> {
  const said: string[] = []
  for (const story of STORIES) said.push(...(await playOne(stage, story)), '')
  return said
}

async function playOne(stage: Stage, { id, reason, mended }: Story): Promise<string[]> {
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
  const holds = (m: Shown, text: string) => JSON.stringify(m.blocks ?? []).includes(text)

  await stage.fire(id)
  const broken = JSON.stringify(await stage.rowsOf(id))
  await see('the evidence', 'evidence:', (m) => holds(m, '"Read "'))
  const card = await see('the plan', 'proposal:', (m) => holds(m, 'keyturn:approve'))
  if (JSON.stringify(await stage.rowsOf(id)) !== broken) throw differs('something changed before the approval')
  const pressed = await sandbox.press(ADA, { channel: CHANNEL, ts: card.ts }, 'keyturn:approve')
  if (!pressed.ok) throw differs(`the press was answered with ${pressed.error}`)
  const modal = () => sandbox.state().modals[ADA] as { id?: string; callback_id?: string } | null | undefined
  await sandbox.waitFor(() => modal()?.callback_id === 'keyturn:decide', PATIENCE)
  const values = { reason: { value: { type: 'plain_text_input', value: reason } } }
  const submitted = await sandbox.submit(ADA, String(modal()?.id), values)
  if (!submitted.ok) throw differs(`the approval was answered with ${JSON.stringify(submitted)}`)
  await see('the outcome', 'outcome:', (m) => m.text.startsWith('Succeeded'))
  if (!mended(await stage.rowsOf(id)))
    throw differs(`the system is not mended: ${JSON.stringify(await stage.rowsOf(id))}`)
  await stage.resolve(id)
  await see('the resolve', 'note:resolved', () => true)
  await see('the resolved root', 'root', (m) => m.text.includes(': resolved'))
  return mine().map((m) => `${m.thread_ts ? '  ' : ''}${m.text}`)
}

const messages = (stage: Stage): Shown[] => (stage.sandbox.state().messages[CHANNEL] ?? []) as Shown[]
