import type { Block, KnownBlock, RichTextBlock, RichTextElement } from '@slack/types'

const mrkdwn = (text: string) => ({ type: 'mrkdwn' as const, text })
const plain = (text: string) => ({ type: 'plain_text' as const, text })
const rich = (text: string) => ({
  type: 'rich_text' as const,
  elements: [{ type: 'rich_text_section' as const, elements: [{ type: 'text' as const, text }] }],
})
/** What a message has instead of a box: a bar, a sign and a bold word. */
const notice = (name: string, word: string, ...rest: (string | RichTextElement)[]): RichTextBlock => ({
  type: 'rich_text',
  elements: [
    {
      type: 'rich_text_quote',
      elements: [
        { type: 'emoji', name },
        { type: 'text', text: ` ${word}`, style: { bold: true } },
        ...rest.map((one): RichTextElement => (typeof one === 'string' ? { type: 'text', text: one } : one)),
      ],
    },
  ],
})
const raw = (text: string) => ({ type: 'raw_text' as const, text })

/** The root message of an incident: the state at a glance. */
export const ROOT: KnownBlock[] = [
  { type: 'header', text: plain('Orders database: sessions blocked for 4 minutes') },
  notice('red_circle', 'Firing', ' · severity critical · PostgresBlockedSessions'),
  {
    type: 'section',
    fields: [
      mrkdwn('*Environment*\nproduction'),
      mrkdwn('*Status*\nWaiting for a decision'),
      mrkdwn('*Owner*\n<!subteam^S0000DATA>'),
      mrkdwn('*Alerts*\n3 firing'),
    ],
  },
  {
    type: 'context',
    elements: [
      mrkdwn(
        'Opened <!date^1763690000^{time}|02:14> · <https://example.com/playbooks/blocked|Playbook: blocked sessions>',
      ),
    ],
  },
]

/** Evidence: a table and the output of a query. */
export const EVIDENCE: (KnownBlock | Block)[] = [
  { type: 'section', text: mrkdwn('*Evidence* · who blocks whom, from `postgres.blocking-sessions`') },
  {
    type: 'table',
    rows: [
      [raw('pid'), raw('user'), raw('state'), raw('blocks'), raw('for')],
      [raw('48121'), raw('etl_writer'), raw('idle in transaction'), raw('3'), raw('4 min 12 s')],
      [raw('48190'), raw('orders_api'), raw('active (Lock)'), raw('0'), raw('3 min 58 s')],
    ],
  },
  {
    type: 'section',
    text: mrkdwn(
      "Last statement of *48121*:\n```UPDATE orders SET status = 'paid'\n WHERE id IN (SELECT id FROM staging)```",
    ),
  },
]

/** The card of a proposal with its buttons. */
export const PROPOSAL: KnownBlock[] = [
  {
    type: 'markdown',
    text: '**Proposal 1: terminate the session at the root of the tree**\n\nEnds `pid 48121` and nothing else. The three sessions behind it go on.\n\n| what | value |\n| --- | --- |\n| target | `orders-primary`, pid 48121 |\n| risk | medium, reversible: no |\n| plan | `sha256:9f2c41d0` |',
  },
  {
    type: 'actions',
    block_id: 'decide',
    elements: [
      { type: 'button', action_id: 'approve', value: 'p1', style: 'primary', text: plain('Approve in production') },
      { type: 'button', action_id: 'reject', value: 'p1', style: 'danger', text: plain('Reject…') },
      { type: 'button', action_id: 'plan', value: 'p1', text: plain('Full plan') },
    ],
  },
  { type: 'context', elements: [mrkdwn('Needs 1 approval by <!subteam^S0000DATA> · expires in 30 minutes')] },
]

/** A run under way. */
export const RUN: (KnownBlock | Block)[] = [
  {
    type: 'plan',
    title: 'Running: terminate the session at the root',
    tasks: [
      {
        type: 'task_card',
        task_id: 'a',
        title: 'Check that the plan is still true',
        status: 'complete',
        output: rich('Same digest, sha256:9f2c41d0'),
      },
      {
        type: 'task_card',
        task_id: 'b',
        title: 'Terminate pid 48121',
        status: 'in_progress',
        details: rich('Waiting for the session to end, 2 s'),
      },
      { type: 'task_card', task_id: 'c', title: 'Verify that nothing is blocked', status: 'pending' },
    ],
  },
]

/** The end of it. */
export const OUTCOME: KnownBlock[] = [
  notice('white_check_mark', 'Succeeded.', ' No session is blocked any more. Approved by ', {
    type: 'user',
    user_id: 'U0000000ADA',
  }),
]
