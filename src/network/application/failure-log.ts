import type { Log, LogLevel } from '../../api.ts'
import { SpacedockError } from '../../errors.ts'
import { MisfitError } from './protocol-definitions.ts'
import { DeclaredFailure } from '../session/remote-error.ts'
import type { PeerId } from '../../pairing/peer-id.ts'

export interface Failure {
  event: 'request.failed' | 'stream.failed' | 'event.not-handled'
  peer: PeerId
  name: string
  version: number
  error: unknown
  /** Signal of the request, aborted when nobody waits for its answer any more. */
  signal: AbortSignal
}

/**
 * Logs a request of another device that failed. Failures that are nobody's fault, or the other device's, are logged quietly, so
 * that it cannot fill the log; a handler's defect is logged with its stack, since the other device is not told that.
 */
export function logFailure(log: Log | undefined, { event, error, signal, ...about }: Failure): void {
  const { level, ...fields } = describe(error, signal)
  log?.(level, event, { ...about, ...fields })
}

function describe(error: unknown, signal: AbortSignal): { level: LogLevel } & Record<string, unknown> {
  if (isCalledOff(error, signal)) return { level: 'debug', code: 'cancelled' }
  if (error instanceof MisfitError) {
    // The schema's message would quote what does not fit, and so may what a schema throws.
    const { code, what, path, cause } = error
    const isDefect = what === 'response' || cause !== undefined
    const thrown = cause === undefined ? {} : { thrown: cause instanceof Error ? cause.name : typeof cause }
    return { level: isDefect ? 'warn' : 'debug', code, what, path, ...thrown }
  }
  if (error instanceof DeclaredFailure) return { level: 'info', code: error.declared.code }
  if (!(error instanceof SpacedockError)) return { level: 'warn', code: 'internal', error }
  const { code, cause } = error
  return code === 'remote-failure' ? { level: 'warn', code, error: cause } : { level: 'debug', code }
}

/** Whether the request was called off; a handler may find out only by a read or write that fails. */
function isCalledOff(error: unknown, signal: AbortSignal): boolean {
  if (signal.aborted) return true
  const thrown = error instanceof SpacedockError ? error.cause : undefined
  return thrown instanceof SpacedockError && thrown.code === 'cancelled'
}
