import crypto, { type KeyObject } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'

/** Signatures kept at most; then all are forgotten. */
const KEPT = 20_000

/**
 * Makes this process compute each Ed25519 signature once: signing the same bytes again gives the same signature, and what
 * was signed here verifies over exactly those bytes with that key's other half. Everything else is verified for real.
 * This changes no answer, only what a million schedules cost; it holds for the whole process, so only a program calls it.
 */
export function reuseSignatures(): void {
  const { sign, verify, createPublicKey } = crypto
  const bySignature = new Map<string, { bytes: Buffer; key: KeyObject }>()
  const byBytes = new Map<string, { signature: Buffer; key: KeyObject }>()
  const halves = new WeakMap<KeyObject, KeyObject>()
  const pairs = new WeakMap<KeyObject, KeyObject>()
  const isPair = (pub: KeyObject, priv: KeyObject) => {
    if (pairs.get(pub) === priv) return true
    const half = halves.get(priv) ?? createPublicKey(priv)
    halves.set(priv, half)
    if (!half.equals(pub)) return false
    pairs.set(pub, priv)
    return true
  }
  const reused = {
    sign(algorithm: null, bytes: Buffer, key: KeyObject): Buffer {
      const text = bytes.toString('latin1')
      const known = byBytes.get(text)
      if (known?.key === key) return known.signature
      const signature = sign(algorithm, bytes, key)
      if (byBytes.size >= KEPT) byBytes.clear()
      if (bySignature.size >= KEPT) bySignature.clear()
      byBytes.set(text, { signature, key })
      bySignature.set(signature.toString('latin1'), { bytes, key })
      return signature
    },
    verify(algorithm: null, bytes: Buffer, key: KeyObject, signature: Buffer): boolean {
      const known = bySignature.get(signature.toString('latin1'))
      if (known?.bytes.equals(bytes) && isPair(key, known.key)) return true
      return verify(algorithm, bytes, key, signature)
    },
  }
  Object.assign(crypto, reused)
  syncBuiltinESMExports()
}
