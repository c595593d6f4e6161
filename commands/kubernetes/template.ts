import type { Template } from './nouns.ts'

/** A label that the cluster adds to the template of a replica set; a deployment's own has none. */
const HASH = 'pod-template-hash'

/** The template without what the cluster adds to it. */
export function plain(template: Template): Template {
  const { [HASH]: _, ...labels } = template.metadata?.labels ?? {}
  return { ...template, metadata: { ...template.metadata, labels } }
}

/** The paths at which two JSON values differ. Values are not shown: an environment may hold secrets. */
export function differences(a: unknown, b: unknown, path = ''): string[] {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return Object.is(a, b) ? [] : [path]
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>]
  return [...new Set([...Object.keys(left), ...Object.keys(right)])]
    .sort()
    .flatMap((key) => differences(left[key], right[key], path ? `${path}.${key}` : key))
}
