import { afterEach, describe, expect, it } from '@jest/globals'
import type { Policy } from '../../src/domain/policy.ts'
import { Policy as PolicySchema, refusePerson } from '../../src/domain/policy.ts'
import { createSandboxSlack, type SandboxOptions } from '../../src/sandbox/slack/server.ts'
import { defaultWorkspace } from '../../src/sandbox/slack/workspace.ts'
import { createPeople } from '../../src/slack/approvers.ts'
import { createWeb } from '../../src/slack/send.ts'
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
  return { sandbox, has, people: createPeople({ web, policy: given, team, log, timeout }) }
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

  it.each([[{ outage: '503' }], [{ rateLimited: 1 }], [{ errorAfterCommit: 1 }]] as const)(
    'the members of a group are not to be had: %j',
    async (faults) => {
      const { people } = await desk({ faults: { ...faults, methods: ['usergroups.users.list'] } })
      expect(await people.lookUp(ADA)).toEqual(failed)
    },
  )

  it('a named group does not exist any more', async () => {
    const workspace = { ...defaultWorkspace(), usergroups: [] }
    expect(await (await desk({ workspace })).people.lookUp(ADA)).toEqual(failed)
  })

  it('Slack answers too late', async () => {
    const { people } = await desk({ faults: { slowMs: 400 } }, policy, 30)
    expect(await people.lookUp(ADA)).toEqual(failed)
  })

  it('there is no such user', async () => {
    expect(await (await desk()).people.lookUp('U0NOBODY')).toEqual(failed)
  })
})

it('asks for no group when the policy names none', async () => {
  const { sandbox, people } = await desk({}, PolicySchema.parse({ approvers: { data: { users: [ONA] } } }))
  expect(await people.lookUp(ONA)).toMatchObject({ ok: true, person: { usergroups: [] } })
  expect(sandbox.log.map((entry) => entry.name)).toEqual(['users.info'])
})
