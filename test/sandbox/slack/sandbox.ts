import { LogLevel, WebClient } from '@slack/web-api'
import { createSandboxSlack, type SandboxOptions } from '../../../src/sandbox/slack/server.ts'

/** Secrets of the sandboxes in these tests. */
export const SECRETS = { signingSecret: 'signing-secret', botToken: 'xoxb-sandbox', appToken: 'xapp-sandbox' }
export const [DATA, ONA, ADA, SAM] = ['C0000DATAON', 'U0000ONCALL', 'U0000000ADA', 'U0000000SAM']

const nothing = () => {}
const QUIET = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  setLevel: nothing,
  getLevel: () => LogLevel.ERROR,
  setName: nothing,
}

/** A sandbox and the real client pointed at it, without the client's own retries. */
export async function startSandbox(options: Partial<SandboxOptions> = {}) {
  const sandbox = await createSandboxSlack({ ...SECRETS, ...options })
  const web = new WebClient(options.botToken ?? SECRETS.botToken, {
    slackApiUrl: sandbox.apiUrl,
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    // Refusals are what these tests are about; the client would print each.
    logger: QUIET,
  })
  return { sandbox, web }
}

/** A section with one button. */
export const button = (action_id = 'approve', value = 'p1') => [
  { type: 'section', text: { type: 'mrkdwn', text: 'Restart it?' } },
  {
    type: 'actions',
    block_id: 'decide',
    elements: [{ type: 'button', action_id, value, text: { type: 'plain_text', text: 'Approve' }, style: 'primary' }],
  },
]

/** What Slack answered to a call that it refused. */
export async function refusal(call: Promise<unknown>): Promise<{ error: string; messages?: string[] }> {
  try {
    await call
  } catch (cause) {
    const { data } = cause as { data?: { error: string; response_metadata?: { messages?: string[] } } }
    if (!data) throw cause
    return { error: data.error, messages: data.response_metadata?.messages }
  }
  throw new Error('the call was not refused')
}
