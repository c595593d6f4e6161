import { defineFacts } from '../../harness/facts.ts'

const read = '2026-11-28'
const CONCEPTS = 'https://kubernetes.io/docs/reference/using-api/api-concepts/'

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
      source: 'github.com/kedacore/keda, controllers/keda/hpa.go and the scale executor',
      read,
    },
    {
      says: 'A place in a list (continue) can be forgotten: 410 Gone with the reason Expired, “The provided continue parameter is too old to display a consistent list result”.',
      source: `${CONCEPTS}#retrieving-large-results-sets-in-chunks and github.com/kubernetes/apiserver, storage/etcd3`,
      read,
    },
    {
      says: 'A list without a limit is whole; with one, its continue is opaque and remainingItemCount says how many are left.',
      source: `${CONCEPTS}#retrieving-large-results-sets-in-chunks`,
      read,
    },
    {
      says: 'A merge patch has the content type application/merge-patch+json, a JSON patch application/json-patch+json; custom resources know no strategic merge patch, and anything else is 415.',
      source: `${CONCEPTS}#patch-and-apply; the default of @kubernetes/client-node 2.0.1 is JSON patch (its PatchStrategy)`,
      read,
    },
    {
      says: 'A patch that names another resourceVersion than the object has is 409 Conflict; resourceVersion is an opaque string.',
      source: `${CONCEPTS}#resource-versions`,
      read,
    },
    {
      says: 'Pods in the phase Failed or Succeeded have ended for good and stay in lists until they are cleaned up; a ReplicaSet has made others by then.',
      source:
        'https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase; kubernetes/kubernetes pod garbage collection',
      read,
    },
    {
      says: 'restartCount counts from the birth of a pod; lastState holds its last end, however long ago that was.',
      source: 'kubernetes/kubernetes#4121; core/v1 ContainerStatus of the API reference',
      read,
    },
    {
      says: 'An init container with restartPolicy Always is a sidecar: it runs beside the others, and its restarts are its own.',
      source: 'https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/',
      read,
    },
    {
      says: 'Zeros are left out of a status; a change of the spec, by an autoscaler too, raises the generation; managedFields names who wrote last.',
      source:
        'apps/v1 Deployment of the API reference; https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management',
      read,
    },
    {
      says: 'A kind that is not installed is 404 for the list of it; a missing right is 403 with the verb, the resource and the namespace.',
      source: 'https://kubernetes.io/docs/reference/access-authn-authz/rbac/; the API server’s Status of 404 and 403',
      read,
    },
    {
      says: 'A projected service account token is written anew into its file before it ends, after an hour by default; clients are to read the file again.',
      source:
        'https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken; file_auth.js of @kubernetes/client-node 2.0.1',
      read,
    },
    {
      says: 'kubectl rollout undo takes the template of an older ReplicaSet without its pod-template-hash.',
      source: 'https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-back-a-deployment',
      read,
    },
  ],
  unchecked: [
    { says: 'All of it against an API server.', why: 'none can be run on the machines of the tests' },
    {
      says: 'An EKS token is `k8s-aws-v1.` and the base64url of a GetCallerIdentity URL signed over host and x-k8s-aws-id.',
      why: 'the form is that of aws-iam-authenticator’s README; no EKS cluster was at hand',
    },
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
      says: '429 of API priority and fairness carries Retry-After, and nothing was done.',
      why: 'the documentation says so; it was not provoked on an API server',
    },
  ],
})
