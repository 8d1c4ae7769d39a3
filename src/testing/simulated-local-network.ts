import { addAbortListener } from 'node:events'
import { pause } from '../clock.ts'
import type { LocalDiscovery, LocalNetworkOptions } from '../network/discovery/local-network.ts'
import type { CandidateSearch } from '../network/discovery/candidate-sources.ts'
import type { Attachment, SimulatedNetwork } from './simulated-network.ts'
import type { SimulatedHost } from './simulated-host.ts'
import type { DeviceClock } from './device-clock.ts'
import type { PeerId } from '../pairing/peer-id.ts'

export interface SimulatedLocalNetworkOptions extends LocalNetworkOptions {
  network: SimulatedNetwork<SimulatedHost>
  attachment: Attachment<SimulatedHost>
  clock: DeviceClock
  random: () => number
  /** Hearers of multicast packets, by where they are attached. */
  stations: Map<Attachment<SimulatedHost>, SimulatedLocalNetwork>
}

/** Multicast DNS: everybody says where he is, at times and when asked, in packets that may be lost. */
export class SimulatedLocalNetwork implements LocalDiscovery {
  readonly name = 'local-network'
  readonly #options: SimulatedLocalNetworkOptions
  readonly #searches = new Set<(peer: PeerId, addresses: string[]) => void>()
  readonly #known = new Map<PeerId, string[]>()
  readonly #stopped = new AbortController()

  constructor(options: SimulatedLocalNetworkOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    this.#options.stations.set(this.#options.attachment, this)
    void this.#keepAnnouncing()
  }

  async stop(): Promise<void> {
    const { peerId } = this.#options
    if (this.#stopped.signal.aborted) return
    this.#multicast((station) => station.#lost(peerId))
    this.vanish()
  }

  /** Kills the process. */
  vanish(): void {
    const { stations, attachment } = this.#options
    this.#stopped.abort(new Error('stopped'))
    if (stations.get(attachment) === this) stations.delete(attachment)
  }

  announce(): void {
    const { peerId, listening } = this.#options
    const addresses = listening().map(String)
    this.#multicast((station) => station.#heard(peerId, addresses))
  }

  look(): void {
    this.#multicast((station) => station.#asked())
  }

  async find({ signal, onCandidate }: CandidateSearch): Promise<void> {
    const search = (peer: PeerId, addresses: string[]): void => onCandidate({ peer, addresses, urgent: true })
    this.#searches.add(search)
    addAbortListener(signal, () => this.#searches.delete(search))
    for (const [peer, addresses] of this.#known) search(peer, addresses)
    this.look()
  }

  watchStatus(listener: (status: 'ready' | 'unavailable', detail: string) => void): void {
    listener('ready', 'a simulated network')
  }

  /** Announces often at first (RFC 6762, 8.3 and 5.2), then once a minute. */
  async #keepAnnouncing(): Promise<void> {
    const { signal } = this.#stopped
    for (let delayMs = firstDelayMs; !signal.aborted; delayMs = Math.min(3 * delayMs, longestDelayMs)) {
      this.announce()
      this.look()
      await pause(this.#options.clock, delayMs, signal)
    }
  }

  #multicast(deliver: (station: SimulatedLocalNetwork) => void): void {
    const { network, attachment, stations } = this.#options
    network.multicast(attachment, (to) => {
      const station = stations.get(to)
      if (station !== undefined) deliver(station)
    })
  }

  #heard(peer: PeerId, addresses: string[]): void {
    this.#known.set(peer, addresses)
    this.#options.onSighting(peer, addresses)
    for (const search of this.#searches) search(peer, addresses)
  }

  #lost(peer: PeerId): void {
    if (this.#known.delete(peer)) this.#options.onLost(peer)
  }

  /** Answers after a random wait, so that not all do at once. */
  #asked(): void {
    const { clock, random } = this.#options
    clock.after(20 + random() * 100, () => this.announce())
  }
}

const firstDelayMs = 1_000
const longestDelayMs = 60_000
