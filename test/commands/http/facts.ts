import { defineFacts } from '../../harness/facts.ts'

const read = '2026-11-28'
const HTTP = 'https://www.rfc-editor.org/rfc/rfc9110'

export const facts = defineFacts({
  of: 'HTTP and JSON services in general',
  enforcedBy: ['test/commands/http/server.ts', 'test/commands/http/metadata.ts', 'test/commands/http/wire.test.ts'],
  facts: [
    {
      says: 'A number of JSON has any digits; a double tells whole numbers apart up to 2^53 only.',
      source: 'https://www.rfc-editor.org/rfc/rfc8259#section-6',
      read,
    },
    {
      says: 'JSON between systems is UTF-8, and a reader may skip a mark of the byte order.',
      source: 'https://www.rfc-editor.org/rfc/rfc8259#section-8.1',
      read,
    },
    {
      says: 'Retry-After is seconds or a date, with 503, 429 and 3xx.',
      source: `${HTTP}#section-10.2.3 and https://www.rfc-editor.org/rfc/rfc6585#section-4`,
      read,
    },
    {
      says: '502 and 504 are a gateway’s own words, not those of the service behind it.',
      source: `${HTTP}#section-15.6.3 and #section-15.6.5`,
      read,
    },
    { says: '204 has no body.', source: `${HTTP}#section-15.3.5`, read },
    {
      says: 'A server may pack what it sends (Content-Encoding), also for who did not ask for it.',
      source: `${HTTP}#section-8.4 and #section-12.5.3`,
      read,
    },
    {
      says: 'A next page can be named by Link: <…>; rel="next".',
      source: 'https://www.rfc-editor.org/rfc/rfc8288',
      read,
    },
  ],
  unchecked: [
    {
      says: 'What stands behind a 502 or 504 may have done what it was asked.',
      why: 'it follows from what the RFC says they are; the RFC itself does not say it',
    },
    {
      says: 'The texts of the RFCs in full.',
      why: 'RFC 9110 (8.4, 12.5.3, 10.2.3, 15.3.5, 15.6.3) and RFC 8259 were read where others quote them word for word; RFC 6585 and RFC 8288 are named from knowledge',
    },
    {
      says: 'Names by which services say that a list goes on: total, total_count, has_more, next, nextPageToken and their like.',
      why: 'they are customs of many services and no standard; a list can say `total: false`',
    },
  ],
})
