const plain = (name: string): string => name.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, '')
const withoutDigits = (name: string): string => name.replaceAll(/\d+/g, '')

/** Edits from one name to the other, a swap of two neighbours being one; stops counting above `most`. */
function edits(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swap = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? (before[j - 2] ?? most) + 1 : change
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, change, swap))
    }
    before = row
    row = next
  }
  return row[b.length]!
}

/**
 * The known name that was very likely meant: another way to write it, one letter or swap away, or two in a long one. Names
 * that differ in a number (`host1`, `host2`) or in how they begin (`min_rows`, `max_rows`) are two names. Null if there is none.
 */
export function misspelt(name: string, known: Iterable<string>): string | null {
  const names = [...known]
  if (names.includes(name) || name.length > 64) return null
  for (const one of names) {
    if (plain(one) === plain(name) && plain(name) !== '') return one
    const shorter = Math.min(one.length, name.length)
    if (one.length > 64 || shorter < 4 || withoutDigits(one) === withoutDigits(name)) continue
    const most = shorter >= 8 && one.slice(0, 3) === name.slice(0, 3) ? 2 : 1
    if (edits(one.toLowerCase(), name.toLowerCase(), most) <= most) return one
  }
  return null
}
