import { Fault, startJson } from './json-server.ts'

export type Step = { Id: string; Name: string; state: string; created: number }
export type Group = {
  Id: string
  InstanceGroupType: string
  InstanceType: string
  RequestedInstanceCount: number
  RunningInstanceCount: number
  state: string
}

/** EMR with one cluster j-1: its steps and groups are state. */
export async function startEmr() {
  const state = { cluster: 'WAITING', steps: [] as Step[], groups: [] as Group[] }
  const need = (input: Record<string, unknown>) => {
    if (input.ClusterId !== 'j-1') throw new Fault('InvalidRequestException', 'Cluster id is not valid.')
  }
  const show = (step: Step) => ({
    Id: step.Id,
    Name: step.Name,
    Status: { State: step.state, Timeline: { CreationDateTime: step.created } },
  })
  const server = await startJson('elasticmapreduce', 'ElasticMapReduce', {
    DescribeCluster(input) {
      need(input)
      return { Cluster: { Id: 'j-1', Name: 'parsers', Status: { State: state.cluster }, ReleaseLabel: 'emr-7.1.0' } }
    },
    ListSteps(input) {
      need(input)
      const wanted = input.StepStates as string[] | undefined
      return { Steps: state.steps.filter((step) => !wanted || wanted.includes(step.state)).map(show) }
    },
    DescribeStep(input) {
      need(input)
      const step = state.steps.find((one) => one.Id === input.StepId)
      if (!step) throw new Fault('InvalidRequestException', 'Step id is not valid.')
      return { Step: show(step) }
    },
    CancelSteps(input) {
      need(input)
      const ids = input.StepIds as string[]
      return {
        CancelStepsInfoList: ids.map((id) => {
          const step = state.steps.find((one) => one.Id === id)
          if (!step || !['PENDING', 'RUNNING'].includes(step.state))
            return { StepId: id, Status: 'FAILED', Reason: 'Cannot cancel a step that has ended' }
          step.state = 'CANCELLED'
          return { StepId: id, Status: 'SUBMITTED' }
        }),
      }
    },
    ListInstanceGroups(input) {
      need(input)
      return { InstanceGroups: state.groups.map(({ state: State, ...group }) => ({ ...group, Status: { State } })) }
    },
    ModifyInstanceGroups(input) {
      for (const change of input.InstanceGroups as { InstanceGroupId: string; InstanceCount: number }[]) {
        const group = state.groups.find((one) => one.Id === change.InstanceGroupId)
        if (!group || group.InstanceGroupType === 'MASTER' || group.state !== 'RUNNING')
          throw new Fault('InvalidRequestException', 'The instance group cannot be resized.')
        group.RequestedInstanceCount = change.InstanceCount
        group.state = 'RESIZING'
      }
      return {}
    },
  })
  return { ...server, state }
}
