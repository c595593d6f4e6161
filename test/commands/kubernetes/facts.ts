import { defineFacts } from '../../harness/facts.ts'

const read = '2026-11-28'
/** The API reference as the client library carries it with its types. */
const MODEL = '@kubernetes/client-node 2.0.1, gen/models,'

export const facts = defineFacts({
  of: 'Kubernetes’ API, with HPA, KEDA, Argo CD and Flux',
  enforcedBy: ['test/commands/kubernetes/server.ts', 'test/commands/kubernetes/state.ts'],
  facts: [
    {
      says: 'If the wanted number of a target is 0 and the minReplicas of its HPA are above 0, the HPA stops adjusting it until somebody sets another number.',
      source:
        'https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#implicit-maintenance-mode-deactivation',
      read,
    },
    {
      says: 'autoscaling.keda.sh/paused-replicas on a ScaledObject scales its target to that number and pauses KEDA, whatever its triggers say; paused alone keeps the number of now; with both the first one counts; removing both resumes.',
      source: 'https://keda.sh/docs/2.16/concepts/scaling-deployments/#pausing-autoscaling',
      read,
    },
    {
      says: 'The HPA that KEDA makes is owned by its ScaledObject, is deleted or bounded to the number while that is paused, and is no second autoscaler.',
      source:
        'https://github.com/kedacore/keda/blob/main/controllers/keda/hpa.go (executor.GetPausedReplicaCount), kedacore/keda#6800',
      read,
    },
    {
      says: 'A place in a list (continue) can be forgotten: 410 Gone with the reason Expired, “The provided continue parameter is too old to display a consistent list result”.',
      source: `${MODEL} V1ListMeta.continue; https://github.com/kubernetes/apiserver/tree/master/pkg/storage/etcd3`,
      read,
    },
    {
      says: 'With a limit, the continue of a list is opaque; remainingItemCount says how many are left, but not of a list with a selector.',
      source: `${MODEL} V1ListMeta`,
      read,
    },
    {
      says: 'A merge patch has the content type application/merge-patch+json, a JSON patch application/json-patch+json.',
      source: '@kubernetes/client-node 2.0.1, PatchStrategy',
      read,
    },
    { says: 'resourceVersion is opaque, and serves optimistic concurrency.', source: `${MODEL} V1ObjectMeta`, read },
    {
      says: 'Pods in the phase Failed or Succeeded have ended for good, and stay in lists until somebody or the garbage collection removes them.',
      source: 'https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-garbage-collection',
      read,
    },
    {
      says: 'restartCount counts all restarts of a container since its pod began, and may begin at 0 again after a node was restarted.',
      source: `${MODEL} V1ContainerStatus.restartCount; kubernetes/kubernetes#4121`,
      read,
    },
    {
      says: 'An init container with restartPolicy Always is started again whenever it ends, beside the others: a sidecar.',
      source: `${MODEL} V1Container.restartPolicy`,
      read,
    },
    {
      says: 'A change of the spec, by an autoscaler too, raises the generation; managedFields names the managers of fields.',
      source: `${MODEL} V1ObjectMeta.generation, V1ManagedFieldsEntry`,
      read,
    },
    {
      says: 'A projected token lives an hour by default; the kubelet writes a new one at 80 percent of that, or after a day.',
      source: `${MODEL} V1ServiceAccountTokenProjection.expirationSeconds`,
      read,
    },
    {
      says: 'minReplicas of an HPA is 1 where it is not said; it is 0 only with an alpha feature, and such an HPA does not rest at 0.',
      source: `${MODEL} V2HorizontalPodAutoscalerSpec.minReplicas`,
      read,
    },
    {
      says: 'An EKS token is `k8s-aws-v1.` and the base64url, without padding, of a GetCallerIdentity URL signed over host and x-k8s-aws-id; it is signed for 60 seconds, and taken for fifteen minutes.',
      source:
        'https://github.com/kubernetes-sigs/aws-iam-authenticator/blob/0221afb8e2a5d14a20a93473edc4c2aa7676ce95/pkg/token/token.go',
      read,
    },
    {
      says: 'A StatefulSet’s rollout has ended when readyReplicas is what is wanted, and updatedReplicas the wanted number less the partition; the pods below the partition keep the old revision. Without a partition, when updateRevision is currentRevision.',
      source: `${MODEL} V1StatefulSetStatus, V1RollingUpdateStatefulSetStrategy; kubectl, rollout_status.go (StatefulSetStatusViewer)`,
      read,
    },
    {
      says: 'A DaemonSet’s desiredNumberScheduled is always there, and counts the nodes that are to run its pod; numberAvailable those on which it is available.',
      source: `${MODEL} V1DaemonSetStatus`,
      read,
    },
    {
      says: 'A Job ends with the condition Complete or Failed; before that come SuccessCriteriaMet and FailureTarget, and Suspended while it is. Reasons of a failure are BackoffLimitExceeded, DeadlineExceeded, PodFailurePolicy, FailedIndexes and MaxFailedIndexesExceeded.',
      source: `${MODEL} V1JobStatus.conditions; github.com/kubernetes/api, batch/v1/types.go`,
      read,
    },
    {
      says: 'Of the Jobs of a CronJob only some are kept, so that the Job of its last run may be gone; lastScheduleTime is the last start, lastSuccessfulTime the last success; suspend ends no run that began.',
      source: `${MODEL} V1CronJobStatus, V1CronJobSpec (successfulJobsHistoryLimit, suspend)`,
      read,
    },
    {
      says: 'A claim is Pending, Bound or Lost. Its conditions are Resizing, FileSystemResizePending, ControllerResizeError, NodeResizeError, ModifyingVolume, ModifyVolumeError and, from 1.36 on, Unused; allocatedResourceStatuses.storage names the step of a resize, whose last word was …Failed in older versions and is …Infeasible in newer ones.',
      source: `${MODEL} V1PersistentVolumeClaimStatus; github.com/kubernetes/api, core/v1/types.go; https://kubernetes.io/blog/2026/09/21/kubernetes-v1-37-pvc-last-used-time/`,
      read,
    },
    {
      says: 'Nodes and storage classes have no namespace in their path, and a Role of a namespace does not reach them. With the ClusterRole of rights.yaml one can be read by its name, and none be listed.',
      source: `${MODEL} V1StorageClass (“non-namespaced”); https://kubernetes.io/docs/reference/access-authn-authz/rbac/`,
      read,
    },
    {
      says: 'A node’s Ready is Unknown when its kubelet has not reported; its pressure conditions and NetworkUnavailable are bad when True; unschedulable is what kubectl cordon sets.',
      source: `${MODEL} V1NodeCondition, V1NodeSpec; https://kubernetes.io/docs/reference/node/node-status/#condition`,
      read,
    },
  ],
  unchecked: [
    { says: 'All of it against an API server.', why: 'none can be run on the machines of the tests' },
    {
      says: 'A conflict is 409, another content type 415, a patch that cannot be applied 422; custom resources know no strategic merge patch; zeros are left out of a status; a kind that is not installed is 404 and a missing right 403.',
      why: 'known from practice and from the field’s review of our calls; the page on API concepts was not at hand',
    },
    { says: 'An EKS cluster takes the token.', why: 'no EKS cluster was at hand' },
    {
      says: 'GKE takes an access token of google-auth-library with the scope cloud-platform.',
      why: 'no GKE cluster was at hand',
    },
    {
      says: 'Argo CD and Flux leave the annotation of a restart, which git does not name, where it is.',
      why: 'known from practice; neither can be run here',
    },
    {
      says: 'With label tracking Argo CD is known by its manager in managedFields and app.kubernetes.io/instance.',
      why: 'known from practice',
    },
    {
      says: 'Conditions that agents add to nodes end with Ready where True is good (EKS’ node monitoring), and name a trouble where it is not (node-problem-detector, AKS).',
      why: 'known from their documentation, which was not at hand; a name of neither form is shown as unknown',
    },
    {
      says: '429 of API priority and fairness carries Retry-After, and nothing was done.',
      why: 'the documentation says so; it was not provoked on an API server',
    },
  ],
})
