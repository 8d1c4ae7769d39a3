import type { PeerId } from '../../pairing/peer-id.ts'
import type { Caller } from './call.ts'

/** Caller of one request. Its signal is made when somebody reads it: it costs as much as a small request does otherwise. */
export class RequestCaller implements Caller {
  readonly peerId: PeerId
  #controller: AbortController | undefined
  #calledOff: { reason: Error } | undefined

  constructor(peerId: PeerId) {
    this.peerId = peerId
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#calledOff !== undefined) this.#controller.abort(this.#calledOff.reason)
    return this.#controller.signal
  }

  get isCalledOff(): boolean {
    return this.#calledOff !== undefined
  }

  /** Calls the request off; a second time changes nothing. */
  callOff(reason: Error): void {
    this.#calledOff ??= { reason }
    this.#controller?.abort(this.#calledOff.reason)
  }
}
