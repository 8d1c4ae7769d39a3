import type { ErrorCode } from '../../errors.ts'
import { SpacedockError } from '../../errors.ts'
import { UnknownProtocolError } from '../../protocol-error.ts'
import { decodeJson, encodeJson } from '../json-text.ts'
import { isProtocolVersion, protocolNamePattern } from './request-header.ts'

/** Codes of failures that one device may tell another. Anything else arrives as `remote-failure`. */
const tellable = [
  'unknown-protocol',
  'invalid-message',
  'too-large',
  'not-paired',
  'remote-failure',
] as const satisfies readonly ErrorCode[]

export interface RemoteError {
  code: (typeof tellable)[number]
  /** Text of one line, at most 1,000 characters; no stack. */
  message: string
  /** Error that the protocol declares; only with `remote-failure`. */
  declared?: Declared
  /** Versions served of the same kind under the same name; only with `unknown-protocol`. */
  versions?: readonly number[]
}

/** Declared error; `data` is JSON text of at most 4 KiB. */
export interface Declared {
  code: string
  data?: unknown
}

/** Failure of a handler that its protocol declares; a device that does not know the declaration sees a plain `remote-failure`. */
export class DeclaredFailure extends SpacedockError {
  readonly declared: Declared

  constructor(message: string, declared: Declared) {
    super('remote-failure', message)
    this.declared = declared
  }
}

export function describeError(error: unknown): RemoteError {
  const message = oneLine(error instanceof Error ? error.message : String(error))
  const code = error instanceof SpacedockError ? tellable.find((code) => code === error.code) : undefined
  return {
    code: code ?? 'remote-failure',
    message,
    ...(error instanceof DeclaredFailure ? { declared: error.declared } : {}),
    ...(error instanceof UnknownProtocolError ? { versions: error.versions.slice(0, maxVersions) } : {}),
  }
}

export function encodeRemoteError(error: unknown): Uint8Array {
  return encodeJson(describeError(error))
}

/** Decodes an error and never throws: an unreadable one is a failure of the other device. */
export function decodeRemoteError(payload: Uint8Array): SpacedockError {
  let value: unknown
  try {
    value = decodeJson(payload)
  } catch {
    value = undefined
  }
  const fields = asRecord(value)
  const code = tellable.find((known) => known === fields['code']) ?? 'remote-failure'
  const message =
    typeof fields['message'] === 'string' ? oneLine(fields['message']) : 'The other device failed to answer.'
  if (code === 'unknown-protocol') return new UnknownProtocolError(message, readVersions(fields['versions']))
  const declared = code === 'remote-failure' ? asRecord(fields['declared']) : {}
  if (typeof declared['code'] === 'string' && protocolNamePattern.test(declared['code'])) {
    return new DeclaredFailure(message, { code: declared['code'], data: declared['data'] })
  }
  return new SpacedockError(code, message)
}

function readVersions(value: unknown): number[] {
  return Array.isArray(value) ? value.filter(isProtocolVersion).slice(0, maxVersions) : []
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

// Cleans a message for the other device's terminals and logs: no control characters, no bidirectional overrides.
function oneLine(text: string): string {
  return text
    .slice(0, maxMessageLength)
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]+/gu, ' ')
    .trim()
}

const maxMessageLength = 1_000
/** Limit of an error's data: with a message of three bytes a character, it all fits an `error` frame. */
export const maxErrorDataBytes = 4 * 1024
const maxVersions = 32
