import { randomOf } from './scheduler.ts'

/** Where a process is killed: a seam that `crash-preload.ts` names, or `during send POST`, where the target does it. */
export type Point = Readonly<{
  process: 'bot' | 'worker'
  seam: string
  /** What is true there, in words. */
  what: string
  /** How often it is passed at least in a crowded run; more than once only there. */
  often?: boolean
  /** Needs Slack's HTTP mode. */
  http?: boolean
}>

const bot = (seam: string, what: string, more: Pick<Point, 'often' | 'http'> = {}): Point => ({
  process: 'bot',
  seam,
  what,
  ...more,
})
const worker = (seam: string, what: string, often = false): Point => ({ process: 'worker', seam, what, often })
const OFTEN = { often: true }

/** The matrix; of each process the most telling ones come first. To add a point is a line here. */
export const POINTS: readonly Point[] = [
  bot('after append incident.opened', 'alert stored, not answered', OFTEN),
  bot('after slack chat.postMessage', 'posted to Slack, timestamp not stored', OFTEN),
  bot('after append proposal.granted', 'grant stored, job not queued, click not answered'),
  bot('after sign grant', 'grant signed, not stored'),
  bot('after seen', 'click verified, not stored', { http: true, often: true }),
  bot('before answer alert', 'alert stored, work queued, not answered', OFTEN),
  bot('receive alert', 'alert received, nothing stored', OFTEN),
  bot('before append incident.opened', 'incident listed, its alert not stored', OFTEN),
  bot('before ring read', 'alert stored, its work not queued', OFTEN),
  bot('after ring read', 'work queued, alert not answered', OFTEN),
  bot('after answer alert', 'alert answered', OFTEN),
  bot('after list', 'incident being listed'),
  bot('after lease', 'incident leased for its thread, nothing posted', OFTEN),
  bot('after pace', 'turn in the channel taken, nothing posted', OFTEN),
  bot('after attempt', 'attempt to post noted, nothing posted', OFTEN),
  bot('before slack chat.postMessage', 'about to post', OFTEN),
  bot('after ts', 'timestamp of a message stored', OFTEN),
  bot('before slack chat.update', 'about to edit', OFTEN),
  bot('after slack chat.update', 'edited, not noted', OFTEN),
  bot('before rendered', 'thread complete, not noted'),
  bot('after slack files.getUploadURLExternal', 'upload of a file begun'),
  bot('before slack files.completeUploadExternal', 'file uploaded, not shared'),
  bot('after slack files.completeUploadExternal', 'file shared, not noted'),
  bot('receive click', 'click received, not verified', { http: true, often: true }),
  bot('after slack users.info', 'person looked up', OFTEN),
  bot('after slack views.open', 'modal opened, not filled', OFTEN),
  bot('after slack views.update', 'modal filled', OFTEN),
  bot('before sign decision', 'click allowed, nothing signed', OFTEN),
  bot('before append proposal.decided', 'decision signed, not stored', OFTEN),
  bot('after append proposal.decided', 'decision stored, click not answered', OFTEN),
  bot('before sign grant', 'quorum reached, grant not signed'),
  bot('before ring run', 'grant stored, job not queued'),
  bot('after ring run', 'job queued, click not answered'),
  bot('before answer click', 'click stored, not answered', { http: true, often: true }),
  bot('after answer click', 'click answered', { http: true, often: true }),
  bot('after append run.settled', 'choice after an unknown outcome stored, target still locked'),
  bot('before unlock', 'target about to be freed by a choice'),
  bot('after append incident.resolved', 'resolve stored, not answered'),
  bot('after append incident.reopened', 'reopening stored, not answered'),
  bot('after append proposal.expired', 'expiry stored, not shown'),

  worker('during send POST', 'effect landed, the target has not answered'),
  worker('after append step.started', 'step stored as begun, nothing sent'),
  worker('after append run.started', 'START stored, no step begun'),
  worker('after send POST', 'effect answered, result not stored'),
  worker('before job run', 'job taken'),
  worker('after append run.finished', 'outcome stored, target still locked'),
  worker('before append run.unknown', 'lost run probed, not stored as unknown'),
  worker('after lock', 'target locked, START not stored'),
  worker('after beat', 'run alive, START not stored'),
  worker('before append run.started', 'about to store START'),
  worker('before send POST', 'about to send the effect'),
  worker('before append step.done', 'result known, not stored'),
  worker('after append step.done', 'result stored, not verified'),
  worker('before append run.finished', 'verified, outcome not stored'),
  worker('before unlock', 'outcome stored, target about to be freed'),
  worker('after unlock', 'target freed, job not completed'),
  worker('before complete run', 'job about to be completed'),
  worker('after complete run', 'job completed'),
  worker('after append run.unknown', 'lost run stored as unknown'),
  worker('before job read', 'evidence or plan about to be made', true),
  worker('before append evidence.gathered', 'evidence read, not stored', true),
  worker('after append evidence.gathered', 'evidence stored, job not completed', true),
  worker('before append plan.made', 'plan made, not stored'),
  worker('after append plan.made', 'plan stored, job not completed'),
  worker('before complete read', 'evidence or plan stored, job about to be completed', true),
]

/** How many points of each process one run kills it at. */
const AT_ONCE = { bot: 3, worker: 2 }
const of = (process: Point['process']) => POINTS.filter((p) => p.process === process)

/** How many seeds pass through the whole matrix. */
export const PASS = Math.max(Math.ceil(of('bot').length / AT_ONCE.bot), Math.ceil(of('worker').length / AT_ONCE.worker))

/** The points of a seed: the first pass goes through the matrix as it is listed, the others in an order of their own. */
export function pointsOf(seed: number): Point[] {
  const pass = Math.floor((seed - 1) / PASS)
  return (['bot', 'worker'] as const).flatMap((process) => {
    const random = randomOf(pass)
    const shuffled = of(process).map((point) => ({ point, by: pass === 0 ? 0 : random.next() }))
    const order = shuffled.sort((a, b) => a.by - b.by).map(({ point }) => point)
    const n = AT_ONCE[process]
    const from = (((seed - 1) % PASS) % Math.ceil(order.length / n)) * n
    return order.slice(from, from + n)
  })
}
