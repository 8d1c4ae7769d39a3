import type { ErrorSchemas, ErrorData } from './api.ts'
import { SpacedockError } from './errors.ts'

/**
 * Error that a protocol declares, as its handler threw it: the code and the data have passed the protocol's schemas on both
 * sides. `isProtocolError` tells which one it is.
 */
export class ProtocolError<Code extends string = string, Data = unknown> extends Error {
  /** Name of the class, for code that cannot use `instanceof`. */
  override readonly name = 'ProtocolError'
  /** Name and version of the protocol, such as `notes/1`. */
  readonly protocol: string
  /** Code as the protocol declares it. */
  readonly code: Code
  /** Data as the schema of the code gives it back. */
  readonly data: Data

  constructor(protocol: string, code: Code, data: Data, message: string) {
    super(message)
    this.protocol = protocol
    this.code = code
    this.data = data
  }
}

/** Errors that a protocol declares, told apart by `code`. */
export type ProtocolErrorOf<Errors extends ErrorSchemas> = {
  [Code in keyof Errors & string]: ProtocolError<Code, ErrorData<Errors[Code]>>
}[keyof Errors & string]

/** Whether this is an error that the protocol declares; afterwards `error.code` and `error.data` have their types. */
export function isProtocolError<Errors extends ErrorSchemas>(
  error: unknown,
  protocol: { readonly name: string; readonly version: number; readonly errors?: Errors },
): error is ProtocolErrorOf<Errors> {
  return (
    error instanceof ProtocolError &&
    error.protocol === `${protocol.name}/${protocol.version}` &&
    Object.hasOwn(protocol.errors ?? {}, error.code)
  )
}

/** Error of a device that does not serve this protocol, or not in this version. Its code is `unknown-protocol`. */
export class UnknownProtocolError extends SpacedockError {
  /** Versions that it serves of the same kind under the same name, the newest first; none when there are none. */
  readonly versions: readonly number[]

  constructor(message: string, versions: readonly number[]) {
    super('unknown-protocol', message, {
      hint:
        versions.length === 0
          ? 'Update the application on the other device, or have it serve the protocol.'
          : 'Use one of the versions that it serves, or update the application on the other device.',
    })
    this.versions = versions
  }
}
