import { SpacedockError } from '../../errors.ts'

/** Cap on the JSON text of a request or an answer. */
export const maxMessageBytes = 1024 * 1024

/** Cap on the JSON text of an event, and of the request that opens a stream: it fits one frame, with its header. */
export const maxSingleFrameTextBytes = 65_000

/** Pattern of names: lower case letters, digits and dashes, a letter first, at most 64. */
export const protocolNamePattern = /^[a-z][a-z0-9-]{0,63}$/

/** Whether a protocol is the system's own: messages, topics, publications, versions. No application may have such a name. */
export function isSystemProtocol(name: string): boolean {
  return name.startsWith('spacedock-')
}

export function isProtocolVersion(version: unknown): version is number {
  return Number.isInteger(version) && Number(version) >= 1 && Number(version) <= 0xffff_ffff
}

/** Encodes the start of a request, then its JSON text: 1 byte length of the name, the name (ASCII), 4 bytes version. */
export function encodeRequest(name: string, version: number, body: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(1 + name.length + 4 + body.byteLength)
  bytes.writeUInt8(name.length)
  bytes.write(name, 1, 'latin1')
  bytes.writeUInt32BE(version, 1 + name.length)
  bytes.set(body, 1 + name.length + 4)
  return bytes
}

export interface RequestHeader {
  name: string
  version: number
  /** Bytes after the header. */
  rest: Uint8Array
}

/** Decodes the header, which is always whole in the first frame. Throws `invalid-message`. */
export function decodeRequestHeader(payload: Uint8Array): RequestHeader {
  const nameLength = payload[0] ?? 0
  const headerLength = 1 + nameLength + 4
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  const name = bytes.toString('latin1', 1, 1 + nameLength)
  if (payload.byteLength < headerLength || !protocolNamePattern.test(name)) throw malformed()
  const version = bytes.readUInt32BE(1 + nameLength)
  if (!isProtocolVersion(version)) throw malformed()
  return { name, version, rest: payload.subarray(headerLength) }
}

function malformed(): SpacedockError {
  return new SpacedockError(
    'invalid-message',
    'The other device sent a request without a valid protocol name.',
  )
}
