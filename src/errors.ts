/**
 * Failures that a person or a program may have to act on. `code` is for programs and stays stable between versions; the message
 * says what happened; `hint` says what to do about it. The table in docs/errors.md lists them all, with the command's exit code
 * for each.
 */
export const errorCodes = [
  'invalid-code', // the words are not a pairing code
  'invalid-argument', // a value given by the caller makes no sense
  'expired', // the code's five minutes are over
  'used', // the code has already paired a device
  'cancelled', // one side called it off
  'declined', // a person answered no
  'burnt', // somebody who holds the code did something that only an attacker does
  'not-found', // nobody with this code answered before the deadline
  'interrupted', // the exchange broke off and could not be finished
  'no-daemon', // the command needs a running daemon
  'daemon-version', // the daemon is of another version than the command
  'already-running', // another process owns this data directory
  'no-device', // no paired device is called this
  'ambiguous-device', // more than one device is called this
  'offline', // the device is not connected
  'not-paired', // this side, or the other, does not trust the other
  'unknown-protocol', // the other device has no handler for it
  'other-version', // the two programs have no version of something in common
  'invalid-message', // a value that does not fit its schema, in either direction
  'too-large', // size cap exceeded
  'timed-out', // no answer within the deadline
  'remote-failure', // the other device's handler failed
  'identity-damaged', // the identity file cannot be trusted
  'database-damaged', // the database cannot be trusted
  'database-newer', // written by a newer version
  'directory-unusable', // the data directory cannot be read or written
  'disk-full', // no space for more data
  'outbox-full', // too much waits for devices that are away
  'port-taken', // the port asked for is in use
  'no-network', // no usable network interface
  'service-failed', // the system's service manager is not there, or refuses
  'closed', // the node was closed
  'internal', // a defect of ours
] as const

/** Subject of a SpacedockError; `errorCodes` has them all. */
export type ErrorCode = (typeof errorCodes)[number]

/** Optional parts of a SpacedockError, besides its code and its message. */
export interface SpacedockErrorOptions {
  /** Remedy for the person, one sentence. */
  hint?: string | undefined
  /** See `SpacedockError.option`. */
  option?: string | undefined
  /** See `SpacedockError.choices`. */
  choices?: readonly string[] | undefined
  /** Error that led to it. */
  cause?: unknown
}

/**
 * The only class of error that the public API rejects with, apart from the `reason` of a caller's own AbortSignal and the
 * `ProtocolError`s that a protocol declares.
 */
export class SpacedockError extends Error {
  /** Name of the class, for code that cannot use `instanceof`. */
  override readonly name = 'SpacedockError'
  /** Code for programs; stays the same from version to version. */
  readonly code: ErrorCode
  /** Remedy for the person, in a sentence that fits any application: it names no command. */
  readonly hint: string | undefined
  /**
   * Option by which something else could be chosen, as the library calls it: `port`, `dataDir`; of another option's,
   * `messages.inboxDays`.
   */
  readonly option: string | undefined
  /** Choices instead, when they are known: names of network interfaces or of paired devices. */
  readonly choices: readonly string[] | undefined

  constructor(code: ErrorCode, message: string, options: SpacedockErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint
    this.option = options.option
    this.choices = options.choices
  }
}
