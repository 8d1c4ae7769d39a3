import { isSystemProtocol } from './request-header.ts'

/** Requests of the system itself never wait for those of applications. */
export type RequestClass = 'application' | 'system'

/** Limit of concurrent requests, for each session and each side. */
export const maxInFlight: Readonly<Record<RequestClass, number>> = { application: 256, system: 16 }

export function classOf(name: string): RequestClass {
  return isSystemProtocol(name) ? 'system' : 'application'
}

/** Slots of the requests under way. One name gets half of those of its class at most, so that it cannot keep out all others. */
export class RequestSlots {
  readonly #ofClass = { application: 0, system: 0 }
  readonly #ofName = new Map<string, number>()

  /** Takes a slot; the function returned releases it, however often it is called. Undefined when none is free. */
  take(name: string): (() => void) | undefined {
    const requestClass = classOf(name)
    const most = maxInFlight[requestClass]
    const taken = this.#ofName.get(name) ?? 0
    if (this.#ofClass[requestClass] >= most || taken >= most / 2) return undefined
    this.#count(name, 1)
    let isTaken = true
    return () => {
      if (isTaken) this.#count(name, -1)
      isTaken = false
    }
  }

  #count(name: string, change: 1 | -1): void {
    const taken = (this.#ofName.get(name) ?? 0) + change
    if (taken === 0) this.#ofName.delete(name)
    else this.#ofName.set(name, taken)
    this.#ofClass[classOf(name)] += change
  }
}
