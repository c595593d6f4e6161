import { Refused } from '../../src/domain/command.ts'
import { Answered, type Kubernetes } from './client.ts'
import { pausedAt } from './keepers.ts'
import { ScaledObject } from './nouns.ts'

/** A ScaledObject as a plan has it; `paused` as `pausedAt` tells. */
export type ShownObject = Readonly<{ name: string; uid: string; paused: string | null }>

const TRIES = 10

export const shownObject = (object: ScaledObject): ShownObject => ({
  name: object.metadata.name,
  uid: object.metadata.uid,
  paused: pausedAt(object),
})

/** How it stands now; null if it is gone, or is another one of that name. */
export async function stillShown(
  client: Kubernetes,
  namespace: string,
  { name, uid }: ShownObject,
  signal: AbortSignal,
): Promise<ShownObject | null> {
  const found = await client.get('scaledObjects', ScaledObject, { namespace, name }, signal)
  return found && found.metadata.uid === uid ? shownObject(found) : null
}

/**
 * Sets annotations of a ScaledObject, or takes away those that are null, if it is paused as it was shown. KEDA writes its status
 * all the time, so that a conflict is looked at again.
 */
export async function patchScaledObject(
  client: Kubernetes,
  namespace: string,
  shown: ShownObject,
  annotations: Readonly<Record<string, string | null>>,
  signal: AbortSignal,
): Promise<void> {
  const place = { namespace, name: shown.name }
  for (let left = TRIES; left > 0; left--) {
    const found = await client.get('scaledObjects', ScaledObject, place, signal)
    if (found?.metadata.uid !== shown.uid || pausedAt(found) !== shown.paused)
      throw new Refused(
        `The ScaledObject ${shown.name} was changed by somebody else after this was shown. Nothing was changed; ask again.`,
      )
    const metadata = { resourceVersion: found.metadata.resourceVersion, annotations }
    try {
      await client.patch('scaledObjects', place, { metadata }, false, signal)
      return
    } catch (error) {
      if (error instanceof Answered && error.status === 409) continue
      throw error
    }
  }
  throw new Refused(`The ScaledObject ${shown.name} changed again and again. Nothing was changed; ask again.`)
}
