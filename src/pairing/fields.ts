/**
 * The one encoding that hashes and MACs are computed over: every field is preceded by its length in bytes (four
 * bytes, big-endian), so that no two different lists of fields give the same bytes. Strings count as UTF-8.
 */
export function fields(...parts: (Uint8Array | string)[]): Uint8Array {
  const encoded = parts.map((part) => (typeof part === 'string' ? new TextEncoder().encode(part) : part))
  const result = new Uint8Array(encoded.reduce((total, part) => total + 4 + part.length, 0))
  const view = new DataView(result.buffer)
  let offset = 0
  for (const part of encoded) {
    view.setUint32(offset, part.length)
    result.set(part, offset + 4)
    offset += 4 + part.length
  }
  return result
}
