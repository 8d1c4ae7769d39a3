import type { ByteStream } from '../../api.ts'
import type { PeerId } from '../../pairing/peer-id.ts'

/** Call of one device to another: a protocol, by name and version, and the value. */
export interface Call {
  name: string
  version: number
  value: unknown
}

/** Caller of a protocol. */
export interface Caller {
  readonly peerId: PeerId
  /** Aborts when the call is cancelled, or its session ends. A request's is made when it is first read, which is to be avoided. */
  readonly signal: AbortSignal
}

/** Handler of the other devices' calls. A rejection is told to the caller by code and message, except for events. */
export interface CallHandler {
  /** Resolves to the answer. */
  request(call: Call, caller: Caller): Promise<unknown>
  /** Handles a stream: `accept` gives it, when it may begin; resolves when this side has done its part. */
  stream(call: Call, caller: Caller & { accept: () => ByteStream }): Promise<void>
  /** Handles an event; resolves when that is done. */
  event(call: Call, caller: Caller): Promise<void>
}
