import { defineFacts } from '../../harness/facts.ts'

const read = '2026-11-28'
const SPEC =
  'https://github.com/PagerDuty/api-schema/blob/91a06fb3c64b0ab2b2bd6c485d12b327dfb55c18/reference/REST/openapiv3.json'

export const facts = defineFacts({
  of: 'PagerDuty’s REST API v2',
  enforcedBy: ['test/commands/pagerduty/server.ts'],
  facts: [
    {
      says: 'Above the limit (960 requests a minute and key) it answers 429; ratelimit-reset says how many seconds to wait.',
      source: 'https://support.pagerduty.com/main/docs/rest-api-rate-limits',
      read,
    },
    {
      says: 'The version is asked for by Accept: application/vnd.pagerduty+json;version=2, the token is sent as Token token=….',
      source: `${SPEC}, header Accept and securitySchemes`,
      read,
    },
    {
      says: 'assignments is empty once an incident is resolved; resolved_at is null before.',
      source: `${SPEC}, Incident`,
      read,
    },
    {
      says: 'A change carries From: the email address of a valid user of the account.',
      source: `${SPEC}, header From of PUT /incidents/{id}`,
      read,
    },
    {
      says: 'A key that is read-only gets 403 for anything but GET.',
      source: 'https://clojars.org/pager-duty-api (the text of PagerDuty’s OpenAPI)',
      read,
    },
  ],
  unchecked: [
    {
      says: 'The codes and words of 400: 1008 Requester User Not Found, 2001 Invalid Input Provided, Incident Already Resolved.',
      why: 'the specification has 2001 as an example only, and names no 400 for a change of an incident; nothing of ours depends on the words',
    },
    {
      says: 'priority, assignments and last_status_change_at can be null.',
      why: 'the specification does not say it, and no account was at hand; null is taken anyway',
    },
  ],
})
