import { defineFacts } from '../../harness/facts.ts'

const read = '2026-11-28'
const TRIED = 'tried on Debian’s prometheus-alertmanager 0.25'

export const facts = defineFacts({
  of: 'Alertmanager',
  enforcedBy: ['test/commands/alertmanager/server.ts'],
  facts: [
    {
      says: 'GET /api/v2/alerts takes `filter` matchers, one a parameter, and gives only alerts that match all of them; quotes and backslashes of a value are escaped by a backslash.',
      source: `https://github.com/prometheus/alertmanager/blob/68fb2d575/api/v2/openapi.yaml; ${TRIED}`,
      read,
    },
    {
      says: 'There is no page and no limit: 12,000 alerts are one answer of several megabytes.',
      source: `https://github.com/prometheus/alertmanager/blob/68fb2d575/api/v2/openapi.yaml; ${TRIED}`,
      read,
    },
    { says: 'basic_auth_users of the web.config.file (bcrypt) guards the API: 401 without.', source: TRIED, read },
    { says: 'A silence that has ended is kept and listed as expired, for 120 hours by default.', source: TRIED, read },
    {
      says: 'Since 0.27 label names may be any UTF-8, and in a matcher such a name is quoted; the matchers of before are read as well.',
      source:
        'https://github.com/prometheus/alertmanager/blob/68fb2d575/CHANGELOG.md of 0.27.0, and docs/configuration.md beside it, “UTF-8 strict mode”',
      read,
    },
  ],
  unchecked: [
    {
      says: 'Quoted label names (“k8s.pod.name”) in a filter.',
      why: 'Debian’s 0.25 reads no such names; the grammar is that of 0.27’s documentation',
    },
  ],
})
