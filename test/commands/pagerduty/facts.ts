import { defineFacts } from '../../harness/facts.ts'

const read = '2026-11-28'

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
      says: 'A change carries From: the email address of a valid user of the account.',
      source:
        'https://github.com/PagerDuty/api-schema, reference/REST/openapiv3.json, header From of PUT /incidents/{id}, whose words public clients repeat',
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
      says: 'The version is asked for by Accept: application/vnd.pagerduty+json;version=2, the token is sent as Token token=….',
      why: 'public clients do so; PagerDuty’s own page was not at hand',
    },
    {
      says: 'The codes and words of 400: 1008 Requester User Not Found, 2001 Invalid Input Provided, Incident Already Resolved.',
      why: 'PagerDuty’s page of errors is not among the sources at hand; nothing of ours depends on the words',
    },
    {
      says: 'priority, assignments and last_status_change_at can be null.',
      why: 'no account was at hand; null is taken anyway',
    },
  ],
})
