import { describe, expect, it } from '@jest/globals'
import { formatDate } from '../../../src/sandbox/page/date.ts'
import { literalTextOf, notificationOf, richTextOf } from '../../../src/sandbox/page/mrkdwn.ts'

const elements = (source: string, verbatim = false) => richTextOf(source, { verbatim })[0]?.elements

describe('mrkdwn', () => {
  it('keeps escaped control sequences as text', () => {
    expect(elements('&lt;!channel&gt; &amp;lt;')).toEqual([{ type: 'text', text: '<!channel> &lt;', style: {} }])
  })
  it('reads mentions, links and dates', () => {
    expect(elements('<@U1><#C1><!subteam^S1><!here><https://a.b|x &amp; y><!date^5^{ago}|then>')).toMatchObject([
      { type: 'user', user_id: 'U1' },
      { type: 'channel', channel_id: 'C1' },
      { type: 'usergroup', usergroup_id: 'S1' },
      { type: 'broadcast', range: 'here' },
      { type: 'link', url: 'https://a.b', text: 'x & y' },
      { type: 'date', timestamp: 5, format: '{ago}', fallback: 'then' },
    ])
  })
  it('links no address that could run', () => {
    expect(elements('<javascript:alert(1)|go>')).toMatchObject([{ type: 'text', text: 'go' }])
    expect(elements('<data:text/html,x|go>')).toMatchObject([{ type: 'text', text: 'go' }])
  })
  it('marks words, not parts of words', () => {
    expect(elements('*b* _i_ ~s~ `c*` a_b_c 2*3*4')).toMatchObject([
      { text: 'b', style: { bold: true } },
      { text: ' ' },
      { text: 'i', style: { italic: true } },
      { text: ' ' },
      { text: 's', style: { strike: true } },
      { text: ' ' },
      { text: 'c*', style: { code: true } },
      { text: ' a_b_c 2*3*4' },
    ])
  })
  it('splits fences and quotes from the text around them', () => {
    const types = richTextOf('a\n```x *y*```\n&gt; q\nb').map((block) => block.type)
    expect(types).toEqual(['rich_text_section', 'rich_text_preformatted', 'rich_text_quote', 'rich_text_section'])
  })
  it('links a bare address unless the text is verbatim', () => {
    expect(elements('see https://a.b/c.')).toMatchObject([
      { text: 'see ' },
      { type: 'link', url: 'https://a.b/c' },
      { text: '.' },
    ])
    expect(elements('see https://a.b/c.', true)).toMatchObject([{ text: 'see https://a.b/c.' }])
  })
  it('leaves plain_text alone but for emoji names, and takes a clock time for none', () => {
    expect(literalTextOf('*x* <!here> :fire: 10:12:30')[0]?.elements).toEqual([
      { type: 'text', text: '*x* <!here> ' },
      { type: 'emoji', name: 'fire' },
      { type: 'text', text: ' 10:12:30' },
    ])
  })
  it('becomes the line of a notification', () => {
    expect(notificationOf('*Hi* <@U1> in <#C1>: <https://a.b|look> &lt;b&gt;', { U1: 'ada', C1: 'data' })).toBe(
      'Hi @ada in #data: look <b>',
    )
  })
})

it('fills the tokens of a Slack date, and keeps unknown ones', () => {
  const at = new Date(2026, 10, 21, 2, 14, 9)
  expect(formatDate(at, '{date_short} {time} {time_secs} {x}', at)).toBe('21 Nov 2026 02:14 02:14:09 {x}')
  expect(formatDate(at, '{date_pretty}, {ago}', new Date(at.getTime() + 180_000))).toBe('today, 3 minutes ago')
})
