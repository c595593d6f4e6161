import { crc32 } from 'node:zlib'

/**
 * How producers choose a partition by the key, by the name that each gives it. `murmur2`: Java, and librdkafka with
 * partitioner=murmur2_random. `consistent_random`: librdkafka's default, so Python, Go (confluent), C#, Rust. `fnv1a`: sarama.
 */
export const PARTITIONERS = ['murmur2', 'consistent_random', 'fnv1a'] as const
export type Partitioner = (typeof PARTITIONERS)[number]

/** A partition for a key, or null where the partitioner takes any. */
export function partitionOf(partitioner: Partitioner, key: Buffer | null, count: number): number | null {
  if (key === null) return null
  if (partitioner === 'murmur2') return (murmur2(key) & 0x7fffffff) % count
  if (partitioner === 'consistent_random') return key.length === 0 ? null : crc32(key) % count
  // Sarama takes the remainder of a signed number, and then its distance from zero.
  return Math.abs((fnv1a(key) | 0) % count)
}

/** org.apache.kafka.common.utils.Utils.murmur2, as an unsigned number. */
function murmur2(bytes: Buffer): number {
  const M = 0x5bd1e995
  let h = (0x9747b28c ^ bytes.length) | 0
  const whole = bytes.length & ~3
  for (let at = 0; at < whole; at += 4) {
    let k = Math.imul(bytes.readInt32LE(at), M)
    k = Math.imul(k ^ (k >>> 24), M)
    h = Math.imul(h, M) ^ k
  }
  const left = bytes.length - whole
  if (left > 2) h ^= bytes[whole + 2]! << 16
  if (left > 1) h ^= bytes[whole + 1]! << 8
  if (left > 0) h = Math.imul(h ^ bytes[whole]!, M)
  h = Math.imul(h ^ (h >>> 13), M)
  return (h ^ (h >>> 15)) >>> 0
}

/** FNV-1a of 32 bits. */
function fnv1a(bytes: Buffer): number {
  let hash = 0x811c9dc5
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}
