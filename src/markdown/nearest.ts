/** Names longer than this are not compared. */
const LONGEST = 64

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    row = next
  }
  return row[b.length]!
}

/** The name that was probably meant: the fewest edits away, at most a third of its length; null if none is near. */
export function nearest(name: string, known: Iterable<string>): string | null {
  if (name.length > LONGEST) return null
  let best: string | null = null
  let fewest = Number.POSITIVE_INFINITY
  for (const one of known) {
    const edits = distance(name.toLowerCase(), one.toLowerCase())
    if (edits < fewest && edits <= Math.max(2, Math.floor(one.length / 3))) {
      best = one
      fewest = edits
    }
  }
  return best
}

/** The remedy for an unknown name: the near one, or the list of all. */
export function instead(name: string, known: readonly string[]): string {
  const near = nearest(name, known)
  if (near !== null) return `Write ${JSON.stringify(near)} if that was meant`
  return known.length > 0 ? `Use one of: ${known.join(', ')}` : 'None is known'
}
