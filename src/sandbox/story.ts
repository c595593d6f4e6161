import type { startStage } from './stage.ts'

type Stage = Awaited<ReturnType<typeof startStage>>

const CHANNEL = 'C0000DATAON'
const ADA = 'U0000000ADA'
const PATIENCE = 60_000

type Shown = { text: string; ts: string; blocks?: readonly unknown[] | undefined }

/** Plays one story to its end: alert, evidence, plan, approval, run, verification, resolve. Throws where it differs. */
export async function play(stage: Stage): Promise<string[]> {
  const { sandbox } = stage
  const messages = (): Shown[] => (sandbox.state().messages[CHANNEL] ?? []) as Shown[]
  const see = async (what: string, test: (m: Shown) => boolean): Promise<Shown> => {
    await sandbox
      .waitFor(() => messages().some(test), PATIENCE)
      .catch((cause) => {
        const seen = messages().map((m) => `  ${m.text}`)
        throw new Error(`The story differs: ${what} did not come. The thread:\n${seen.join('\n')}`, { cause })
      })
    return messages().find(test)!
  }
  await stage.fire()
  await see('the evidence', (m) => m.text.startsWith('Who blocks whom') && !m.text.includes('looking'))
  const card = await see('the plan', (m) => m.text.startsWith('Waiting for a decision'))
  if ((await stage.sessions()).length !== 3)
    throw new Error('The story differs: something changed before the approval.')
  const pressed = await sandbox.press(ADA, { channel: CHANNEL, ts: card.ts }, 'keyturn:approve')
  if (!pressed.ok) throw new Error(`The story differs: the press was answered with ${pressed.error}`)
  const modal = () => sandbox.state().modals[ADA] as { id?: string; callback_id?: string } | null | undefined
  await sandbox.waitFor(() => modal()?.callback_id === 'keyturn:decide', PATIENCE)
  const reason = { reason: { value: { type: 'plain_text_input', value: 'The loader is hung; its owner agrees' } } }
  const submitted = await sandbox.submit(ADA, String(modal()?.id), reason)
  if (!submitted.ok) throw new Error(`The story differs: the approval was answered with ${JSON.stringify(submitted)}`)
  await see('the outcome', (m) => m.text.startsWith('Succeeded: '))
  const left = await stage.sessions()
  if (left.some((row) => row[2] !== '–')) throw new Error('The story differs: sessions still block each other.')
  await stage.alert('resolved')
  await see('the resolve', (m) => m.text.startsWith('Resolved'))
  await see('the resolved root', (m) => m.text.includes(': resolved.'))
  return messages().map((m) => m.text)
}
