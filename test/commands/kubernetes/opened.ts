import type { ChangeCommand, ReadCommand } from '../../../src/domain/command.ts'
import type { Plan } from '../../../src/domain/plan.ts'
import { createWorld, propose } from '../context.ts'
import { startKubernetes, TOKEN } from './server.ts'

export const LOADER = { connection: 'cluster', namespace: 'streaming', deployment: 'loader' }

/** A cluster with the deployment `loader` of two pods, and commands that reach it. */
export async function openCluster(more: Record<string, unknown> = {}) {
  const server = await startKubernetes()
  await server.state.deploy('streaming', 'loader', 'loader:1', 2)
  const settings = {
    server: server.url,
    tokenFrom: 'KUBE_TOKEN',
    namespaces: { streaming: { deployments: { loader: { replicas: { min: 0, max: 20 } } } } },
    steadySeconds: 0.02,
    readyMinutes: 0.1,
    ...more,
  }
  const world = createWorld({
    secrets: { KUBE_TOKEN: TOKEN },
    connections: { cluster: { kind: 'kubernetes', environment: 'production', settings } },
  })
  return {
    server,
    world,
    loader: () => server.state.find('streaming', 'loader'),
    pods: () => server.state.podsOf('loader'),
    async read(command: unknown, params: Record<string, unknown>) {
      const { params: schema, read } = command as ReadCommand
      return read(schema.parse(params), world.read())
    },
    plan: (command: ChangeCommand, params: Record<string, unknown> = {}) =>
      propose(command, { ...LOADER, ...params }, world.read()),
    run(command: ChangeCommand, made: Plan) {
      const { ctx, recording } = world.run(made)
      return { ended: command.run(made, ctx), recording }
    },
    async landed(command: ChangeCommand, made: Plan) {
      const found = []
      for (const { id } of made.steps) found.push((await command.probe(made, id, world.read())).landed)
      return found
    },
    verified: async (command: ChangeCommand, made: Plan) =>
      (await command.verify(made, world.read())).map(
        ({ title, ok, detail }) => `${ok ? '✓' : '✗'} ${title}: ${detail}`,
      ),
    async close() {
      await world.close()
      await server.stop()
    },
  }
}
export type Opened = Awaited<ReturnType<typeof openCluster>>
