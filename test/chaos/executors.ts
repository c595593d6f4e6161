import { commands } from '../../commands/index.ts'
import type { Command } from '../../src/domain/command.ts'
import { type Away, type Lines, openRig, type Rig, strayed } from './executor-rig.ts'
import type { Fields } from './peers/peer.ts'
import { randomOf } from './scheduler.ts'
import { tame, vector } from './vectors.ts'
import { Violation } from './violation.ts'

/**
 * A line for each command that changes something: its connection's kind, parameters as they should be, and the request that
 * changes something, which these parameters must lead to.
 */
export const EXECUTORS: Lines = {
  'postgres.cancel-query': ['postgres', { pid: 7 }, /select pg_cancel_backend\(pid\)/],
  'postgres.terminate-sessions': ['postgres', { pids: '7, 8' }, /select pg_terminate_backend\(pid, 5000\)/],
  'redshift.terminate-sessions': ['redshift', { pids: '7' }, /^select pg_terminate_backend\(process\)/],
  'redshift.copy': [
    'redshift',
    { load: 'orders', source: 's3://lake/in/a/', maxErrors: 0 },
    / ExecuteStatement .*COPY /,
  ],
  'redshift.alter-columns': [
    'redshift',
    { load: 'orders', add: 'note varchar(10)', widen: 'name 20' },
    /^ALTER TABLE /,
  ],
  'redshift.quarantine-rejected': ['redshift', { load: 'orders', query: 7 }, /^POST \/\*\?uploadId /],
  'redshift.reboot-cluster': ['redshift', {}, / RebootCluster /],
  'http.request': [
    'http',
    { method: 'POST', path: '/jobs/7', body: '{"a":1}', check: '/jobs/7/state' },
    /^POST \/base\/v7\/jobs\/\*\?/,
  ],
  'http.operate': ['http', { operation: 'retry', args: ['job=7'] }, /^POST \S+\/jobs\/\*\/state\?/],
  'http.bulk': ['http', { operation: 'retry-all', args: ['job=7'], count: 1 }, /^POST \S+\/jobs\/\*\/state\?/],
  'alertmanager.silence': [
    'alertmanager',
    { labels: ['alertname=Lag', 'topic=orders'], minutes: 5, reason: 'known' },
    /^POST \S+\/silences\?/,
  ],
  'pagerduty.acknowledge': ['pagerduty', { incident: 'P123ABC' }, /^PUT \S+\/incidents\/\*\?/],
  'pagerduty.resolve': ['pagerduty', { incident: 'P123ABC' }, /^PUT \S+\/incidents\/\*\?/],
  'airflow.clear-tasks': ['airflow', { dag: 'etl', run: 'r1', tasks: 'load' }, /^POST \S+\/clearTaskInstances\?/],
  'airflow.mark-success': ['airflow', { dag: 'etl', run: 'r1', tasks: 'load' }, /^PATCH \S+\/taskInstances\/\*\?/],
  'airflow.trigger-run': ['airflow', { dag: 'etl', conf: '{"day":1}' }, /^POST \S+\/dags\/\*\/dagRuns\?/],
  'airflow.pause-dag': ['airflow', { dag: 'etl' }, /^PATCH \S+\/dags\/\*\?/],
  'airflow.resume-dag': ['airflow', { dag: 'etl' }, /^PATCH \S+\/dags\/\*\?/],
  'airflow.set-pool-slots': ['airflow', { pool: 'pool', slots: 3 }, /^PATCH \S+\/pools\/\*\?/],
  'airflow.restore-connection': ['airflow', { id: 'warehouse' }, /^PATCH \S+\/connections\/\*\?/],
  'airflow.recover-many': ['airflow', { dags: 'etl, clean', hours: 3 }, /^POST \S+\/clearTaskInstances\?/],
  's3.quarantine-records': ['s3', { bucket: 'lake', key: 'in/a.json' }, /^POST \/\*\?uploadId /],
  's3.delete-prefix': ['s3', { bucket: 'lake', prefix: 'tmp/j-1/', job: 'j-1' }, /^POST \/\*\?delete /],
  's3.repack-archive': ['s3', { bucket: 'lake', key: 'in/a.gz' }, /^POST \/\*\?uploadId /],
  'dynamodb.set-capacity': ['dynamodb', { table: 'orders', write: 5 }, / UpdateTable /],
  'dynamodb.go-on-demand': ['dynamodb', { table: 'orders' }, / UpdateTable /],
  'rds.start-export': [
    'rds',
    { name: 'nightly', source: 'arn:aws:rds:us-east-1:1:snapshot:a', databases: 'shop' },
    / StartExportTask /,
  ],
  'rds.cancel-export': ['rds', { name: 'nightly' }, / CancelExportTask /],
  'rds.resize-instance': ['rds', { instance: 'db1', class: 'db.r6g.large' }, / ModifyDBInstance /],
  'emr.cancel-steps': ['emr', { cluster: 'j-1', steps: 's-1' }, / CancelSteps /],
  'emr.kill-application': [
    'emr',
    { cluster: 'j-1', application: 'application_1700000000000_0007' },
    / SendCommand .*yarn application -kill /,
  ],
  'emr.resize': ['emr', { cluster: 'j-1', group: 'ig-2', instances: 5 }, / ModifyInstanceGroups /],
  'machines.restart-units': [
    'machines',
    { group: 'workers', units: 'app.service' },
    / SendCommand .*systemctl restart /,
  ],
  'machines.pin-packages': ['machines', { group: 'workers', packages: 'curl=1' }, / SendCommand .*apt-get install /],
  'machines.clean-up': [
    'machines',
    { group: 'workers', folder: '/var/tmp/app', olderThanHours: 48, unit: 'app.service' },
    / SendCommand .* -delete/,
  ],
  'machines.cycle-instances': [
    'machines',
    { group: 'workers', instances: 'i-0a000001' },
    / TerminateInstanceInAutoScalingGroup /,
  ],
  'machines.resize-group': ['machines', { group: 'workers', wanted: 3 }, / SetDesiredCapacity /],
  'kubernetes.scale': [
    'kubernetes',
    { namespace: 'shop', deployment: 'web', replicas: 2 },
    /^PATCH \S+\/deployments\/\*\/scale\?/,
  ],
  'kubernetes.resume-autoscaler': [
    'kubernetes',
    { namespace: 'shop', deployment: 'web' },
    /^PATCH .*autoscaling\.keda\.sh\/paused/,
  ],
  'kubernetes.rollout-restart': [
    'kubernetes',
    { namespace: 'shop', deployments: 'web' },
    /^PATCH \S+\/deployments\/\*\?/,
  ],
  'kubernetes.rollout-undo': [
    'kubernetes',
    { namespace: 'shop', deployment: 'web', revision: 2 },
    /^PATCH \S+\/deployments\/\*\?/,
  ],
  'kafka.replay': ['kafka', { dump: 'month', topic: 'clicks', perSecond: 1000 }, /^Produce clicks$/],
  'kafka.skip-record': ['kafka', { topic: 'orders', group: 'loader', partition: 0 }, /^OffsetCommit loader orders$/],
  'cloudformation.roll-back': ['cloudformation', { service: 'checkout', commit: 'a'.repeat(40) }, / UpdateStack /],
  'script.run': ['script', { script: 'say', args: ['note=hello', 'mode=on'] }, /^runs$/],
}

/** Parameters of any kind through every command: what a system is asked has the shape that it has for good ones. */
export function createExecutorsPart(lines: Lines = EXECUTORS, all: readonly Command[] = commands) {
  let rig: Promise<Rig> | null = null
  const shapes = new Map<string, Set<string>>()
  let [vectors, reached] = [0, 0]

  /**
   * The shapes of what is asked for parameters that mean no harm. A statement, and what names a topic or a group, is what the
   * sample leads to and no other.
   */
  async function learn(open: Rig, id: string, params: Fields, away: Away = 'nothing'): Promise<void> {
    const known = shapes.get(id) ?? new Set<string>()
    shapes.set(id, known)
    const isSample = params === lines[id]![1]
    const { asked, reached: good } = await open.call(id, params, away)
    for (const { shape, host } of asked) if (isSample || host !== '') known.add(shape)
    if (isSample && !good && away === 'nothing') throw new Violation(`good parameters of ${id} do not reach the change`)
  }

  return {
    async run(seed: number): Promise<void> {
      rig ??= openRig(lines, all)
      const open = await rig
      const random = randomOf(seed)
      const id = random.pick(Object.keys(lines))
      const [kind, sample] = lines[id]!
      if (!shapes.has(id)) await learn(open, id, sample)
      const evil = vector(random, sample)
      const away = random.chance(0.9) ? 'nothing' : random.pick<Away>(['everything', 'the change'])
      const seen = await open.call(id, evil, away)
      vectors += 1
      if (seen.reached) reached += 1
      const what = () => `${id} with ${JSON.stringify(evil)}`
      if (open.elsewhere.asked.length > 0) throw new Violation(`a redirect was followed by ${what()}`)
      if (seen.strange) throw new Violation(`a connection to ${seen.strange} by ${what()}`)
      for (const one of seen.asked) {
        const fault = strayed(open, kind, one)
        if (fault) throw new Violation(`${fault}, by ${what()}`)
      }
      const isNew = () => seen.asked.find(({ shape }) => !shapes.get(id)!.has(shape))
      if (away !== 'nothing' && isNew()) await learn(open, id, sample, away)
      // Good parameters of the same number may ask something else than the sample does.
      if (isNew()) await learn(open, id, tame(evil, sample) as Fields, away)
      const strange = isNew()
      if (strange)
        throw new Violation(`another request than for good parameters: ${strange.shape} (${strange.url}), by ${what()}`)
      if (id === 'script.run') spoken(evil, seen.said)
      if (id === 'kafka.replay' && seen.planned && evil.dump !== sample.dump)
        throw new Violation(`a file was read that is no dump, by ${what()}`)
    },
    async close(): Promise<string> {
      await (await rig)?.stop()
      return `${shapes.size} commands; ${reached} of ${vectors} came as far as the change`
    },
  }
}

/** The program was given exactly the bytes of the parameters, each as one argument. */
function spoken(params: Fields, said: readonly unknown[]): void {
  if (said.length === 0) return
  const given = new Map(
    (params.args as readonly unknown[]).map((arg) => String(arg).split(/=(.*)/s) as [string, string]),
  )
  const wanted = `--${given.get('note')}\n${given.get('mode')}`
  const { output } = said[0] as { output: string }
  if (output !== wanted)
    throw new Violation(`the program was given ${JSON.stringify(output)}, not ${JSON.stringify(wanted)}`)
}
