import { addAbortListener } from 'node:events'
import type { Log } from '../../api.ts'
import type { MarkedPairing } from '../../pairing/announcement-mark.ts'
import { usableInterfaces } from '../interfaces.ts'
import { isMarkedFor } from './mdns/mdns-marks.ts'
import {
  MulticastDns,
  type AnnouncedHost,
  type MdnsListener,
  type MdnsStatus,
  type Sighting,
} from './mdns/mdns.ts'
import type { CandidateSearch, CandidateSource, FoundPeer } from './candidate-sources.ts'
import type { PeerId } from '../../pairing/peer-id.ts'

/** Whom local discovery tells of the devices on the local network. */
export interface LocalListener {
  /** Takes all addresses, at most 16, at which the device is said to be now. */
  deviceSighted(peer: PeerId, addresses: readonly string[]): void
  deviceLost(peer: PeerId): void
  /** Takes the news that somebody else at this address announces this device's own peer id. */
  ownPeerAnnounced(address: string): void
}

export interface LocalNetworkOptions {
  host: AnnouncedHost
  interfaces?: string[] | undefined
  log: Log
  /** UDP port, for tests. @default 5353 */
  port?: number | undefined
}

/** Discovery on the local network: a source of candidates, and of news about devices that are paired already. */
export interface LocalDiscovery {
  start(): Promise<void>
  /** Says goodbye and stops. */
  stop(): Promise<void>
  /** Announces this device at once. */
  announce(): void
  /**
   * Announces this device at once, and until the signal aborts in a way by which the other device of the pairing, and nobody
   * else, tells it from others.
   */
  mark(pairing: MarkedPairing, signal: AbortSignal): void
  /** Announces this device and queries the others anew, since everybody may have changed networks. */
  look(): void
  /** Source of whoever is seen; the other device of the pairing is known by its mark. */
  source(pairing: MarkedPairing): CandidateSource
  /** Calls back now and at each change, until the signal aborts. */
  watchStatus(listener: (status: 'ready' | 'unavailable', detail: string) => void, signal: AbortSignal): void
}

/** Discovery by multicast DNS. */
export class LocalNetwork implements LocalDiscovery, MdnsListener {
  readonly #listener: LocalListener
  readonly #mdns: MulticastDns
  readonly #searches = new Set<(sighting: Sighting) => void>()
  readonly #statusListeners = new Set<() => void>()
  readonly #interfaces = new Map<string, MdnsStatus>()

  constructor(listener: LocalListener, options: LocalNetworkOptions) {
    this.#listener = listener
    this.#mdns = new MulticastDns(this, options)
  }

  start(): Promise<void> {
    return this.#mdns.start()
  }

  stop(): Promise<void> {
    return this.#mdns.stop()
  }

  announce(): void {
    this.#mdns.announce()
  }

  mark(pairing: MarkedPairing, signal: AbortSignal): void {
    this.#mdns.mark(pairing, signal)
  }

  look(): void {
    this.#mdns.refresh()
  }

  source(pairing: MarkedPairing): CandidateSource {
    return { name: 'local-network', find: (search) => this.#find(pairing, search) }
  }

  sighted(sighting: Sighting): void {
    this.#listener.deviceSighted(sighting.peerId, this.#mdns.addressesOf(sighting.peerId))
    for (const search of this.#searches) search(sighting)
  }

  lost(peer: PeerId): void {
    this.#listener.deviceLost(peer)
  }

  ownPeerAnnounced(address: string): void {
    this.#listener.ownPeerAnnounced(address)
  }

  statusChanged(status: MdnsStatus): void {
    if (status.state === 'gone') this.#interfaces.delete(status.interface)
    else this.#interfaces.set(status.interface, status)
    for (const listener of this.#statusListeners) listener()
  }

  async #find(pairing: MarkedPairing, { signal, onCandidate }: CandidateSearch): Promise<void> {
    const search = (sighting: Sighting): void => onCandidate(this.#candidate(sighting, pairing))
    this.#searches.add(search)
    addAbortListener(signal, () => this.#searches.delete(search))
    const known = this.#mdns.peers().map((sighting) => this.#candidate(sighting, pairing))
    // The right one is the first, so that it does not wait while others are dialled.
    for (const each of known.toSorted(markedFirst)) onCandidate(each)
    this.#mdns.refresh()
  }

  /** Makes a candidate of a sighting; where it is marked, only what the mark covers is taken. */
  #candidate({ peerId: peer, addresses, sender, marks }: Sighting, pairing: MarkedPairing): FoundPeer {
    const marked = isMarkedFor(marks, pairing)
    return {
      peer,
      addresses: marked ? addresses : this.#mdns.addressesOf(peer),
      urgent: true,
      sender,
      marked,
    }
  }

  watchStatus(
    listener: (status: 'ready' | 'unavailable', detail: string) => void,
    signal: AbortSignal,
  ): void {
    let last = ''
    const tell = (): void => {
      const { status, detail } = this.#status()
      if (last === status + detail) return
      last = status + detail
      listener(status, detail)
    }
    this.#statusListeners.add(tell)
    addAbortListener(signal, () => this.#statusListeners.delete(tell))
    if (this.#interfaces.size > 0) tell()
  }

  #status(): { status: 'ready' | 'unavailable'; detail: string } {
    const all = [...this.#interfaces.values()]
    const ready = all.filter(({ state }) => state === 'ready').map((each) => each.interface)
    if (ready.length > 0) {
      const isLocal = usableInterfaces({ names: ready }).every(({ loopback }) => loopback)
      return {
        status: 'ready',
        detail: ready.join(', ') + (isLocal ? ', which reaches only this machine' : ''),
      }
    }
    const reasons = all.map(
      (each) => `${each.interface}: ${each.state === 'unavailable' ? each.detail : each.state}`,
    )
    return { status: 'unavailable', detail: reasons.join('; ') || 'no network interface is up' }
  }
}

function markedFirst(one: FoundPeer, other: FoundPeer): number {
  return Number(other.marked) - Number(one.marked)
}
