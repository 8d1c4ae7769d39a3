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
