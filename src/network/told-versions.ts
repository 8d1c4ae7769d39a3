/**
 * Versions of a protocol of ours that a peer has told by identify, when ours is not among them; else none. `own` is a name such
 * as `/spacedock/pairing/1.0.0`.
 */
export function otherVersionsTold(told: readonly string[], own: string): number[] {
  if (told.includes(own)) return []
  const family = own.slice(0, own.lastIndexOf('/') + 1)
  return told.flatMap((name) => {
    if (!name.startsWith(family)) return []
    const version = /^([1-9]\d{0,2})\.0\.0$/u.exec(name.slice(family.length))?.[1]
    return version === undefined ? [] : [Number(version)]
  })
}
