import { z } from 'zod'

/** One call of Airflow's API as this project makes it; `{name}` in the path stands for one segment. */
export type Shape = Readonly<{ id: string; method: string; path: string; query?: z.ZodObject; body?: z.ZodObject }>

const text = z.string().min(1)
const texts = z.union([text, z.array(text)])
const page = { limit: z.coerce.number().int().max(100), offset: z.coerce.number().int().min(0) }
const moment = z.iso.datetime()
const ordered = (field: string) => z.strictObject({ ...page, order_by: z.literal(field) })
const mask = (...fields: string[]) =>
  z.strictObject({
    update_mask: texts.refine((given) =>
      [given].flat().every((one) => one.split(',').every((field) => fields.includes(field))),
    ),
  })
const runs = z.strictObject({
  ...page,
  order_by: z.literal('-start_date'),
  state: texts.optional(),
  end_date_gte: moment.optional(),
  logical_date_gte: z.string().optional(),
  logical_date_lte: z.string().optional(),
  execution_date_gte: z.string().optional(),
  execution_date_lte: z.string().optional(),
})
const tasks = z.strictObject({
  ...page,
  // Airflow 2.10 takes no order here.
  order_by: z.literal('id').optional(),
  state: texts.optional(),
  pool: text.optional(),
  end_date_gte: moment.optional(),
  updated_at_gte: moment.optional(),
})
const clear = z.strictObject({
  dry_run: z.boolean(),
  dag_run_id: text,
  task_ids: z.array(text).min(1),
  only_failed: z.boolean(),
  include_downstream: z.boolean(),
  reset_dag_runs: z.literal(true),
})
const stored = z.strictObject({
  connection_id: text,
  conn_type: text,
  host: text.nullable(),
  login: text.nullable(),
  schema: text.nullable(),
  port: z.number().int().nullable(),
  password: text.optional(),
  extra: text.optional(),
})
const storedMask = mask('conn_type', 'host', 'login', 'schema', 'schema_', 'port', 'password', 'extra')
const one = '/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}'

const both: Shape[] = [
  { id: 'get_version', method: 'GET', path: '/version' },
  { id: 'get_dag', method: 'GET', path: '/dags/{dag_id}' },
  {
    id: 'patch_dag',
    method: 'PATCH',
    path: '/dags/{dag_id}',
    query: mask('is_paused'),
    body: z.strictObject({ is_paused: z.boolean() }),
  },
  { id: 'get_tasks', method: 'GET', path: '/dags/{dag_id}/tasks' },
  { id: 'get_dag_runs', method: 'GET', path: '/dags/{dag_id}/dagRuns', query: runs },
  { id: 'get_dag_run', method: 'GET', path: '/dags/{dag_id}/dagRuns/{dag_run_id}' },
  { id: 'get_task_instances', method: 'GET', path: '/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances', query: tasks },
  { id: 'get_task_instance', method: 'GET', path: one },
  { id: 'get_mapped_task_instance', method: 'GET', path: `${one}/{map_index}` },
  { id: 'post_clear_task_instances', method: 'POST', path: '/dags/{dag_id}/clearTaskInstances', body: clear },
  { id: 'get_import_errors', method: 'GET', path: '/importErrors', query: ordered('import_error_id') },
  { id: 'get_pool', method: 'GET', path: '/pools/{pool_name}' },
  { id: 'get_connection', method: 'GET', path: '/connections/{connection_id}' },
  { id: 'post_connection', method: 'POST', path: '/connections', body: stored },
  { id: 'patch_connection', method: 'PATCH', path: '/connections/{connection_id}', query: storedMask, body: stored },
  { id: 'test_connection', method: 'POST', path: '/connections/test', body: stored },
]

const log = z.strictObject({ full_content: z.literal('true'), map_index: z.coerce.number().int().min(-1) })
const conf = z.record(z.string(), z.unknown())
const dated = { data_interval_start: z.string().optional(), data_interval_end: z.string().optional() }
const backfill = z.strictObject({
  dag_id: text,
  from_date: text,
  to_date: text,
  reprocess_behavior: z.enum(['none', 'failed', 'completed']),
  max_active_runs: z.number().int().min(1),
  run_backwards: z.boolean(),
  dag_run_conf: conf,
})

/** Every call that the commands make, by version of the API. A request that is none of them is refused. */
export const CALLS: Readonly<Record<1 | 2, readonly Shape[]>> = {
  1: [
    ...both,
    { id: 'get_log', method: 'GET', path: `${one}/logs/{task_try_number}`, query: log },
    {
      id: 'patch_task_instance',
      method: 'PATCH',
      path: one,
      body: z.strictObject({ dry_run: z.literal(false), new_state: z.literal('success') }),
    },
    {
      id: 'patch_mapped_task_instance',
      method: 'PATCH',
      path: `${one}/{map_index}`,
      body: z.strictObject({ dry_run: z.literal(false), new_state: z.literal('success') }),
    },
    {
      id: 'post_dag_run',
      method: 'POST',
      path: '/dags/{dag_id}/dagRuns',
      body: z.strictObject({ dag_run_id: text, conf, logical_date: z.string().optional(), ...dated }),
    },
    {
      id: 'update_dag_run_state',
      method: 'PATCH',
      path: '/dags/{dag_id}/dagRuns/{dag_run_id}',
      body: z.strictObject({ state: z.enum(['success', 'failed', 'queued']) }),
    },
    {
      id: 'patch_pool',
      method: 'PATCH',
      path: '/pools/{pool_name}',
      query: mask('slots'),
      body: z.strictObject({ name: text, slots: z.number().int() }),
    },
    { id: 'get_datasets', method: 'GET', path: '/datasets', query: ordered('id') },
  ],
  2: [
    ...both,
    { id: 'get_log', method: 'GET', path: `${one}/logs/{try_number}`, query: log },
    {
      id: 'patch_task_instance',
      method: 'PATCH',
      path: one,
      query: mask('new_state'),
      body: z.strictObject({ new_state: z.literal('success') }),
    },
    {
      id: 'patch_task_instance_by_map_index',
      method: 'PATCH',
      path: `${one}/{map_index}`,
      query: mask('new_state'),
      body: z.strictObject({ new_state: z.literal('success') }),
    },
    {
      id: 'trigger_dag_run',
      method: 'POST',
      path: '/dags/{dag_id}/dagRuns',
      body: z.strictObject({ dag_run_id: text, conf, logical_date: z.string().nullable(), ...dated }),
    },
    {
      id: 'patch_dag_run',
      method: 'PATCH',
      path: '/dags/{dag_id}/dagRuns/{dag_run_id}',
      query: mask('state'),
      body: z.strictObject({ state: z.enum(['success', 'failed', 'queued']) }),
    },
    {
      id: 'list_backfills',
      method: 'GET',
      path: '/backfills',
      query: z.strictObject({ ...page, order_by: z.literal('id'), dag_id: text }),
    },
    { id: 'create_backfill', method: 'POST', path: '/backfills', body: backfill },
    { id: 'create_backfill_dry_run', method: 'POST', path: '/backfills/dry_run', body: backfill },
    { id: 'pause_backfill', method: 'PUT', path: '/backfills/{backfill_id}/pause' },
    { id: 'unpause_backfill', method: 'PUT', path: '/backfills/{backfill_id}/unpause' },
    {
      id: 'patch_pool',
      method: 'PATCH',
      path: '/pools/{pool_name}',
      query: mask('slots'),
      body: z.strictObject({ slots: z.number().int() }),
    },
    { id: 'get_assets', method: 'GET', path: '/assets', query: ordered('id') },
  ],
}

export type Asked = Readonly<{
  id: string
  params: Readonly<Record<string, string>>
  query: Readonly<Record<string, string | string[]>>
  body: Record<string, unknown>
}>

/** Finds the call that a request is, and checks its query and body against the project's own schemas. */
export function recognise(
  api: 1 | 2,
  method: string,
  url: URL,
  body: unknown,
): Asked | { status: number; detail: string } {
  const segments = url.pathname.replace(`/api/v${api}`, '').split('/')
  const fits = (shape: Shape) => {
    const parts = shape.path.split('/')
    return (
      shape.method === method &&
      parts.length === segments.length &&
      parts.every((part, i) => part.startsWith('{') || part === segments[i])
    )
  }
  // `/connections/test` before `/connections/{connection_id}`: the more fixed segments, the better.
  const fixed = (shape: Shape) => shape.path.split('/').filter((part) => !part.startsWith('{')).length
  const shape = CALLS[api].filter(fits).toSorted((a, b) => fixed(b) - fixed(a))[0]
  if (!shape) return { status: 404, detail: `no call of this project: ${method} ${url.pathname}` }
  const query: Record<string, string | string[]> = {}
  for (const key of url.searchParams.keys()) {
    const all = url.searchParams.getAll(key)
    query[key] = all.length > 1 ? all : all[0]!
  }
  const wrong = [(shape.query ?? z.strictObject({})).safeParse(query).error, shape.body?.safeParse(body).error].find(
    Boolean,
  )
  if (wrong) return { status: 400, detail: z.prettifyError(wrong) }
  if (!shape.body && body !== undefined) return { status: 400, detail: 'a body that nobody asked for' }
  const params = Object.fromEntries(
    shape.path
      .split('/')
      .flatMap((part, i) => (part.startsWith('{') ? [[part.slice(1, -1), decodeURIComponent(segments[i]!)]] : [])),
  )
  return { id: shape.id, params, query, body: (body ?? {}) as Record<string, unknown> }
}
