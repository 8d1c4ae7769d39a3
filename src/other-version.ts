import { SpacedockError } from './errors.ts'

/** Part of which two programs of different versions may have no version in common. */
export type VersionedPart = 'Spacedock’s protocol' | 'pairing' | 'records' | 'messages'

/** Error for two devices without a version of something in common: one of the two programs is too old for the other. */
export class OtherVersionError extends SpacedockError {
  /** Versions that the other device speaks. */
  readonly versions: readonly number[]

  constructor(part: VersionedPart, theirs: readonly number[], ours: readonly number[]) {
    super(
      'other-version',
      `The other device speaks ${nameVersions(theirs)} of ${part}, and this one ${nameVersions(ours)}.`,
      {
        hint: `Update Spacedock on ${sideToUpdate(theirs, ours) === 'here' ? 'this device' : 'the other device'}.`,
      },
    )
    this.versions = theirs
  }
}

/** Side with the older program. */
export function sideToUpdate(theirs: readonly number[], ours: readonly number[]): 'here' | 'there' {
  return Math.max(...theirs) > Math.max(...ours) ? 'here' : 'there'
}

/** Formats as `version 1`, `versions 1, 2`. */
export function nameVersions(versions: readonly number[]): string {
  return `version${versions.length === 1 ? '' : 's'} ${versions.toSorted((one, other) => one - other).join(', ')}`
}

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
