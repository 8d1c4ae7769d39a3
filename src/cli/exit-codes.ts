import type { ErrorCode } from '../errors.ts'

export const exitCodes = {
  ok: 0,
  failure: 1,
  /** The command line makes no sense, or a question has nobody to answer it. */
  usage: 2,
  noDaemon: 3,
  /** Nobody came before the deadline, or the code's time is over. */
  timedOut: 4,
  offline: 5,
  refused: 6,
  interrupted: 130,
} as const

export function exitCodeOf(code: ErrorCode): number {
  return exitCodeByError[code]
}

const { failure, usage, noDaemon, timedOut, offline, refused } = exitCodes

const exitCodeByError: Record<ErrorCode, number> = {
  'invalid-code': usage,
  'invalid-argument': usage,
  expired: timedOut,
  used: refused,
  cancelled: refused,
  declined: refused,
  burnt: refused,
  'not-found': timedOut,
  interrupted: failure,
  'no-daemon': noDaemon,
  'daemon-version': failure,
  'already-running': failure,
  'no-device': failure,
  'ambiguous-device': failure,
  offline,
  'not-paired': refused,
  'unknown-protocol': failure,
  'other-version': failure,
  'invalid-message': failure,
  'too-large': failure,
  'timed-out': timedOut,
  'remote-failure': failure,
  'identity-damaged': failure,
  'database-damaged': failure,
  'database-newer': failure,
  'directory-unusable': failure,
  'disk-full': failure,
  'outbox-full': failure,
  'port-taken': failure,
  'no-network': failure,
  'service-failed': failure,
  closed: failure,
  internal: failure,
}
