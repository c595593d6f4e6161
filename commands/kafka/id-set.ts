import { createHash } from 'node:crypto'

/** 16 bytes an id at most, so about 1 GB for the largest dump. */
const MOST = 64_000_000

/** Tells ids that it has seen, by eight bytes of their SHA-256: a wrong yes once in 10^5 dumps of 20 million ids. */
export function createIdSet() {
  let slots = new BigUint64Array(1024)
  let size = 0
  const put = (table: BigUint64Array, hash: bigint): boolean => {
    const mask = table.length - 1
    let at = Number(hash & BigInt(mask))
    while (table[at] !== 0n) {
      if (table[at] === hash) return false
      at = (at + 1) & mask
    }
    table[at] = hash
    return true
  }
  return {
    /** False if it was added before. */
    add(id: string): boolean {
      const hash = createHash('sha256').update(id).digest().readBigUInt64LE() || 1n
      if (!put(slots, hash)) return false
      size += 1
      if (size > MOST) throw new Error(`more than ${MOST} ids in one dump: divide it`)
      if (size * 2 <= slots.length) return true
      const larger = new BigUint64Array(slots.length * 2)
      for (const known of slots) if (known !== 0n) put(larger, known)
      slots = larger
      return true
    },
  }
}
