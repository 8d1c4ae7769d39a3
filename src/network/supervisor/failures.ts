import { SpacedockError } from '../../errors.ts'
import { dialObstacle } from '../reachability/dial-obstacle.ts'
import type { SessionEnd } from '../session/session.ts'

/**
 * Explains why a device could not be reached at its addresses, in a sentence for a person; the dial's error is its cause. An
 * error that is such a sentence already is returned unchanged.
 */
export function dialFailure(error: unknown, addressCount: number): SpacedockError {
  const cause = { cause: error }
  if (error instanceof SpacedockError && error.code !== 'timed-out') return error
  const where = addressCount === 1 ? 'its address' : `any of its ${addressCount} addresses`
  const obstacles = new Set(causesOf(error).map(dialObstacle))
  const [common] = error instanceof SpacedockError || obstacles.size > 1 ? [] : obstacles
  switch (common) {
    case 'no-route':
      return new SpacedockError('no-network', `No network of this device leads to ${where}.`, cause)
    case 'refused':
      return new SpacedockError('offline', `Spacedock does not run at ${where}.`, cause)
    case 'stranger':
      return new SpacedockError('offline', `Another device answers at ${where}.`, cause)
    case 'unreachable':
    case 'reset':
    case 'silence':
    case undefined:
      return new SpacedockError('offline', `No answer at ${where}.`, cause)
    default:
      return common satisfies never
  }
}

/** Explains why a device has no session any more; null when this side ended it, in order. */
export function endFailure(end: SessionEnd): SpacedockError | null {
  switch (end.reason) {
    case 'closed':
      return null
    case 'remote-closed':
      return new SpacedockError('closed', 'The other device closed the connection.')
    case 'revoked':
      return new SpacedockError('not-paired', 'The other device has revoked this one.')
    case 'silent':
      return new SpacedockError(
        'offline',
        'The device fell silent: nothing was heard of it for nine seconds.',
      )
    case 'interrupted':
      return new SpacedockError('interrupted', 'The connection to the device was lost.', { cause: end.cause })
    case 'violation':
    case 'aborted':
      if (end.cause instanceof SpacedockError) return end.cause
      return new SpacedockError('interrupted', 'The connection to the device was ended.', {
        cause: end.cause,
      })
  }
}

/** Lists the causes behind a failure, for the log. */
export function failureCauses({ cause }: SpacedockError): string[] {
  return cause === undefined ? [] : causesOf(cause).map(String)
}

function causesOf(error: unknown): unknown[] {
  return error instanceof AggregateError ? error.errors.flatMap(causesOf) : [error]
}
