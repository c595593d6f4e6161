import { z } from 'zod'
import { alertmanager } from './alertmanager.ts'
import { generic } from './generic.ts'
import type { SourceKind } from './source.ts'

const kinds = [
  alertmanager,
  generic,
  // A new kind of source: one file beside this one, and one line here.
] as const

/** Every kind of source there is. */
export const sourceKinds: readonly SourceKind[] = kinds

type SettingsOf<Kinds> = { -readonly [Index in keyof Kinds]: Kinds[Index] extends SourceKind<infer S> ? S : never }

/** The settings of one source in keyturn.yaml, told apart by `kind`. */
export const SourceSettings = z.discriminatedUnion(
  'kind',
  kinds.map((kind) => kind.settings) as unknown as SettingsOf<typeof kinds>,
  {
    error: (issue) =>
      issue.code === 'invalid_union' ? `must be one of ${kinds.map(({ kind }) => kind).join(', ')}` : undefined,
  },
)
export type SourceSettings = z.output<typeof SourceSettings>
