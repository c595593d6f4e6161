import type { InputBlock, KnownBlock, ModalView } from '@slack/types'
import { proposalOf, riskOf, stepOf } from '../../domain/incident.ts'
import { shortDigest } from '../../domain/plan.ts'
import type { Field } from '../../domain/playbook.ts'
import { CALLBACKS, CHECK_BLOCK, type ModalState, paramBlock, REASON_BLOCK, VALUE, writeModal } from '../actions.ts'
import type { Modals } from '../interactions.ts'
import { cut, exact, literal, plain } from '../text.ts'
import { bold, box, facts, fixed, lines, said, warning } from './blocks.ts'

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

const NAMES = 12
const WARNINGS = 3
/** Slack takes ten boxes in a block, and a hundred blocks. */
const BOXES = 10
const MOST = 300

/** The modals; what a person decides on is shown once more. */
export const modals: Modals = {
  loading: () => modal('One moment', [said('Looking…')]),
  notice: (text) => modal('Keyturn', [said(text)]),
  decide(incident, state, needsReason) {
    const p = proposalOf(incident, state.proposal)
    const approve = state.verdict === 'approve'
    const environment = p?.subject?.environment ?? 'unknown'
    const { targets = [], warnings = [] } = p?.subject?.plan ?? {}
    const names = targets.slice(0, NAMES).map((t) => cut(exact(t.name), 150))
    const more = targets.length > NAMES ? [`… and ${targets.length - NAMES} more`] : []
    return modal(
      approve ? 'Approve' : 'Reject',
      [
        approve
          ? box(p && riskOf(incident, p) === 'high' ? 'warning' : 'info', `This will run in ${environment}.`)
          : box('info', 'Nothing will run.'),
        lines([bold(p?.subject?.plan.summary ?? '')]),
        fixed([...names, ...more].join('\n')),
        ...(approve ? warnings.slice(0, WARNINGS).map((w) => warning(cut(w, 300))) : []),
        facts([
          ['Step', stepOf(incident, p?.step ?? '')?.title ?? ''],
          ['Command', literal(p?.subject?.command.id ?? '', { code: true })],
          ['Plan', literal(shortDigest(state.digest), { code: true })],
        ]),
        reason('Why?', !needsReason),
      ],
      state,
      approve ? `Approve in ${environment}` : 'Reject',
    )
  },
  params: (incident, state, fields) =>
    modal(
      'Parameters',
      [said(stepOf(incident, state.step)?.title ?? state.step), ...fields.map(input)],
      state,
      'Go on',
    ),
  narrow(incident, state) {
    const names = proposalOf(incident, state.proposal)?.subject?.plan.leaveOut?.names ?? []
    const boxes = Array.from({ length: Math.ceil(Math.min(names.length, MOST) / BOXES) }, (_, block): InputBlock => {
      const from = block * BOXES
      const options = names
        .slice(from, from + BOXES)
        .map((name, i) => ({ text: plain(exact(name), 75), value: String(from + i) }))
      const element = { type: 'checkboxes' as const, action_id: VALUE, options }
      const label = plain(`${from + 1} to ${from + options.length} of ${names.length}`, 150)
      return { type: 'input', block_id: `${CHECK_BLOCK}${block}`, label, optional: true, element }
    })
    const rest = names.length > MOST ? [said(`${names.length - MOST} more are not listed here.`)] : []
    return modal(
      'Leave some out',
      [
        said('What you check stays as it is. A new plan is made for the rest, and needs its own decision.'),
        ...boxes,
        ...rest,
      ],
      state,
      'Plan the rest',
    )
  },
  freeze: (state) =>
    state.verb === 'freeze'
      ? modal(
          'Freeze everything',
          [
            box('warning', 'Nothing starts any more, in no incident, and what runs is stopped.'),
            said('A step under way may still land. Everybody sees the freeze, your name and the reason.'),
            reason('Why?'),
          ],
          state,
          'Freeze everything',
        )
      : modal(
          'Lift the freeze',
          [said('Plans can be approved and run again.'), reason('Why is it safe?')],
          state,
          'Lift it',
        ),
  settle(incident, state) {
    const says = { done: 'It is done', resume: 'Resume', abandon: 'Abandon' }[state.choice]
    const meaning = {
      done: 'You have looked, and the change is there. Nothing more runs, and the target is free again.',
      resume: 'A new plan is made for what is not done yet. It needs an approval of its own before anything runs.',
      abandon: 'Nothing more runs, and the target is free again, as it is now.',
    }[state.choice]
    const p = proposalOf(incident, state.proposal)
    const shown = [bold(p?.subject?.plan.summary ?? '')]
    return modal(says, [lines(shown), said(meaning), reason('What did you see?')], state, says)
  },
}
