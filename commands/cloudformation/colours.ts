import type { ReadContext, RunContext } from '../../src/domain/command.ts'
import { Refused } from '../../src/domain/command.ts'
import { Commit } from '../github/verdict.ts'
import { rest } from '../settle.ts'
import type { Service } from './connection.ts'
import { isBusy, type Side, sidesOf, type stacksOf, trafficOf, versionAt } from './look.ts'
import type { Update } from './update.ts'

/** What a rollback does, as its plan keeps it. */
export type RollBack = Readonly<{
  connection: string
  service: string
  commit: string
  /** The colour that gets the commit, and the one that is taken out. */
  to: string
  from: string
  /** What it runs: the one that was shown, and no later one, is taken out. */
  bad: string
  /** Null when the commit is on its colour already. */
  deploy: Update | null
  /** Null when the users are moved by something else, or there already. */
  traffic: Update | null
  /** Null when nothing tells that the users have left the other colour: then both go on. */
  drain: Update | null
  /** Parameters of Systems Manager that CloudFormation reads anew with each update. */
  held?: readonly string[]
}>

/** Which colour gets the commit and which one goes. Both run while an earlier rollback has stopped half-way. */
export function chooseColours(name: string, sides: Side[], wanted: string): { to: Side; from: Side; commit: string } {
  const [a, b] = sides as [Side, Side]
  const live = sides.filter((side) => side.capacity > 0)
  if (live.length === 0) throw new Refused(`Neither colour of ${name} runs: there is nothing to roll back.`)
  const has = live.filter((side) => side.version === wanted)
  if (live.length === 2 && has.length !== 1)
    throw new Refused(
      `Both colours of ${name} run: ${a.colour} has ${a.version}, ${b.colour} has ${b.version}. Give the commit of the one that stays.`,
    )
  const from = live.length === 2 ? live.find((side) => side !== has[0])! : live[0]!
  const to = from === a ? b : a
  const commit = wanted === 'idle' ? to.version : wanted
  if (from.version === commit) throw new Refused(`${name} runs ${commit} on ${from.colour} already.`)
  if (!Commit.safeParse(commit).success)
    throw new Refused(
      `${to.colour}, the idle colour, has ${JSON.stringify(commit)}, which is no commit. Give the commit.`,
    )
  return { to, from, commit }
}

/** Waits for the commit to be answered several times in a row; another answer begins the row again. */
export async function untilHealthy(
  data: RollBack,
  service: Service,
  { what, url, hint = '' }: { what: string; url: string; hint?: string },
  everySeconds: number,
  ctx: RunContext,
): Promise<number> {
  const until = ctx.now().getTime() + service.healthyMinutes * 60_000
  let inRow = 0
  let last = ''
  while (inRow < service.healthyAnswers) {
    if (ctx.now().getTime() > until)
      throw new Error(
        `${what} did not answer ${data.commit} within ${service.healthyMinutes} minutes (${last}); ${data.from} still runs, nothing was taken away${hint}`,
      )
    const seen = await versionAt(service, url, ctx.signal)
    inRow = 'commit' in seen && seen.commit === data.commit ? inRow + 1 : 0
    last = 'commit' in seen ? `it answers ${seen.commit}` : seen.fault
    ctx.progress(inRow, service.healthyAnswers, `${what}: ${last}`)
    if (inRow < service.healthyAnswers) await rest(everySeconds, ctx.signal)
  }
  return inRow
}

/** Just before copies are taken away: nobody has deployed meanwhile, and both users and the colour that stays get the commit. */
export async function refuseUnlessReady(
  data: RollBack,
  service: Service,
  stacks: Awaited<ReturnType<typeof stacksOf>>,
  ctx: ReadContext,
): Promise<void> {
  const busy = [...stacks.values()].find(isBusy)
  if (busy) throw new Refused(`Another deploy of "${busy.StackName}" has begun. Both colours were left running.`)
  const sides = sidesOf(service, stacks)
  const [stays, goes] = [data.to, data.from].map((colour) => sides.find((side) => side.colour === colour))
  if (goes?.version !== data.bad)
    throw new Refused(`${data.from} has ${goes?.version} now, not ${data.bad}. Both colours were left running.`)
  const seen = await versionAt(service, service.colours[data.to]!.url, ctx.signal)
  if (stays?.version !== data.commit || stays.capacity === 0 || !('commit' in seen && seen.commit === data.commit))
    throw new Refused(`${data.to} does not run ${data.commit} any more. Both colours were left as they are.`)
  const users = trafficOf(service, stacks)
  if (service.traffic && users !== data.to)
    throw new Refused(
      `The traffic is set to ${users ?? 'neither colour'}, not to ${data.to}. Both colours were left running.`,
    )
  if (!service.publicUrl) return
  const got = await versionAt(service, service.publicUrl, ctx.signal)
  if (!('commit' in got && got.commit === data.commit))
    throw new Refused(
      `Users get ${'commit' in got ? got.commit : `no version (${got.fault})`}, not ${data.commit}. Both colours were left running.`,
    )
}
