import type { ErrorCode } from '../errors.ts'
import { SpacedockError } from '../errors.ts'
import { decodeJson, encodeJson } from './json-text.ts'

/** What one device may tell another about a failed request. Anything else arrives as `remote-failure`. */
const tellable = [
  'unknown-protocol',
  'invalid-message',
  'too-large',
  'not-paired',
  'remote-failure',
] as const satisfies readonly ErrorCode[]

export interface RemoteError {
  code: (typeof tellable)[number]
  /** One line, at most 1,000 characters; no stack. */
  message: string
}

export function describeError(error: unknown): RemoteError {
  const message = oneLine(error instanceof Error ? error.message : String(error))
  const code = error instanceof SpacedockError ? tellable.find((code) => code === error.code) : undefined
  return { code: code ?? 'remote-failure', message }
}

export function encodeRemoteError(error: unknown): Uint8Array {
  return encodeJson(describeError(error))
}

/** Never throws: an unreadable error is a failure of the other device. */
export function decodeRemoteError(payload: Uint8Array): SpacedockError {
  let value: unknown
  try {
    value = decodeJson(payload)
  } catch {
    value = undefined
  }
  const { code, message } = (typeof value === 'object' && value !== null ? value : {}) as Record<
    string,
    unknown
  >
  return new SpacedockError(
    tellable.find((known) => known === code) ?? 'remote-failure',
    typeof message === 'string' ? oneLine(message) : 'The other device failed to answer.',
  )
}

// It is shown in terminals and logs of the other device: no control characters, no bidirectional overrides.
function oneLine(text: string): string {
  return text
    .slice(0, maxMessageLength)
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]+/gu, ' ')
    .trim()
}

const maxMessageLength = 1_000
