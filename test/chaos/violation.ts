/** A promise did not hold. */
export class Violation extends Error {
  override name = 'Violation'
  /** The seed that shows it again, where it is not known from the call. */
  seed?: number
}

/** Throws Violation, with what happened, unless it holds. */
export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Violation(what)
}
