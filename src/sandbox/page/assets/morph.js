/** @param {Node} node */
const keyOf = (node) => (node instanceof Element ? node.getAttribute('data-key') : null)

/** What a person or the script sets, and a new rendering must not undo. */
const KEPT = new Set(['open', 'data-state', 'aria-invalid'])

/**
 * Makes the element `from` equal to `to`, touching only what differs, so that focus, scroll positions and half-typed
 * fields survive. Elements with the same `data-key` are the same; children of `data-keep` belong to the script.
 * @param {Node} from
 * @param {Node} to
 */
export function morph(from, to) {
  if (from instanceof Element && to instanceof Element) {
    for (const { name } of [...from.attributes])
      if (!KEPT.has(name) && !to.hasAttribute(name)) from.removeAttribute(name)
    for (const { name, value } of [...to.attributes])
      if (!KEPT.has(name) && from.getAttribute(name) !== value) from.setAttribute(name, value)
    if (!from.hasAttribute('data-keep')) children(from, to)
  } else if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue
}

/**
 * @param {Element} from
 * @param {Element} to
 */
function children(from, to) {
  const wanted = [...to.childNodes]
  const keys = new Set(wanted.map(keyOf))
  const keyed = new Map()
  for (const child of [...from.childNodes]) {
    const key = keyOf(child)
    if (key !== null && !keys.has(key)) child.remove()
    else if (key !== null) keyed.set(key, child)
  }
  let at = from.firstChild
  for (const next of wanted) {
    const key = keyOf(next)
    const alike = at && keyOf(at) === null && key === null && at.nodeName === next.nodeName ? at : null
    const known = key === null ? alike : keyed.get(key)
    if (!known || known.nodeName !== next.nodeName) {
      from.insertBefore(next, at)
      continue
    }
    if (known === at) at = known.nextSibling
    else from.insertBefore(known, at)
    morph(known, next)
  }
  while (at) {
    const after = at.nextSibling
    at.remove()
    at = after
  }
}
