import { createWorld } from '../context.ts'
import { startAirflow, TOKEN } from './server.ts'

/** An Airflow of one version with a connection `jobs` to it; `more` are further settings. */
export async function startJobs(api: 1 | 2, more: object = {}) {
  const server = await startAirflow(api)
  const settings = {
    baseUrl: server.origin,
    api,
    auth: { kind: 'bearer', tokenFrom: 'AIRFLOW_TOKEN' },
    dags: ['*'],
    pollSeconds: 0.005,
    ...more,
  }
  const secrets = {
    AIRFLOW_TOKEN: TOKEN,
    AIRFLOW_PASSWORD: 'pw',
    GOOD_PASSWORD: 'canary-connection-password',
    GOOD_EXTRA: '{"region_name":"eu-west-1","token":"canary-extra"}',
    AWS_ID: 'AKIA',
    AWS_SECRET: 'canary-aws',
  }
  const open = (override: object = {}, now?: () => Date, further: Readonly<Record<string, string>> = {}) =>
    createWorld({
      secrets: { ...secrets, ...further },
      ...(now && { now }),
      connections: { jobs: { kind: 'airflow', environment: 'test', settings: { ...settings, ...override } } },
    })
  return { server, open }
}
