import { defineFacts } from '../../harness/facts.ts'

const DG = 'https://docs.aws.amazon.com/redshift/latest/dg'
const MGMT = 'https://docs.aws.amazon.com/redshift/latest/mgmt'
const MODEL = '@aws-sdk/client-redshift-data 3.1169.0, models_0.d.ts, enums.d.ts and schemas_0.js'
const read = '2026-11-28'

export const facts = defineFacts({
  of: 'Amazon Redshift',
  enforcedBy: [
    'test/commands/redshift/server.ts',
    'test/commands/redshift/warehouse.ts',
    'test/commands/redshift/copy.ts',
    'test/commands/redshift/kinds.test.ts',
  ],
  facts: [
    {
      says: 'query_id of the SYS views and query of the STL tables are not the same identifier.',
      source: `${DG}/SYS_QUERY_HISTORY.html`,
      read,
    },
    {
      says: 'STL_LOAD_ERRORS knows only loads of main clusters, and none of concurrency scaling.',
      source: `${DG}/r_STL_LOAD_ERRORS.html`,
      read,
    },
    {
      says: 'raw_line has at most 1,024 bytes, with a period in place of each multibyte character.',
      source: `${DG}/r_STL_LOAD_ERRORS.html`,
      read,
    },
    {
      says: 'SYS_LOAD_ERROR_DETAIL has file, line, column, code and message of an error, and neither line nor value.',
      source: `${DG}/SYS_LOAD_ERROR_DETAIL.html`,
      read,
    },
    {
      says: 'Of a JSON file the line of an error is the last one of its object.',
      source: `${DG}/SYS_LOAD_ERROR_DETAIL.html`,
      read,
    },
    {
      says: 'SYS_LOAD_HISTORY has query_id and transaction_id as BIGINT, and the states running, completed and aborted.',
      source: `${DG}/SYS_LOAD_HISTORY.html`,
      read,
    },
    {
      says: 'Whether a query’s transaction was committed is in SYS_TRANSACTION_HISTORY (committed, rolledback), which only superusers see.',
      source: `${DG}/SYS_TRANSACTION_HISTORY.html`,
      read,
    },
    { says: 'Ordinary users see only their own rows of SYS views.', source: `${DG}/SYS_LOAD_HISTORY.html`, read },
    {
      says: 'SYS_SESSION_HISTORY has the state (active, timed out, closed) and the number of the user as text.',
      source: `${DG}/SYS_SESSION_HISTORY.html`,
      read,
    },
    {
      says: 'Serverless lets nobody ask STL, STV, SVCS and SVL, but SVV_COLUMNS, SVV_REDSHIFT_COLUMNS, SVV_EXTERNAL_COLUMNS and SVV_TRANSACTIONS.',
      source: `${MGMT}/serverless-monitoring.html`,
      read,
    },
    {
      says: 'There and in Multi-AZ such a view is refused with 42501, permission denied for relation.',
      source:
        'https://github.com/datahub-project/datahub/issues/11922, https://github.com/open-metadata/OpenMetadata/issues/14820',
      read,
    },
    {
      says: 'A VARCHAR is not widened with the encodings BYTEDICT, RUNLENGTH, TEXT255, TEXT32K, with a default value, of a UNIQUE, PRIMARY KEY or FOREIGN KEY, or inside a transaction block.',
      source: `${DG}/r_ALTER_TABLE.html`,
      read,
    },
    {
      says: 'PG_TERMINATE_BACKEND ends the user’s own sessions, and those of others for a superuser.',
      source: `${DG}/PG_TERMINATE_BACKEND.html`,
      read,
    },
    {
      says: 'COPY of Parquet and ORC takes ACCEPTINVCHARS, FILLRECORD and MANIFEST, and no MAXERROR; files lie in the warehouse’s own region.',
      source: `${DG}/copy-usage_notes-copy-from-columnar.html`,
      read,
    },
    {
      says: 'A JSONPaths file below the location of the data is loaded as data.',
      source: `${DG}/copy-parameters-data-format.html`,
      read,
    },
    {
      says: 'The Data API keeps results for 24 hours, and takes 100 KB of SQL.',
      source: `${MGMT}/data-api.html`,
      read,
    },
    {
      says: 'A statement is SUBMITTED, PICKED and STARTED before it is FINISHED, FAILED or ABORTED.',
      source: MODEL,
      read,
    },
    {
      says: 'ListStatements gives 100 at most, and without a Status those that are FINISHED.',
      source: 'https://docs.aws.amazon.com/redshift-data/latest/APIReference/API_ListStatements.html',
      read,
    },
    { says: 'A workgroup is named by WorkgroupName, and has no DbUser.', source: MODEL, read },
    { says: 'A statement is seen by callers of the same IAM role.', source: `${MGMT}/data-api.html`, read },
    {
      says: 'Too many active statements are refused with ActiveStatementsExceededException, HTTP 400.',
      source: MODEL,
      read,
    },
    {
      says: 'AmazonRedshiftDataFullAccess gives GetClusterCredentials for the database user redshift_data_api_user only.',
      source: `${MGMT}/data-api-access.html`,
      read,
    },
    { says: 'The query id that the Data API tells is query_id of SYS_QUERY_HISTORY.', source: MODEL, read },
    {
      says: 'A cluster is rebooting until its reboot is over; an event is made then.',
      source: 'https://docs.aws.amazon.com/redshift/latest/APIReference/API_RebootCluster.html',
      read,
    },
  ],
  unchecked: [
    {
      says: 'A ClientToken is known for 8 hours.',
      why: 'From knowledge: the model says that it makes a request idempotent, and not for how long; the page could not be opened here.',
    },
    {
      says: 'A run of multibyte characters is kept as one period for each byte or for each character: both are taken.',
      why: 'The page says neither, and no Redshift could be asked.',
    },
    {
      says: 'The messages of ValidationException and of SVL_S3LOG.',
      why: 'No page quotes them; nothing is decided by them but the length in a message about Parquet.',
    },
    {
      says: 'start_time of SYS_LOAD_HISTORY and starttime of STL_LOAD_ERRORS differ by less than a minute.',
      why: 'No page says how they relate.',
    },
    {
      says: 'session_id of SYS_SESSION_HISTORY is the pid that PG_TERMINATE_BACKEND takes on Serverless.',
      why: 'Only seen in public answers; no workgroup could be asked.',
    },
    { says: 'data_source of a COPY with MANIFEST is the location of the manifest.', why: 'No page says it.' },
    { says: 'A VARCHAR of a sort key is widened.', why: 'The page does not name sort keys, so the plan only warns.' },
    {
      says: 'Multi-AZ refuses SVV_TRANSACTIONS.',
      why: 'AWS lists SVV among what Multi-AZ refuses; which of them is not said.',
    },
  ],
})
