import { SpacedockError } from '../../errors.ts'

export function unknownProtocol(name: string, version: number): SpacedockError {
  return new SpacedockError('unknown-protocol', `The other device does not serve ${name}/${version}.`)
}

export function usedTwice(): SpacedockError {
  return new SpacedockError('invalid-message', 'The other device used a channel twice.')
}

export function closeTimedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'The other device did not close in time.')
}

export function isViolation(error: Error): boolean {
  return error instanceof SpacedockError && (error.code === 'invalid-message' || error.code === 'too-large')
}

export function givenUp(): SpacedockError {
  return new SpacedockError(
    'interrupted',
    'Nothing is heard over this connection to the other device any more.',
  )
}

/** The two devices have no version of the hello in common: one of the two programs is too old for the other. */
export class OtherVersionError extends SpacedockError {
  /** Those that the other device speaks. */
  readonly versions: readonly number[]

  constructor(theirs: readonly number[], ours: readonly number[]) {
    const isNewer = Math.max(...theirs) > Math.max(...ours)
    const which = isNewer ? 'this device' : 'the other device'
    super(
      'unknown-protocol',
      `The other device speaks ${named(theirs)} of Spacedock’s protocol, and this one ${named(ours)}.`,
      { hint: `Update Spacedock on ${which}.` },
    )
    this.versions = theirs
  }
}

function named(versions: readonly number[]): string {
  return `version${versions.length === 1 ? '' : 's'} ${versions.toSorted((one, other) => one - other).join(', ')}`
}
