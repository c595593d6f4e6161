import type { Right } from '../../src/domain/command.ts'
import type { Own } from '../aws/narrow.ts'

/** All that a run needs which asks EMR these things of one cluster. */
export const changing = (own: Own, cluster: string, actions: readonly string[]): readonly Right[] => [
  {
    actions: actions.map((action) => `elasticmapreduce:${action}`),
    resources: [own('elasticmapreduce', `cluster/${cluster}`)],
  },
]
