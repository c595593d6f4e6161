import { defineFacts } from '../../harness/facts.ts'

const read = '2026-11-28'
const V1 =
  'Airflow’s OpenAPI specification of 2.10.0 (stable REST API, v1), https://github.com/apache/airflow/blob/2.10.0/airflow/api_connexion/openapi/v1.yaml'
const V2 = 'Airflow’s OpenAPI specification of 3.2.1 (REST API, v2)'
const source = (file: string, at = 'main') => `https://github.com/apache/airflow/blob/${at}/${file}`
const core = (file: string) => source(`airflow-core/src/airflow/${file}`)
const backfill = core('models/backfill.py')

export const facts = defineFacts({
  of: 'Apache Airflow 2 and 3',
  enforcedBy: ['test/commands/airflow/server.ts', 'test/commands/airflow/state.ts', 'test/commands/airflow/calls.ts'],
  facts: [
    {
      says: 'Paths, parameters and bodies of every call, and the shapes of the answers; an unknown query parameter is refused.',
      source: `${V1}; ${V2}`,
      read,
    },
    {
      says: 'A page is at most [api] maximum_page_limit long (100 by default); a larger one that is asked for is made smaller without a word. total_entries counts all.',
      source: `${source('airflow/api_connexion/parameters.py', '00c4d7589d3c19370699d6bd381a140535842e55')} (check_limit); ${core('api_fastapi/common/parameters.py')} (LimitFilter)`,
      read,
    },
    {
      says: 'Lists of task instances take no order in 2.10; in 3 they take id.',
      source: `${V1}, get_task_instances; ${V2}, get_task_instances`,
      read,
    },
    {
      says: 'Runs and task instances can be asked for by end_date_gte and updated_at_gte; what has no such date is in neither list (SQL: null is not greater).',
      source: `${V1}; ${V2}`,
      read,
    },
    {
      says: 'A date of a DAG has one run: a second one is answered 409, as a second one of the same id is.',
      source: 'https://github.com/apache/airflow/pull/46554 (names #46295, which made it unique again)',
      read,
    },
    {
      says: 'POST dagRuns takes both ends of a data interval or neither; Airflow 2 takes them from 2.9.0 on.',
      source: 'https://github.com/apache/airflow/pull/36630',
      read,
    },
    {
      says: 'Airflow 3 passes a data interval over that comes without a logical date; a run without one has no interval.',
      source: `${core('api_fastapi/core_api/datamodels/dag_run.py')} (validate_context)`,
      read,
    },
    {
      says: 'Airflow 2 gives a run without a date the moment of the call.',
      source: `${source('airflow/api_connexion/schemas/dag_run_schema.py', '2.10.0')} (autogenerate)`,
      read,
    },
    {
      says: 'A backfill wants a DAG with a periodic schedule (422), and that none of the DAG is going (409; its dry run does not look at that).',
      source: backfill,
      read,
    },
    {
      says: 'A backfill takes dates of the schedule whose interval is over; a date that has a run is taken where reprocess_behavior fits the state of that run, and then the run itself is cleared, all of its tasks.',
      source: `${backfill} (_get_dag_run_no_create_reason, _handle_clear_run)`,
      read,
    },
    {
      says: 'A backfill that clears a run leaves the run its old conf before 3.2.2, and writes its own over it from then on.',
      source:
        'https://github.com/apache/airflow/issues/59043, https://github.com/apache/airflow/pull/64939, https://github.com/apache/airflow/pull/65599',
      read,
    },
    {
      says: 'A backfill without any date to run is answered 500 after it was stored.',
      source: `${backfill} (_create_backfill)`,
      read,
    },
    {
      says: 'PUT backfills/{id}/pause and unpause; one that has ended answers 409. Pausing stops new runs of it and none that goes on.',
      source: `${V2}; ${core('api_fastapi/core_api/routes/public/backfills.py')}`,
      read,
    },
    {
      says: 'clearTaskInstances with dry_run: true changes nothing and lists what would be cleared: whole task instances in 3, names only in 2.',
      source: `${V1}; ${V2}; ${core('api_fastapi/core_api/routes/public/task_instances.py')}`,
      read,
    },
    {
      says: 'Names alone clear no task after them; include_downstream does. only_failed takes failed and upstream_failed.',
      source: core('api_fastapi/core_api/routes/public/task_instances.py'),
      read,
    },
    {
      says: 'A run that has ended and is cleared is queued, and has no start and no end; one that goes on keeps its state.',
      source: `${source('airflow/models/taskinstance.py', '2.10.0')} (clear_task_instances); ${source('airflow/models/dagrun.py', '2.10.0')} (set_state)`,
      read,
    },
    {
      says: 'Marking a task as success clears what failed after it; where nothing did, its run stays failed.',
      source: `${source('airflow/models/dag.py', '2.10.0')} (set_task_instance_state: only_failed)`,
      read,
    },
    {
      says: 'PATCH dagRuns/{id} with queued lets the scheduler look at the run again; with success it sets every task so.',
      source: `${source('airflow/api/common/mark_tasks.py', '2.10.0')} (set_dag_run_state_to_queued sets the run alone; set_dag_run_state_to_success its tasks too, but for teardowns)`,
      read,
    },
    {
      says: 'The mask of PATCH connections is held against the names of the model: in 3 the field schema is schema_ there, and a name that it does not know is passed over.',
      source:
        core('api_fastapi/core_api/services/public/connections.py') +
        ' (update_orm_from_pydantic, commit 05a3eaf5) and datamodels/connections.py',
      read,
    },
    {
      says: 'A connection is looked for in a secrets backend, then in AIRFLOW_CONN_…, then in the database; the API shows the database.',
      source:
        'https://airflow.apache.org/docs/apache-airflow/stable/security/secrets/secrets-backend/index.html, search path',
      read,
    },
    {
      says: 'Testing a connection is answered 403 unless [core] test_connection allows it.',
      source: `${core('api_fastapi/core_api/routes/public/connections.py')} (test_connection)`,
      read,
    },
    {
      says: 'The log of try 0 is answered 422 by 3 and 500 by 2.',
      source: 'https://github.com/apache/airflow/issues/55514, https://github.com/apache/airflow/issues/13638',
      read,
    },
    {
      says: 'A pool of -1 slots has Infinity open ones, which Python writes into its JSON.',
      source: 'https://github.com/apache/airflow/issues/61115',
      read,
    },
    {
      says: 'A token that has expired is refused with 401 “Token Expired”, one that is none with 403.',
      source: `${source('airflow-core/src/airflow/api_fastapi/core_api/security.py', '00a1c46df0a9a3159f6ab8d8f94f4201b5f16289')} (get_user)`,
      read,
    },
    {
      says: 'Numbers of a conf keep their digits: Python’s integers have no end, and 2 and 2.0 differ.',
      source: 'https://docs.python.org/3/library/json.html',
      read,
    },
    {
      says: 'The process of a running task is called “airflow worker -- <id of the try>” in 3, “airflow task runner: <dag> <task> …” in 2.',
      source: `${source('task-sdk/src/airflow/sdk/execution_time/task_runner.py')} (startup); ${source('airflow/task/task_runner/standard_task_runner.py', 'be53a88ff75e51f99444bc62ae061006aabc7295')}`,
      read,
    },
    {
      says: 'MWAA: POST /webtoken/{Name} of env.airflow.<region>.amazonaws.com, signed for the service airflow, gives WebToken (60 s) and WebServerHostname.',
      source:
        'https://docs.aws.amazon.com/mwaa/latest/API/API_CreateWebLoginToken.html; https://docs.aws.amazon.com/mwaa/latest/userguide/call-mwaa-apis-web.html',
      read,
    },
    {
      says: 'MWAA: the web token is posted as a form to /aws_mwaa/login for the cookie session (Airflow 2), to /pluginsv2/aws_mwaa/login for the cookie _token, which goes as a bearer token (Airflow 3).',
      source:
        'https://docs.aws.amazon.com/mwaa/latest/userguide/access-mwaa-apache-airflow-rest-api.html, as the MWAA hook of apache-airflow-providers-amazon does',
      read,
    },
    {
      says: 'Cloud Composer 2 and 3 take an access token of the scope cloud-platform; a new account gets the role Op.',
      source: 'https://cloud.google.com/composer/docs/composer-2/access-airflow-api',
      read,
    },
    {
      says: 'FAB’s rights are named DAGs, DAG Runs, Task Instances, Task Logs, Pools, ImportError, Datasets or Assets, Connections, Backfills. Other than reading what belongs to a DAG takes can edit on the DAG, and for a task instance the right on DAG Runs and Task Instances both.',
      source: `${source('airflow/security/permissions.py', '01127354552143ab46dc979bf1e01f1af5a1f323')}; ${source('providers/fab/src/airflow/providers/fab/auth_manager/fab_auth_manager.py', '00c69bf7fe0917cbbecda8bc3347e93a1b1eeb2c')}`,
      read,
    },
  ],
  unchecked: [
    { says: 'All of it on a real Airflow, MWAA, Composer or Astronomer.', why: 'none could be run here' },
    {
      says: 'Airflow 3.0 answers 403 to a token that has expired; 403 is taken for that where the text says so.',
      why: 'from knowledge; only later sources, with 401, could be opened',
    },
    {
      says: 'Which 3.2 release first has the mended backfill: the change was merged into its branch on 2026-04-21, and 3.2.2 is taken to be the first for certain.',
      why: 'the list of changes of 3.2.1 was not at hand',
    },
    {
      says: 'A run of Airflow 2 whose state is set to queued ends by itself as its tasks stand.',
      why: 'read in the source of mark_tasks.py only, not tried',
    },
    {
      says: 'MWAA sends a request without a session to a login page (302).',
      why: 'as other clients handle it; no environment was at hand',
    },
  ],
})
