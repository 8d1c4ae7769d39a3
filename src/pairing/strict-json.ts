/**
 * JSON.parse with two more demands: no object names a key twice (RFC 8259 leaves open which one counts, so two
 * readers could disagree), and the bytes are valid UTF-8. Null when they are not met.
 */
export function parseStrictJson(bytes: Uint8Array): { value: unknown } | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    const value: unknown = JSON.parse(text)
    return countKeysInText(text) === countKeys(value) ? { value } : null
  } catch {
    return null
  }
}

/** Counts keys: in valid JSON a string followed by a colon is a key, and nothing else is. */
function countKeysInText(text: string): number {
  let keys = 0
  for (const match of text.matchAll(/"(?:[^"\\]|\\.)*"[ \t\n\r]*(?<colon>:?)/gu)) {
    if (match.groups?.['colon'] === ':') keys++
  }
  return keys
}

function countKeys(value: unknown): number {
  let keys = 0
  const pending = [value]
  while (pending.length > 0) {
    const next = pending.pop()
    if (typeof next !== 'object' || next === null) continue
    if (!Array.isArray(next)) keys += Object.keys(next).length
    for (const child of Object.values(next)) pending.push(child)
  }
  return keys
}
