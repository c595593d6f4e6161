/**
 * What one of our own servers enforces because the real thing does, and where that stands. Each server has a `facts.ts` beside
 * it; docs/facts.md is made of all of them (`npm run facts`).
 */
export type Fact = Readonly<{
  /** One sentence about the real thing. */
  says: string
  /** A page (https://…), a specification or model by name and version, or the peer that it was tried on. */
  source: string
  /** The day that was read or tried: YYYY-MM-DD. */
  read: string
}>

export type Facts = Readonly<{
  /** The real thing, as people call it. */
  of: string
  /** Files that rest on these facts, from the top folder. */
  enforcedBy: readonly string[]
  facts: readonly Fact[]
  /** What our server does and nobody could check, and why not. */
  unchecked: readonly Readonly<{ says: string; why: string }>[]
}>

export const defineFacts = (facts: Facts): Facts => facts
