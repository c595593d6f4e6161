import { afterEach, describe, expect, it } from '@jest/globals'
import type { Incident } from '../../src/domain/incident.ts'
import type { Drawn } from '../../src/slack/show.ts'
import { asked, createWorld, DATA, drawPlain, opened, PLATFORM, type World } from './world.ts'

const worlds: World[] = []
const world = async (...args: Parameters<typeof createWorld>) => {
  const made = await createWorld(...args)
  worlds.push(made)
  return made
}
afterEach(async () => {
  for (const one of worlds.splice(0)) await one.close()
})

const planFailed = (proposal: string) => ({ type: 'plan.failed', proposal, error: 'no' }) as const
const started = (proposal: string) => ({ type: 'run.started', proposal, worker: 'w' }) as const
const shown = async (w: World, bot: ReturnType<World['bot']>, id = 'i1', limit?: number) => {
  let done = false
  void bot.reconcile(id).then(() => {
    done = true
  })
  await w.pass(() => done, limit)
}

it('posts the root, then its thread in order, and edits in place what changed', async () => {
  const w = await world()
  const bot = w.bot()
  w.journal.add('i1', opened(), asked('p1', 'first'), asked('p2', 'second'))
  await shown(w, bot)
  expect(w.texts()).toEqual(['Blocked', 'first: planning', 'second: planning'])
  const [root, one, two] = w.sandbox.state().messages[DATA]!
  expect([one?.thread_ts, two?.thread_ts]).toEqual([root?.ts, root?.ts])
  w.journal.add('i1', planFailed('p1'), { type: 'incident.resolved' })
  await shown(w, bot)
  expect(w.texts()).toEqual(['Blocked (resolved)', 'first: plan_failed', 'second: planning'])
  expect(w.calls('chat.postMessage')).toHaveLength(3)
})

it('makes no call for an incident that Slack shows already', async () => {
  const w = await world()
  const bot = w.bot()
  w.journal.add('i1', opened())
  expect(await bot.isShown('i1')).toBe(false)
  await w.pass(() => bot.isShown('i1'))
  const before = w.sandbox.log.length
  await shown(w, bot)
  await shown(w, w.bot())
  expect(w.sandbox.log).toHaveLength(before)
})

describe('when the reply to a post is lost', () => {
  it.each([
    ['after the message was posted', { loseReplies: 1 }],
    ['and the server says 500 after the message was posted', { errorAfterCommit: 1 }],
    ['three times in a row', { loseReplies: 3 }],
  ])('there is one message: %s', async (_, faults) => {
    const w = await world({ faults: { ...faults, methods: ['chat.postMessage'] } })
    const bot = w.bot()
    w.journal.add('i1', opened(), asked('p1'), asked('p2'), asked('p3'))
    await shown(w, bot)
    expect(w.texts()).toEqual(['Blocked', 'do-it: planning', 'do-it: planning', 'do-it: planning'])
    expect(w.has('info', 'was adopted')).toBe(true)
    const stored = Object.values(w.postbox.posted.get('i1')!).map((p) => p.ts)
    expect(stored.sort()).toEqual(w.sandbox.state().messages[DATA]!.map((m) => m.ts))
  })

  it('posts again when the message never came into being', async () => {
    let draws = 0
    const w = await world({
      faults: { errorRate: 0.5, methods: ['chat.postMessage'] },
      random: () => (draws++ < 1 ? 0 : 1),
    })
    const bot = w.bot()
    w.journal.add('i1', opened(), asked('p1'))
    await shown(w, bot)
    expect(w.texts()).toEqual(['Blocked', 'do-it: planning'])
    expect(w.calls('chat.postMessage').map((c) => c.status)).toEqual([500, 200, 200])
  })

  it('adopts what a bot posted that died before it could note it', async () => {
    const w = await world()
    const dead = w.bot()
    w.journal.add('i1', opened(), asked('p1'))
    await shown(w, dead)
    for (const [key, one] of Object.entries(w.postbox.posted.get('i1')!))
      await w.postbox.write('i1', key, { ...one, ts: null })
    await w.postbox.setRendered('i1', 'older')
    await shown(w, w.bot())
    expect(w.texts()).toEqual(['Blocked', 'do-it: planning'])
    expect(w.calls('chat.postMessage')).toHaveLength(2)
  })

  it('posts once when the store goes away before the ts is noted', async () => {
    const w = await world()
    const { write } = w.postbox
    let lost = 0
    Object.assign(w.postbox, {
      write: async (...args: Parameters<typeof write>) => {
        if (args[2].ts !== null && lost++ < 2) throw new Error('the store cannot be reached')
        return write(...args)
      },
    })
    w.journal.add('i1', opened(), asked('p1'))
    await shown(w, w.bot())
    expect(lost).toBeGreaterThan(2)
    expect(w.texts()).toEqual(['Blocked', 'do-it: planning'])
  })

  it('waits until the request of a dead bot can no longer land before it posts', async () => {
    const w = await world()
    w.journal.add('i1', opened())
    const attemptedAt = w.now()
    await w.postbox.write('i1', 'root', { channel: DATA, ts: null, hash: 'x', attemptedAt })
    await shown(w, w.bot())
    expect(w.texts()).toEqual(['Blocked'])
    expect(w.calls('chat.postMessage')[0]!.at - attemptedAt).toBeGreaterThanOrEqual(10_000)
  })

  it('uploads a file once', async () => {
    const w = await world({ faults: { loseReplies: 1, methods: ['files.completeUploadExternal'] } })
    const draw = (incident: Incident): Drawn[] => [
      ...drawPlain(incident, { progress: {} }),
      {
        key: 'plan',
        kind: 'file',
        thread: true,
        text: 'The plan',
        filename: 'plan-1.txt',
        title: 'Plan',
        content: 'all of it',
      },
    ]
    w.journal.add('i1', opened())
    await shown(w, w.bot(draw))
    const [root, file] = w.sandbox.state().messages[DATA]!
    expect(w.texts()).toHaveLength(2)
    expect(file).toMatchObject({ thread_ts: root!.ts, files: [{ name: 'plan-1.txt', title: 'Plan', size: 9 }] })
  })
})

describe('when Slack is down', () => {
  it.each([[true], ['503']] as const)('shows everything in order and once after it heals (%s)', async (outage) => {
    const w = await world()
    const bot = w.bot()
    w.sandbox.faults({ outage })
    w.journal.add('i1', opened(), asked('p1', 'first'))
    await bot.start()
    await w.pass(() => w.sandbox.log.length > 20)
    w.journal.add('i1', asked('p2', 'second'), planFailed('p1'))
    w.sandbox.faults({ outage: false })
    await w.pass(() => bot.isShown('i1'), 60_000)
    expect(w.texts()).toEqual(['Blocked', 'first: plan_failed', 'second: planning'])
    expect(w.sandbox.state().messages[DATA]!.some((m) => m.edited)).toBe(false)
  })

  it('keeps trying without hammering', async () => {
    const w = await world({ faults: { outage: true } })
    const bot = w.bot()
    w.journal.add('i1', opened())
    void bot.reconcile('i1')
    const begin = w.now()
    await w.pass(() => w.now() - begin > 300_000, 400_000)
    expect(w.sandbox.log.length).toBeLessThan(60)
    expect(w.sandbox.log.length).toBeGreaterThan(15)
  })
})

it('keeps the order of 40 messages to one channel at one a second, while another channel is not delayed', async () => {
  const w = await world()
  const bot = w.bot()
  await bot.start()
  const begin = w.now()
  w.journal.add('i1', opened('Storm'), ...Array.from({ length: 39 }, (_, n) => asked(`p${n}`, `step ${n}`)))
  w.journal.add('i2', opened('Elsewhere', 'platform'), asked('p1'))
  await w.pass(async () => (await bot.isShown('i1')) && (await bot.isShown('i2')))
  expect(w.texts()).toEqual(['Storm', ...Array.from({ length: 39 }, (_, n) => `step ${n}: planning`)])
  expect(w.texts(PLATFORM)).toEqual(['Elsewhere', 'do-it: planning'])
  const at = (channel: string) =>
    w
      .calls('chat.postMessage')
      .filter((c) => c.args?.channel === channel)
      .map((c) => c.at - begin)
  expect(at(PLATFORM)).toEqual([0, 1000])
  expect(at(DATA).at(-1)).toBe(39_000)
  expect(w.calls('chat.postMessage').every((c) => c.status === 200)).toBe(true)
})

it('waits as long as Slack says after 429, for that channel only', async () => {
  const w = await world({ faults: { rateLimited: 1, retryAfter: 30, methods: ['chat.postMessage'] } })
  const bot = w.bot()
  const begin = w.now()
  w.journal.add('i1', opened())
  void bot.reconcile('i1')
  await w.pass(() => w.calls('chat.postMessage').length === 1)
  w.journal.add('i2', opened('Elsewhere', 'platform'))
  void bot.reconcile('i2')
  await w.pass(async () => (await bot.isShown('i1')) && (await bot.isShown('i2')))
  const times = w.calls('chat.postMessage').map((c) => [c.args?.channel ?? DATA, c.status, c.at - begin])
  expect(times.slice(1)).toEqual([
    [PLATFORM, 200, 0],
    [DATA, 200, 30_000],
  ])
})

it('lets no other incident of the channel call before the time that Slack gave with 429 is over', async () => {
  const w = await world({ faults: { rateLimited: 1, retryAfter: 30, methods: ['chat.postMessage'] } })
  const bot = w.bot()
  await bot.start()
  const begin = w.now()
  w.journal.add('i1', opened('One'))
  w.journal.add('i2', opened('Two'))
  await w.pass(async () => (await bot.isShown('i1')) && (await bot.isShown('i2')))
  const times = w.calls('chat.postMessage').map((c) => c.at - begin)
  expect(times[0]).toBe(0)
  expect(times.slice(1).every((t) => t >= 30_000)).toBe(true)
  expect(w.texts().sort()).toEqual(['One', 'Two'])
})

it('misses no change that comes in the moment between the last look and the end', async () => {
  const w = await world()
  const { setRendered } = w.postbox
  let late = () => w.journal.add('i1', { type: 'incident.resolved' })
  Object.assign(w.postbox, {
    setRendered: async (...args: Parameters<typeof setRendered>) => {
      late()
      late = () => {}
      return setRendered(...args)
    },
  })
  const bot = w.bot()
  await bot.start()
  w.journal.add('i1', opened())
  await w.pass(() => w.texts()[0] === 'Blocked (resolved)')
})

it('draws only the newest state of what changed while it waited for its turn', async () => {
  const w = await world()
  const bot = w.bot()
  w.journal.add('i1', opened(), asked('p1'))
  void bot.reconcile('i1')
  await w.pass(() => w.texts().length === 1)
  w.journal.add('i1', planFailed('p1'))
  await w.pass(() => bot.isShown('i1'))
  expect(w.texts()).toEqual(['Blocked', 'do-it: plan_failed'])
  expect(w.calls('chat.update')).toHaveLength(0)
})

it('edits the card of a run every two seconds at most, and ends with the last state', async () => {
  const w = await world()
  const bot = w.bot()
  await bot.start()
  w.journal.add('i1', opened(), asked('p1'), started('p1'))
  await w.pass(() => bot.isShown('i1'))
  const begin = w.now()
  for (let done = 1; done <= 50; done += 1) {
    w.beats.set('i1 p1', { done, total: 50, note: '' })
    w.journal.ring('i1')
    const until = w.now() + 200
    void w.sleep(200)
    await w.pass(() => w.now() >= until)
  }
  await w.pass(() => bot.isShown('i1'))
  expect(w.texts().at(-1)).toBe('do-it: running 50/50')
  const edits = w.calls('chat.update').map((c) => c.at - begin)
  expect(edits.length).toBeGreaterThan(4)
  expect(edits.length).toBeLessThanOrEqual(7)
  for (let i = 1; i < edits.length; i += 1) expect(edits[i]! - edits[i - 1]!).toBeGreaterThanOrEqual(2000)
})

it('stays below the edits a minute that Slack allows, however many incidents change', async () => {
  const w = await world()
  const bot = w.bot()
  await bot.start()
  const ids = Array.from({ length: 30 }, (_, n) => `i${n}`)
  for (const id of ids) w.journal.add(id, opened(id))
  await w.pass(async () => (await Promise.all(ids.map(bot.isShown))).every(Boolean))
  for (let round = 0; round < 3; round += 1) {
    for (const id of ids) w.journal.add(id, { type: round % 2 ? 'incident.reopened' : 'incident.resolved' })
    await w.pass(async () => (await Promise.all(ids.map(bot.isShown))).every(Boolean))
  }
  expect(w.calls('chat.update').filter((c) => c.status !== 200)).toEqual([])
  expect(w.texts()).toEqual(ids.map((id) => `${id} (resolved)`))
})

describe('when somebody deletes a message', () => {
  it('posts it again as soon as it has to change', async () => {
    const w = await world()
    const bot = w.bot()
    w.journal.add('i1', opened(), asked('p1'))
    await shown(w, bot)
    const [root, card] = w.sandbox.state().messages[DATA]!
    await bot.web.chat.delete({ channel: DATA, ts: card!.ts })
    w.journal.add('i1', planFailed('p1'))
    await shown(w, bot)
    expect(w.texts()).toEqual(['Blocked', 'do-it: plan_failed'])
    expect(w.sandbox.state().messages[DATA]![1]).toMatchObject({ thread_ts: root!.ts })
  })

  it('tells the whole thread again under a new root when the root is gone', async () => {
    const w = await world()
    const bot = w.bot()
    w.journal.add('i1', opened())
    await shown(w, bot)
    await bot.web.chat.delete({ channel: DATA, ts: w.sandbox.state().messages[DATA]![0]!.ts })
    w.journal.add('i1', asked('p1'))
    await shown(w, bot)
    const [root, card] = w.sandbox.state().messages[DATA]!
    expect(w.texts()).toEqual(['Blocked', 'do-it: planning'])
    expect(card!.thread_ts).toBe(root!.ts)
  })
})

describe('when Slack refuses', () => {
  it('says what to do about a channel, keeps trying, and holds up no other incident', async () => {
    const w = await world()
    const bot = w.bot()
    w.journal.add('i1', opened('Lost', 'C0NOWHERE'))
    w.journal.add('i2', opened('Fine'))
    await bot.start()
    await w.pass(() => bot.isShown('i2'), 1000)
    expect(w.texts()).toEqual(['Fine'])
    expect(w.has('error', /channel_not_found: check slack.channels/)).toBe(true)
    const before = w.calls('chat.postMessage').length
    await w.pass(() => w.calls('chat.postMessage').length > before, 40_000)
  })

  it('falls back to text and buttons when it does not take the blocks, but not to a button that approves what is not shown', async () => {
    const w = await world()
    const button = (action_id: string) =>
      ({ type: 'button', action_id, value: 'v', text: { type: 'plain_text', text: 'Go' } }) as const
    const draw = (): Drawn[] => [
      {
        key: 'root',
        kind: 'message',
        thread: false,
        text: 'Approve?',
        blocks: [
          { type: 'image', image_url: '', alt_text: '' },
          { type: 'actions', elements: [button('keyturn:approve'), button('keyturn:reject')] },
        ],
      },
    ]
    w.journal.add('i1', opened())
    await shown(w, w.bot(draw))
    const [message] = w.sandbox.state().messages[DATA]!
    expect(message).toMatchObject({
      text: expect.stringMatching(/^Approve\? Slack did not take what would run/),
      blocks: [{ type: 'section' }, { type: 'actions', elements: [{ action_id: 'keyturn:reject' }] }],
    })
    expect(JSON.stringify(message)).not.toContain('keyturn:approve')
    expect(w.has('error', 'a plainer one is tried')).toBe(true)
  })

  it('leaves out what it never takes, and posts the rest', async () => {
    const w = await world()
    const draw = (incident: Incident): Drawn[] => [
      ...drawPlain(incident, { progress: {} }),
      { key: 'empty', kind: 'file', thread: true, text: '', filename: 'empty.txt', title: 'Empty', content: '' },
      { key: 'after', kind: 'message', thread: true, text: 'After it' },
    ]
    w.journal.add('i1', opened())
    await shown(w, w.bot(draw))
    // A file that Slack does not take is told as text.
    expect(w.texts()).toEqual(['Blocked', 'Empty', 'After it'])
    expect(w.has('error', 'a plainer one is tried')).toBe(true)
  })

  it.each(['file_uploads_disabled', 'missing_scope', 'storage_limit_reached'])(
    'shows the text of a file, and holds nothing up, when it says %s',
    async (error) => {
      const w = await world({ faults: { refuse: { 'files.getUploadURLExternal': error } } })
      const content = `${'target 4711\n'.repeat(2000)}`
      const draw = (incident: Incident): Drawn[] => [
        ...drawPlain(incident, { progress: {} }),
        {
          key: 'plan',
          kind: 'file',
          thread: true,
          text: 'All of it',
          filename: 'plan.txt',
          title: 'Plan abc',
          content,
        },
        { key: 'after', kind: 'message', thread: true, text: 'After it' },
      ]
      w.journal.add('i1', opened())
      await shown(w, w.bot(draw))
      const parts = [1, 2, 3].map((n) => `Plan abc, part ${n} of 3`)
      expect(w.texts()).toEqual(['Blocked', ...parts, 'After it'])
      // Not a line of it is lost.
      const texts = w.sandbox
        .state()
        .messages[DATA]!.slice(1, 4)
        .map((m) => JSON.stringify(m.blocks))
      expect(texts.join().match(/target 4711/g)).toHaveLength(2000)
    },
  )

  it.each(['invalid_blocks', 'invalid_blocks_format', 'msg_too_long', 'msg_blocks_too_long', 'invalid_attachments'])(
    'tries a plainer message at %s, which is about the content',
    async (error) => {
      const w = await world({ faults: { refuse: { 'chat.postMessage': error } } })
      w.journal.add('i1', opened())
      const bot = w.bot()
      void bot.reconcile('i1')
      await w.pass(() => w.calls('chat.postMessage').length === 1)
      w.sandbox.faults({ refuse: {} })
      await w.pass(() => bot.isShown('i1'), 5000)
      expect(w.has('error', 'a plainer one is tried')).toBe(true)
      expect(w.troubles.all()).toEqual([])
    },
  )

  it.each([
    ['missing_scope', /add the scope to the app as in manifest.yaml/],
    ['token_revoked', /install the app again/],
    ['not_in_channel', /invite the bot to the channel/],
    ['is_archived', /unarchive it, or name another one/],
    ['ekm_access_denied', /administrators have suspended/],
    ['restricted_action', /ask an administrator/],
    ['something_quite_new', /not one that Keyturn knows/],
  ])('waits at %s with the whole message, says what to do, and heals', async (error, advice) => {
    for (const method of ['chat.postMessage', 'chat.update']) {
      const w = await world()
      const bot = w.bot()
      w.journal.add('i1', opened(), asked('p1'))
      if (method === 'chat.update') await shown(w, bot)
      w.sandbox.faults({ refuse: { [method]: error } })
      w.journal.add('i1', { type: 'incident.resolved' }, planFailed('p1'))
      void bot.reconcile('i1')
      const since = w.now()
      await w.pass(() => w.now() - since > 100_000, 200_000)
      expect(w.troubles.all()).toEqual([expect.stringMatching(advice)])
      // Neither Slack's code nor a word of its client reaches a person; the log has the code, once.
      expect(w.troubles.all().join()).not.toContain(error)
      expect(w.lines.filter((l) => l.level === 'error')).toHaveLength(1)
      const tries = w.calls(method).filter((c) => c.error === error).length
      expect(tries).toBeGreaterThan(2)
      expect(tries).toBeLessThan(8)
      w.sandbox.faults({ refuse: {} })
      await w.pass(() => bot.isShown('i1'), 40_000)
      expect(w.texts()).toEqual(['Blocked (resolved)', 'do-it: plan_failed'])
      expect(w.troubles.all()).toEqual([])
    }
  })
})

describe('when a message cannot be edited any more', () => {
  const section = (text: string) => [{ type: 'section' as const, text: { type: 'plain_text' as const, text } }]
  /** Cards with a button while there is something to press. */
  const drawLive = (...args: Parameters<typeof drawPlain>): Drawn[] =>
    drawPlain(...args).map((d) => {
      const live = /: (planning|running)$/.test(d.text)
      const button = { type: 'button', action_id: 'keyturn:approve', text: { type: 'plain_text', text: 'Go' } } as const
      const actions = live ? [{ type: 'actions' as const, elements: [button] }] : []
      return { ...d, kind: 'message', blocks: [...section(d.text), ...actions] }
    })

  it.each(['edit_window_closed', 'cant_update_message', 'block_mismatch'])(
    'there is a new card and a new root, and no live button is left: %s',
    async (error) => {
      const w = await world()
      const bot = w.bot(drawLive)
      w.journal.add('i1', opened(), asked('p1'))
      await shown(w, bot)
      const [root, card] = w.sandbox.state().messages[DATA]!
      w.sandbox.faults({ refuse: { 'chat.update': error } })
      w.journal.add('i1', planFailed('p1'), { type: 'incident.resolved' })
      await shown(w, bot)
      expect(w.texts()).toEqual(['Blocked', 'Blocked (resolved)', 'do-it: plan_failed'])
      const [, again, fresh] = w.sandbox.state().messages[DATA]!
      // The thread goes on where it was; the new root stands in the channel and leads there.
      expect(fresh!.thread_ts).toBe(root!.ts)
      expect(again!.thread_ts).toBeUndefined()
      expect(JSON.stringify(again!.blocks)).toContain(`archives/${DATA}/p${root!.ts.replace('.', '')}`)
      expect(JSON.stringify(w.sandbox.state().messages[DATA])).not.toContain('keyturn:approve')
      expect(w.has('warn', /cannot be edited any more/)).toBe(true)
      const stored = await w.postbox.read('i1')
      expect(stored['proposal:p1']!.ts).toBe(fresh!.ts)
      expect(stored['proposal:p1']!.ts).not.toBe(card!.ts)
      w.journal.add('i1', asked('p2'))
      await shown(w, bot)
      expect(w.sandbox.state().messages[DATA]!.at(-1)!.thread_ts).toBe(root!.ts)
    },
  )

  it('leaves no live button either where Slack takes no content of the card at all', async () => {
    const w = await world()
    const bot = w.bot(drawLive)
    w.journal.add('i1', opened(), asked('p1'))
    await shown(w, bot)
    w.sandbox.faults({ refuse: { 'chat.update': 'invalid_blocks' } })
    w.journal.add('i1', planFailed('p1'))
    await shown(w, bot)
    expect(w.has('error', 'it is left out')).toBe(true)
    expect(JSON.stringify(w.sandbox.state().messages[DATA])).not.toContain('keyturn:approve')
  })

  it('does not post anew for each sign of progress, and at once when the run is over', async () => {
    const w = await world()
    const bot = w.bot(drawLive)
    await bot.start()
    w.journal.add('i1', opened(), asked('p1'), started('p1'))
    await w.pass(() => bot.isShown('i1'))
    w.sandbox.faults({ refuse: { 'chat.update': 'edit_window_closed' } })
    const before = w.calls('chat.postMessage').length
    for (let done = 1; done <= 20; done += 1) {
      w.beats.set('i1 p1', { done, total: 20, note: '' })
      w.journal.ring('i1')
      const until = w.now() + 1000
      void w.sleep(1000)
      await w.pass(() => w.now() >= until)
    }
    expect(w.calls('chat.postMessage').length - before).toBeLessThanOrEqual(2)
    w.journal.add('i1', { type: 'run.finished', proposal: 'p1', outcome: 'succeeded', message: '', checks: [] })
    await w.pass(() => bot.isShown('i1'), 10_000)
    expect(w.texts().at(-1)).toBe('do-it: succeeded')
    expect(JSON.stringify(w.sandbox.state().messages[DATA])).not.toContain('keyturn:approve')
  })

  it('does not take the old card for the new one when the reply to its post is lost', async () => {
    const w = await world()
    const bot = w.bot(drawLive)
    w.journal.add('i1', opened(), asked('p1'))
    await shown(w, bot)
    w.sandbox.faults({ refuse: { 'chat.update': 'edit_window_closed' } })
    w.sandbox.faults({ loseReplies: 1, methods: ['chat.postMessage'] })
    w.journal.add('i1', planFailed('p1'))
    await shown(w, bot)
    expect(w.texts().filter((t) => t === 'do-it: plan_failed')).toHaveLength(1)
    const stored = await w.postbox.read('i1')
    const fresh = w.sandbox.state().messages[DATA]!.find((m) => m.text === 'do-it: plan_failed')!
    expect(stored['proposal:p1']!.ts).toBe(fresh.ts)
  })
})

describe('when a channel or thread is closed', () => {
  it('tells the whole thread again in the channel that the settings name now', async () => {
    const w = await world()
    const bot = w.bot()
    w.journal.add('i1', opened(), asked('p1'))
    await shown(w, bot)
    w.sandbox.setChannel(DATA, { is_archived: true })
    w.journal.add('i1', planFailed('p1'))
    void bot.reconcile('i1')
    await w.pass(() => w.troubles.all().length > 0)
    w.channels.default = PLATFORM
    await w.pass(() => bot.isShown('i1'), 60_000)
    expect(w.texts(PLATFORM)).toEqual(['Blocked', 'do-it: plan_failed'])
  })

  it('goes on in a new thread when administrators have locked the old one, once', async () => {
    const w = await world()
    const bot = w.bot()
    w.journal.add('i1', opened(), asked('p1'))
    await shown(w, bot)
    w.sandbox.faults({ refuse: { 'chat.postMessage': 'restricted_action_thread_locked' } })
    w.journal.add('i1', asked('p2', 'second'))
    void bot.reconcile('i1')
    await w.pass(() => w.troubles.all().length > 0)
    w.sandbox.faults({ refuse: {} })
    await w.pass(() => bot.isShown('i1'), 60_000)
    expect(w.texts().slice(2)).toEqual(['Blocked', 'do-it: planning', 'second: planning'])
  })
})

describe('with two bots on one postbox', () => {
  it('posts nothing twice', async () => {
    const w = await world()
    const bots = [w.bot(), w.bot()]
    for (const bot of bots) await bot.start()
    for (let n = 0; n < 5; n += 1) w.journal.add(`i${n}`, opened(`Incident ${n}`), asked('p1'), asked('p2'))
    const all = async () =>
      (await Promise.all(bots.flatMap((bot) => [0, 1, 2, 3, 4].map((n) => bot.isShown(`i${n}`))))).every(Boolean)
    await w.pass(all)
    expect(w.texts()).toHaveLength(15)
    expect(w.calls('chat.postMessage')).toHaveLength(15)
  })

  it('one takes over when the other dies with the lease', async () => {
    const w = await world()
    w.journal.add('i1', opened())
    await w.postbox.lease('i1')
    const begin = w.now()
    await shown(w, w.bot(), 'i1', 15_000)
    expect(w.texts()).toEqual(['Blocked'])
    expect(w.sandbox.log[0]!.at - begin).toBeGreaterThanOrEqual(10_000)
  })
})

it('goes on when the store was away for a while', async () => {
  const w = await world()
  const bot = w.bot()
  w.journal.add('i1', opened(), asked('p1'))
  w.postbox.down = true
  void bot.reconcile('i1')
  await w.pass(() => w.has('warn', 'tried again'))
  w.postbox.down = false
  await w.pass(() => bot.isShown('i1'))
  expect(w.texts()).toEqual(['Blocked', 'do-it: planning'])
})

it('stops after the call that is going on, also in the middle of a wait', async () => {
  const w = await world({ faults: { rateLimited: 1, retryAfter: 3600, methods: ['chat.postMessage'] } })
  const bot = w.bot()
  w.journal.add('i1', opened())
  const loop = bot.reconcile('i1')
  await w.pass(() => w.sandbox.log.length > 0)
  await bot.stop()
  await loop
  expect(w.texts()).toEqual([])
})

describe('a message with a channel of its own', () => {
  const drawAway =
    (channel: string) =>
    (...args: Parameters<typeof drawPlain>): Drawn[] => [
      ...drawPlain(...args),
      { key: 'away:handover', kind: 'message', thread: false, text: 'Yours', channel },
    ]

  it('stands there, outside of the thread, once', async () => {
    const w = await world({ faults: { loseReplies: 3, methods: ['chat.postMessage'] } })
    const bot = w.bot(drawAway(PLATFORM))
    w.journal.add('i1', opened(), asked('p1'))
    await shown(w, bot)
    w.journal.add('i1', planFailed('p1'))
    await shown(w, bot)
    expect(w.texts()).toEqual(['Blocked', 'do-it: plan_failed'])
    expect(w.sandbox.state().messages[PLATFORM]!.map((m) => [m.text, m.thread_ts])).toEqual([['Yours', undefined]])
  })

  it('does not hold up the thread when that channel does not take it, and is tried again later', async () => {
    const w = await world()
    let channel = 'C0000NOWHERE'
    const bot = w.bot((...args) => drawAway(channel)(...args))
    w.journal.add('i1', opened(), asked('p1'))
    await shown(w, bot, 'i1', 10_000)
    expect(w.texts()).toEqual(['Blocked', 'do-it: planning'])
    expect(w.has('error', /not posted in C0000NOWHERE: channel_not_found/)).toBe(true)
    expect(w.troubles.all()).toEqual([expect.stringMatching(/^Messages to channel C0000NOWHERE wait: check/)])
    channel = PLATFORM
    w.journal.add('i1', planFailed('p1'))
    await shown(w, bot)
    expect(w.sandbox.state().messages[PLATFORM]).toHaveLength(1)
  })

  it('comes by itself once that channel takes it', async () => {
    const w = await world()
    w.sandbox.setChannel(PLATFORM, { is_archived: true })
    const bot = w.bot(drawAway(PLATFORM))
    w.journal.add('i1', opened())
    await shown(w, bot)
    expect(await bot.isShown('i1')).toBe(false)
    w.sandbox.setChannel(PLATFORM, { is_archived: false })
    const begin = w.now()
    void w.sleep(31_000)
    await w.pass(() => w.now() - begin >= 31_000)
    await w.pass(() => bot.isShown('i1'))
    expect(w.sandbox.state().messages[PLATFORM]!.map((m) => m.text)).toEqual(['Yours'])
    expect(w.troubles.all()).toEqual([])
  })

  it('stays as it is when the root of the thread is gone', async () => {
    const w = await world()
    const bot = w.bot(drawAway(PLATFORM))
    w.journal.add('i1', opened(), asked('p1'))
    await shown(w, bot)
    const [root] = w.sandbox.state().messages[DATA]!
    await bot.web.chat.delete({ channel: DATA, ts: root!.ts })
    w.journal.add('i1', asked('p2'), { type: 'incident.resolved' })
    await shown(w, bot)
    expect(w.texts().slice(-3)).toEqual(['Blocked (resolved)', 'do-it: planning', 'do-it: planning'])
    expect(w.sandbox.state().messages[PLATFORM]).toHaveLength(1)
  })
})
