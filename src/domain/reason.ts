/** Why an intent is refused. The code goes to the log and the journal, the sentence to the person. */
const SENTENCES = {
  already_decided: 'This proposal has been decided already.',
  approver_unknown: 'Nobody may approve this: no approver is configured for this playbook.',
  cancel_already_requested: 'Somebody has asked to cancel this run already.',
  decision_forged: 'The decision on record was not signed by the bot. Nothing will run; tell your security team.',
  digest_changed: 'The plan has changed since this card was drawn. Look at the new plan and decide again.',
  frozen: 'Everything is frozen: nothing may start until somebody lifts the freeze.',
  frozen_since:
    'Everything was frozen after this was approved, so the approval no longer counts. Ask for the step again.',
  grant_expired: 'The approval waited too long for a worker and has lapsed. Ask for a new plan.',
  grant_forged: 'The approval was not signed by the bot. Nothing has run; tell your security team.',
  grant_used: 'This approval has been used already.',
  incident_resolved: 'The alert has resolved, so there is nothing to decide any more.',
  leaves_nothing: 'Choose at least one part to leave out, and at least one to keep.',
  lookup_failed: 'Slack could not say who you are just now, so nothing was decided. Press again in a moment.',
  lookup_limited:
    'Slack limits how often it may be asked who is in a group, so nothing was decided. Press again in a minute.',
  lookup_refused:
    'Slack refuses to say who you are or who is in a group, so nothing was decided. Pressing again does not help: tell whoever runs Keyturn.',
  message_unsettled: 'Slack is still being asked about this message, so nothing was decided. Press again in a moment.',
  no_key_at_terminal: 'The policy names no key for this person: see policy.breakGlass in keyturn.yaml.',
  no_such_incident: 'This incident is not known (any more).',
  no_such_proposal: 'This proposal does not exist.',
  no_such_step: 'The playbook has no such step.',
  not_frozen: 'Nothing is frozen.',
  not_an_approver: 'You are not an approver here.',
  not_in_window: 'The last plan of this step was not refused for that freeze window.',
  not_offered_yet: 'The step before this one has not run yet.',
  not_open: 'This proposal is not waiting for a decision.',
  not_running: 'This run is not going on.',
  not_skippable: 'This step cannot be left out now: it is not the next one, or nothing follows it.',
  not_unknown: 'The outcome of this run is not in question.',
  organisation_unclear:
    'Nothing was decided: Keyturn is installed for a whole organisation, and slack.team in keyturn.yaml does not name the workspace whose people decide. Tell whoever runs Keyturn.',
  params_invalid: 'The parameters do not fit the command.',
  person_deactivated: 'Your account is deactivated.',
  person_is_bot: 'A bot cannot decide.',
  person_is_external: 'People of other organisations cannot decide.',
  person_is_guest: 'Guests cannot decide.',
  playbook_changed: 'The playbook has changed since the incident opened. Ask for a new plan.',
  proposal_expired: 'Nobody decided in time, so this proposal has expired. Ask for a new plan.',
  quorum_short: 'The approval does not carry enough different people for this risk.',
  reason_required: 'Say in a few words why: this risk needs a reason.',
  self_approval: 'You asked for this plan, so somebody else has to approve it.',
  same_human: 'You have approved already; the second approval must come from somebody else.',
  step_not_in_plan: 'The command tried a step that is not in the approved plan.',
  step_prose: 'This step is prose: there is nothing to run.',
  target_locked: 'Another run holds this target.',
  wrong_key_at_terminal: 'This is not the key that the policy names for this person.',
  wrong_message: 'This button is out of date: another message has taken its place. Use the newest one in the thread.',
} as const

export type Reason = keyof typeof SENTENCES

/** The one sentence that a person reads for a reason code. */
export const sentence = (reason: Reason): string => SENTENCES[reason]
