import type { Device, ErrorSchemas, HandlerContext } from '../../api.ts'
import { SpacedockError } from '../../errors.ts'
import { ProtocolError } from '../../protocol-error.ts'
import { encodeJson } from '../json-text.ts'
import { keyOf } from './protocol-definitions.ts'
import { DeclaredFailure, maxErrorDataBytes } from '../session/remote-error.ts'

/** Part of a protocol's definition that declares its errors. */
export interface Declaring {
  readonly name: string
  readonly version: number
  readonly errors?: ErrorSchemas
}

/** Builds the second argument of a handler. */
export function handlerContext(
  protocol: Declaring,
  device: Device,
  caller: { readonly signal: AbortSignal },
): HandlerContext<ErrorSchemas> {
  return {
    device,
    // It is made when a handler reads it, and few do.
    get signal() {
      return caller.signal
    },
    error: (code, data, message = `${keyOf(protocol)} failed: ${code}.`) =>
      new ProtocolError(keyOf(protocol), code, data, message),
  }
}

/** Converts what a handler threw into what the caller is told: a declared error with its data, or the bare message. */
export async function failureOf(protocol: Declaring, thrown: unknown): Promise<SpacedockError> {
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  const undeclared = new SpacedockError('remote-failure', message, { cause: thrown })
  if (!(thrown instanceof ProtocolError) || thrown.protocol !== keyOf(protocol)) return undeclared
  const data = await checkedData(protocol, thrown.code, thrown.data)
  return data === null ? undeclared : new DeclaredFailure(message, { code: thrown.code, data: data.value })
}

/**
 * Converts an error of the other side into the caller's: a declared error counts if this side declares it too and its data fit.
 */
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
