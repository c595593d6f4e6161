import type { HomeView, InputBlock, KnownBlock, ModalView } from '@slack/types'
import { type Incident, proposalOf, stepOf } from '../../domain/incident.ts'
import { shortDigest } from '../../domain/plan.ts'
import type { Field } from '../../domain/playbook.ts'
import { CALLBACKS, type ModalState, paramBlock, REASON_BLOCK, VALUE, writeModal } from '../actions.ts'
import type { Modals } from '../interactions.ts'
import { status } from '../render.ts'
import { plain } from '../text.ts'
import { facts, header, said } from './blocks.ts'

const modal = (title: string, blocks: KnownBlock[], state?: ModalState, submit?: string): ModalView => ({
  type: 'modal',
  title: plain(title, 24),
  close: plain('Close', 24),
  blocks,
  ...(state ? { callback_id: CALLBACKS[state.kind], private_metadata: writeModal(state) } : {}),
  ...(submit ? { submit: plain(submit, 24) } : {}),
})

const reason = (label: string, optional = false): InputBlock => ({
  type: 'input',
  block_id: REASON_BLOCK,
  label: plain(label, 150),
  optional,
  element: { type: 'plain_text_input', action_id: VALUE, multiline: true, max_length: 500 },
})

function input(field: Field): InputBlock {
  const element: InputBlock['element'] =
    field.type === 'choice' || field.type === 'boolean'
      ? {
          type: 'static_select',
          action_id: VALUE,
          options: (field.type === 'boolean' ? ['true', 'false'] : field.options)
            .slice(0, 100)
            .map((o) => ({ text: plain(o, 75), value: o.slice(0, 150) })),
        }
      : { type: 'plain_text_input', action_id: VALUE, multiline: field.type === 'list', max_length: 1000 }
  return { type: 'input', block_id: paramBlock(field), label: plain(field.label, 150), element }
}

/** The modals; what a person decides on is shown once more. */
export const modals: Modals = {
  loading: () => modal('One moment', [said('Looking…')]),
  notice: (text) => modal('Keyturn', [said(text)]),
  decide(incident, state) {
    const p = proposalOf(incident, state.proposal)
    const approve = state.verdict === 'approve'
    const shown: [string, string][] = [
      ['Step', stepOf(incident, p?.step ?? '')?.title ?? ''],
      ['Command', p?.subject?.command.id ?? ''],
      ['Environment', p?.subject?.environment ?? ''],
      ['Targets', String(p?.subject?.plan.targets.length ?? 0)],
      ['Plan', shortDigest(state.digest)],
    ]
    return modal(
      approve ? 'Approve' : 'Reject',
      [said(p?.subject?.plan.summary ?? ''), facts(shown), reason('Why?')],
      state,
      approve ? 'Approve' : 'Reject',
    )
  },
  params: (incident, state, fields) =>
    modal(
      'Parameters',
      [said(stepOf(incident, state.step)?.title ?? state.step), ...fields.map(input)],
      state,
      'Go on',
    ),
  settle(_incident, state) {
    const says = { done: 'It is done', resume: 'Resume', abandon: 'Abandon' }[state.choice]
    return modal(says, [said('The end of this run is not known. What did you see?'), reason('Why?')], state, says)
  },
}

/** The Home tab: the open incidents. */
export function home(incidents: readonly Incident[]): HomeView {
  const rows = incidents.slice(0, 40).map((i) => said(`${i.title}: ${status(i).words}`, 500))
  return { type: 'home', blocks: [header('Open incidents'), ...(rows.length > 0 ? rows : [said('None.')])] }
}
