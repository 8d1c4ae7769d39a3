import type { Device, ErrorSchemas, HandlerContext } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import { ProtocolError } from '../protocol-error.ts'
import { encodeJson } from './json-text.ts'
import { keyOf } from './protocol-definitions.ts'
import { DeclaredFailure, maxErrorDataBytes } from './remote-error.ts'

/** A protocol as far as its errors go. */
export interface Declaring {
  readonly name: string
  readonly version: number
  readonly errors?: ErrorSchemas
}

/** What a handler of the protocol is told besides the value. */
export function handlerContext(
  protocol: Declaring,
  { device, signal }: { device: Device; signal: AbortSignal },
): HandlerContext<ErrorSchemas> {
  return {
    device,
    signal,
    error: (code, data, message = `${keyOf(protocol)} failed: ${code}.`) =>
      new ProtocolError(keyOf(protocol), code, data, message),
  }
}

/** What the other side is told when a handler throws: a declared error with its data, or the message and nothing else. */
export async function failureOf(protocol: Declaring, thrown: unknown): Promise<SpacedockError> {
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  const undeclared = new SpacedockError('remote-failure', message, { cause: thrown })
  if (!(thrown instanceof ProtocolError) || thrown.protocol !== keyOf(protocol)) return undeclared
  const data = await checkedData(protocol, thrown.code, thrown.data)
  return data === null ? undeclared : new DeclaredFailure(message, { code: thrown.code, data: data.value })
}

/** The error that the asker sees: what the other side declares is believed when this side declares it too, and it fits. */
export async function knownError(protocol: Declaring, error: unknown): Promise<unknown> {
  if (!(error instanceof DeclaredFailure)) return error
  const { code, data } = error.declared
  const known = await checkedData(protocol, code, data)
  if (known === null) return new SpacedockError('remote-failure', error.message)
  return new ProtocolError(keyOf(protocol), code, known.value, error.message)
}

async function checkedData(
  { errors = {} }: Declaring,
  code: string,
  data: unknown,
): Promise<{ value: unknown } | null> {
  const schema = Object.hasOwn(errors, code) ? errors[code] : undefined
  try {
    const result = await schema?.['~standard'].validate(data)
    if (result === undefined || result.issues !== undefined) return null
    return encodeJson(result.value).byteLength <= maxErrorDataBytes ? { value: result.value } : null
  } catch {
    return null
  }
}
