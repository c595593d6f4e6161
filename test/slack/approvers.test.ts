import { afterEach, describe, expect, it } from '@jest/globals'
import type { Policy } from '../../src/domain/policy.ts'
import { Policy as PolicySchema, refusePerson } from '../../src/domain/policy.ts'
import { createSandboxSlack, type SandboxOptions } from '../../src/sandbox/slack/server.ts'
import { defaultWorkspace } from '../../src/sandbox/slack/workspace.ts'
import { createPeople } from '../../src/slack/approvers.ts'
import { createInspection } from '../../src/slack/inspect.ts'
import { createSend, createWeb } from '../../src/slack/send.ts'
import { createTroubles } from '../../src/slack/troubles.ts'
import { ADA, BOT, createLines, DEE, GUS, OLF, ONA, SAM, SECRETS } from './world.ts'

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

const policy: Policy = PolicySchema.parse({
  approvers: { data: { usergroups: ['S0000DATA'] }, platform: { usergroups: ['S0000PLAT', 'S0000DATA'] } },
})

async function desk(options: Partial<SandboxOptions> = {}, given: Policy = policy, timeout = 2000) {
  const sandbox = await createSandboxSlack({ ...SECRETS, ...options })
  closers.push(sandbox.close)
  const { log, has } = createLines()
  const web = createWeb({ token: SECRETS.botToken, apiUrl: sandbox.apiUrl, log, timeout })
  const team = async () => sandbox.state().team.id
  const troubles = createTroubles(log)
  const sleep = async () => {}
  const people = createPeople({ web, policy: given, team, log, timeout, troubles, sleep })
  const asked = () => sandbox.log.flatMap((e) => (e.name === 'usergroups.users.list' ? [e.args?.usergroup] : []))
  return { sandbox, has, people, troubles, asked, web, log }
}

it('says who a colleague is and in which of the named groups they are now', async () => {
  const { sandbox, people } = await desk()
  const ada = { user: ADA, name: 'ada', deleted: false, bot: false, guest: false, external: false }
  expect(await people.lookUp(ADA)).toEqual({ ok: true, person: { ...ada, usergroups: ['S0000DATA', 'S0000PLAT'] } })
  sandbox.setUsergroup('S0000PLAT', [SAM])
  expect(await people.lookUp(ADA)).toEqual({ ok: true, person: { ...ada, usergroups: ['S0000DATA'] } })
})

describe('refuses', () => {
  it.each([
    ['a guest', GUS, 'person_is_guest'],
    ['somebody who has left', DEE, 'person_deactivated'],
    ['a bot', BOT, 'person_is_bot'],
    ['somebody of another organisation', OLF, 'person_is_external'],
  ])('%s', async (_, user, reason) => {
    const { people } = await desk()
    const looked = await people.lookUp(user!)
    expect(looked.ok && refusePerson(looked.person)).toBe(reason)
  })

  it('somebody who was made a guest or deactivated a moment ago', async () => {
    const { sandbox, people } = await desk()
    const reason = async () => {
      const looked = await people.lookUp(ADA)
      return looked.ok && refusePerson(looked.person)
    }
    expect(await reason()).toBeNull()
    sandbox.setUser(ADA, { is_ultra_restricted: true })
    expect(await reason()).toBe('person_is_guest')
    sandbox.setUser(ADA, { is_ultra_restricted: false, deleted: true })
    expect(await reason()).toBe('person_deactivated')
  })

  it('a member of another team of a shared channel, also when Slack does not call them a stranger', async () => {
    const { sandbox, people } = await desk()
    sandbox.setUser(SAM, { team_id: 'T0000OTHER1' })
    const looked = await people.lookUp(SAM)
    expect(looked.ok && refusePerson(looked.person)).toBe('person_is_external')
  })
})

describe('cannot say, and so refuses, when', () => {
  const failed = { ok: false, reason: 'lookup_failed' }

  it('Slack is down', async () => {
    const { people, has } = await desk({ faults: { outage: true } })
    expect(await people.lookUp(ADA)).toEqual(failed)
    expect(has('warn', 'refused')).toBe(true)
  })

  it.each([[{ outage: '503' }], [{ errorAfterCommit: 9 }]])(
    'the members of a group are not to be had: %j',
    async (faults) => {
      const { people } = await desk({ faults: { ...faults, methods: ['usergroups.users.list'] } as never })
      expect(await people.lookUp(ADA)).toEqual(failed)
    },
  )

  it('Slack limits the look-up for longer than a click may take', async () => {
    const { people } = await desk({ faults: { rateLimited: 9, retryAfter: 30, methods: ['usergroups.users.list'] } })
    expect(await people.lookUp(ADA)).toEqual({ ok: false, reason: 'lookup_limited' })
  })

  it.each(['user_not_found', 'user_not_visible', 'missing_scope', 'token_revoked'])(
    'it says %s of the person',
    async (error) => {
      const { people, troubles } = await desk({ faults: { refuse: { 'users.info': error } } })
      expect(await people.lookUp(ADA)).toEqual({ ok: false, reason: 'lookup_refused' })
      expect(troubles.all()).toHaveLength(error.startsWith('user_') ? 0 : 1)
    },
  )

  it('it refuses to list a group, which is said with what to do until it lists it again', async () => {
    const { sandbox, people, troubles } = await desk({
      faults: { refuse: { 'usergroups.users.list': 'missing_scope' } },
    })
    expect(await people.lookUp(ADA)).toEqual({ ok: false, reason: 'lookup_refused' })
    expect(troubles.all()).toEqual([expect.stringContaining('add the scope to the app as in manifest.yaml')])
    sandbox.faults({ refuse: {} })
    expect(await people.lookUp(ADA)).toMatchObject({ ok: true })
    expect(troubles.all()).toEqual([])
  })

  it('Slack answers too late', async () => {
    const { people } = await desk({ faults: { slowMs: 400 } }, policy, 30)
    expect(await people.lookUp(ADA)).toEqual(failed)
  })

  it('there is no such user', async () => {
    expect(await (await desk()).people.lookUp('U0NOBODY')).toEqual({ ok: false, reason: 'lookup_refused' })
  })
})

it('asks for no group when the policy names none', async () => {
  const { sandbox, people } = await desk({}, PolicySchema.parse({ approvers: { data: { users: [ONA] } } }))
  expect(await people.lookUp(ONA)).toMatchObject({ ok: true, person: { usergroups: [] } })
  expect(sandbox.log.map((entry) => entry.name)).toEqual(['users.info'])
})

describe('outlives what passes within the time of a click:', () => {
  it.each([
    ['a limit of a second', { rateLimited: 1 }],
    ['a reply that was lost', { loseReplies: 1 }],
    ['a server that broke once', { errorAfterCommit: 1 }],
  ])('%s', async (_, faults) => {
    for (const method of ['users.info', 'usergroups.users.list']) {
      const { people } = await desk({ faults: { ...faults, methods: [method] } })
      expect(await people.lookUp(ADA)).toMatchObject({ ok: true, person: { usergroups: ['S0000DATA', 'S0000PLAT'] } })
    }
  })
})

describe('a user group that is gone', () => {
  const lists = {
    data: { users: [ADA], usergroups: ['S0000DATA'] },
    old: { usergroups: ['S0000GONE'] },
    both: { usergroups: ['S0000GONE', 'S0000DATA'] },
  }
  const named = PolicySchema.parse({ approvers: lists })

  it('is one that nobody is in, and a stop for nobody', async () => {
    const { people, troubles, has, sandbox } = await desk({}, named)
    expect(await people.lookUp(SAM, ['both'])).toMatchObject({ ok: true, person: { usergroups: ['S0000DATA'] } })
    expect(await people.lookUp(SAM, ['old'])).toMatchObject({ ok: true, person: { usergroups: [] } })
    expect(troubles.all()).toEqual([
      'The user group S0000GONE of “old”, “both” does not exist (any more), or is disabled: nobody decides by it. Enable it, or change policy.approvers in keyturn.yaml.',
    ])
    expect(has('error', /S0000GONE of “old”, “both” does not exist/)).toBe(true)
    sandbox.dropUsergroup('S0000DATA')
    expect(await people.lookUp(SAM, ['both'])).toMatchObject({ ok: true, person: { usergroups: [] } })
    expect(troubles.all()).toHaveLength(2)
  })

  it('that was disabled lets nobody decide until it is enabled again, and then says nothing more', async () => {
    const { people, troubles, sandbox } = await desk({}, named)
    sandbox.disableUsergroup('S0000DATA')
    expect(await people.lookUp(SAM, ['data'])).toMatchObject({ ok: true, person: { usergroups: [] } })
    expect(troubles.all()).toHaveLength(1)
    sandbox.disableUsergroup('S0000DATA', false)
    expect(await people.lookUp(SAM, ['data'])).toMatchObject({ ok: true, person: { usergroups: ['S0000DATA'] } })
    expect(troubles.all()).toEqual([])
  })

  it('is not even asked for by a decision whose lists do not name it', async () => {
    const { people, troubles, asked } = await desk({}, named)
    expect(await people.lookUp(ADA, ['data'])).toMatchObject({ ok: true, person: { usergroups: ['S0000DATA'] } })
    expect(asked()).toEqual(['S0000DATA'])
    expect(troubles.all()).toEqual([])
  })

  it('is said at the start, as are scopes that the app lacks', async () => {
    const scopes = ['chat:write', 'users:read', 'usergroups:read', 'files:write', 'channels:history', 'groups:history']
    const { sandbox, web, log, troubles, has } = await desk({ scopes }, named)
    sandbox.disableUsergroup('S0000DATA')
    const send = createSend({ web, clock: Date.now, log })
    const given = { web, send, policy: named, team: undefined, troubles, log, sleep: async () => {} }
    await createInspection(given)(new AbortController().signal)
    expect(troubles.all()).toEqual([
      expect.stringMatching(/add files:read to its bot scopes as in manifest.yaml/),
      expect.stringMatching(/S0000DATA of “data”, “both” is disabled/),
      expect.stringMatching(/S0000GONE of “old”, “both” does not exist/),
    ])
    expect(has('error', 'S0000GONE')).toBe(true)
  })
})

it('asks for a person and each group once a look-up, and remembers nothing for the next one', async () => {
  const { people, asked, sandbox } = await desk()
  for (const _ of [1, 2]) await people.lookUp(ADA, ['data', 'platform'])
  expect(asked().sort()).toEqual(['S0000DATA', 'S0000DATA', 'S0000PLAT', 'S0000PLAT'])
  expect(sandbox.log.filter((e) => e.name === 'users.info')).toHaveLength(2)
})

it('asks no group about somebody who does what everybody may', async () => {
  const { people, asked } = await desk()
  expect(await people.lookUp(ADA, [])).toMatchObject({ ok: true, person: { usergroups: [] } })
  expect(asked()).toEqual([])
})

it('lets whoever is named or on call decide while a group cannot be asked', async () => {
  const given = PolicySchema.parse({
    approvers: { data: { users: [ADA], usergroups: ['S0000DATA'], oncall: ['primary'] } },
    oncall: { primary: { users: [ONA], start: '2026-01-05T09:00:00Z' } },
  })
  const { people } = await desk({ faults: { refuse: { 'usergroups.users.list': 'missing_scope' } } }, given)
  for (const who of [ADA, ONA]) expect(await people.lookUp(who!, ['data'])).toMatchObject({ ok: true })
  expect(await people.lookUp(SAM, ['data'])).toEqual({ ok: false, reason: 'lookup_refused' })
})

it('reads a group to its end when Slack gives it in pages', async () => {
  const { people, asked } = await desk({ faults: { groupPage: 1 } })
  expect(await people.lookUp(SAM, ['data'])).toMatchObject({ ok: true, person: { usergroups: ['S0000DATA'] } })
  expect(asked()).toHaveLength(3)
})

it('takes fields that nobody knows, and nulls, as nothing', async () => {
  const { people } = await desk({ faults: { surprises: true } })
  expect(await people.lookUp(ADA, ['data'])).toMatchObject({ ok: true, person: { usergroups: ['S0000DATA'] } })
})

describe('an app that is installed for a whole organisation', () => {
  const workspace = () => ({ ...defaultWorkspace(), organisation: { id: 'E0000ORG' } })
  const edgeOf = async (named?: string) => {
    const { sandbox, web, log, asked } = await desk({ workspace: workspace() })
    const send = createSend({ web, clock: Date.now, log })
    const team = async () => ((await send.identity()).organisation ? (named ?? null) : 'never')
    const troubles = createTroubles(log)
    const people = createPeople({ web, policy, team, log, troubles })
    await createInspection({ web, send, policy, team: named, troubles, log, sleep: async () => {} })(
      new AbortController().signal,
    )
    return { sandbox, people, asked, troubles }
  }

  it('lets people and groups of the workspace decide that keyturn.yaml names', async () => {
    const { people, troubles, sandbox } = await edgeOf('T0KEYTURN01')
    expect(troubles.all()).toEqual([])
    const ada = await people.lookUp(ADA, ['data'])
    expect(ada).toMatchObject({ ok: true, person: { external: false, usergroups: ['S0000DATA'] } })
    // An account of the organisation that has no workspace of its own, but is in ours.
    sandbox.setUser(SAM, { teams: ['T0000OTHER1', 'T0KEYTURN01'] })
    expect(await people.lookUp(SAM, ['data'])).toMatchObject({ ok: true, person: { external: false } })
    sandbox.setUser(SAM, { teams: ['T0000OTHER1'] })
    expect(await people.lookUp(SAM, ['data'])).toMatchObject({ ok: true, person: { external: true } })
  })

  it('lets nobody decide while keyturn.yaml names none, and says so', async () => {
    const { people, troubles, asked } = await edgeOf()
    expect(await people.lookUp(ADA, ['data'])).toEqual({ ok: false, reason: 'organisation_unclear' })
    expect(asked()).toEqual([])
    expect(troubles.all()).toEqual([expect.stringMatching(/installed for a whole organisation, and slack.team/)])
  })
})
