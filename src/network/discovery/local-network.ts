import { addAbortListener } from 'node:events'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Log } from '../../api.ts'
import { usableInterfaces } from '../interfaces.ts'
import { createMdns, type Mdns, type MdnsStatus, type Sighting } from './mdns/mdns.ts'
import type { CandidateSource } from './candidate-sources.ts'
import type { PeerId } from '../../pairing/peer-id.ts'

export interface LocalNetworkOptions {
  peerId: PeerId
  listening: () => Multiaddr[]
  interfaces?: string[] | undefined
  onSighting: (peer: PeerId, addresses: string[]) => void
  onLost: (peer: PeerId) => void
  log: Log
}

/** Discovery on the local network: a source of candidates, and of news about devices that are paired already. */
export interface LocalDiscovery extends CandidateSource {
  readonly name: 'local-network'
  start(): Promise<void>
  /** Says goodbye and stops. */
  stop(): Promise<void>
  /** Announces at once that an invitation was opened, so that waiting joiners ask now. */
  announce(): void
  /** Announces this device and queries the others anew, since everybody may have changed networks. */
  look(): void
  /** Calls back now and at each change, until the signal aborts. */
  watchStatus(listener: (status: 'ready' | 'unavailable', detail: string) => void, signal: AbortSignal): void
}

/** Discovery by multicast DNS. */
export class LocalNetwork implements LocalDiscovery {
  readonly name = 'local-network'
  readonly #mdns: Mdns
  readonly #searches = new Set<(sighting: Sighting) => void>()
  readonly #statusListeners = new Set<() => void>()
  readonly #interfaces = new Map<string, MdnsStatus>()

  constructor({ peerId, listening, interfaces, onSighting, onLost, log }: LocalNetworkOptions) {
    this.#mdns = createMdns({
      peerId,
      addresses: listening,
      interfaces,
      log,
      onLost,
      onSighting: (sighting) => {
        onSighting(sighting.peerId, sighting.addresses.map(String))
        for (const search of this.#searches) search(sighting)
      },
      onStatus: (status) => {
        if (status.state === 'gone') this.#interfaces.delete(status.interface)
        else this.#interfaces.set(status.interface, status)
        for (const listener of this.#statusListeners) listener()
      },
    })
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

  look(): void {
    this.#mdns.refresh()
  }

  async find({ signal, onCandidate }: Parameters<CandidateSource['find']>[0]): Promise<void> {
    const search = ({ peerId, addresses }: Sighting): void =>
      onCandidate({ peer: peerId, addresses: addresses.map(String), urgent: true })
    this.#searches.add(search)
    addAbortListener(signal, () => this.#searches.delete(search))
    for (const sighting of this.#mdns.peers()) search(sighting)
    this.#mdns.refresh()
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
