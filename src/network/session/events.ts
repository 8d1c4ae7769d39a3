import type { Call } from './call.ts'
import { EventWindow, type EventFrames } from './event-window.ts'
import type { Frame } from './frames.ts'
import type { OutgoingQueue } from './outgoing-queue.ts'
import { decodeRequestHeader } from './request-header.ts'
import { classOf, type RequestClass } from './request-slots.ts'
import type { SessionCarrier } from './session-carrier.ts'

/**
 * Carries one-way events. Those of applications and those of the system, which are publications, have a window each: a handler of
 * an application that hangs delays no publication.
 */
export class Events {
  readonly #windows: Readonly<Record<RequestClass, EventWindow>>

  constructor(session: SessionCarrier) {
    const { outgoing } = session
    this.#windows = {
      application: new EventWindow(session, new ApplicationEventFrames(outgoing)),
      system: new EventWindow(session, new SystemEventFrames(outgoing)),
    }
  }

  get isIdle(): boolean {
    return this.#windows.application.isIdle && this.#windows.system.isIdle
  }

  /**
   * Sends an event. Throws `too-large` when it is, or when too many wait already: then it was not taken. Resolves when it has
   * left, after all of its class that were emitted before; rejects with `interrupted` when the session ends first.
   */
  emit(call: Call): Promise<void> {
    return this.#windows[classOf(call.name)].emit(call)
  }

  /** Handles an `event` frame. Throws an error that ends the session. */
  receive({ payload }: Frame): void {
    const header = decodeRequestHeader(payload)
    this.#windows[classOf(header.name)].receive(header, payload.byteLength)
  }

  /** Handles an `eventCredit` or `systemEventCredit` frame. Throws an error that ends the session. */
  receiveCredit({ type, payload }: Frame): void {
    const bytes = new DataView(payload.buffer, payload.byteOffset).getUint32(0)
    this.#windows[type === 'eventCredit' ? 'application' : 'system'].receiveCredit(bytes)
  }

  /** Rejects all unsent events when the session is over. */
  end(reason: Error): void {
    for (const window of Object.values(this.#windows)) window.end(reason)
  }
}

class ApplicationEventFrames implements EventFrames {
  protected readonly outgoing: OutgoingQueue

  constructor(outgoing: OutgoingQueue) {
    this.outgoing = outgoing
  }

  send(body: Uint8Array, onTaken: () => void): void {
    this.outgoing.pushMessage({ type: 'event', channel: 0, body, onTaken })
  }

  grant(bytes: number): void {
    this.outgoing.pushCredit(0, bytes)
  }
}

class SystemEventFrames extends ApplicationEventFrames {
  override grant(bytes: number): void {
    const payload = new Uint8Array(4)
    new DataView(payload.buffer).setUint32(0, bytes)
    this.outgoing.pushControl({ type: 'systemEventCredit', more: false, channel: 0, payload })
  }
}
