import type { ByteStream } from '../../api.ts'
import type { PeerId } from '../../pairing/peer-id.ts'

/** What one device wants of another: a protocol, by name and version, and the value that is sent. */
export interface Call {
  name: string
  version: number
  value: unknown
}

/** Who calls. The signal aborts when the call is called off, or its session ends. */
export interface Caller {
  peerId: PeerId
  signal: AbortSignal
}

/** Answers what other devices call for. What a method rejects with is told to the caller by code and message, but of events. */
export interface CallHandler {
  /** Resolves to the answer. */
  request(call: Call, caller: Caller): Promise<unknown>
  /** `accept` gives the stream, when it may begin; resolves when this side has done its part. */
  stream(call: Call, caller: Caller & { accept: () => ByteStream }): Promise<void>
  /** Resolves when it was handled. */
  event(call: Call, caller: Caller): Promise<void>
}
