import { addAbortListener } from 'node:events'
import { pause } from '../clock.ts'
import type {
  LocalDiscovery,
  LocalListener,
  LocalNetworkOptions,
} from '../network/discovery/local-network.ts'
import type { CandidateSearch, CandidateSource } from '../network/discovery/candidate-sources.ts'
import type { MarkedPairing } from '../pairing/announcement-mark.ts'
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

/** Announcement as it is heard: marks are texts here, which only holders of the code know. */
interface Heard {
  readonly addresses: readonly string[]
  readonly marks: ReadonlySet<string>
}

/** Multicast DNS: everybody says where he is, at times and when asked, in packets that may be lost. */
export class SimulatedLocalNetwork implements LocalDiscovery {
  readonly #listener: LocalListener
  readonly #options: SimulatedLocalNetworkOptions
  readonly #searches = new Set<(peer: PeerId, heard: Heard) => void>()
  readonly #known = new Map<PeerId, Heard>()
  readonly #marks = new Set<string>()
  readonly #stopped = new AbortController()

  constructor(listener: LocalListener, options: SimulatedLocalNetworkOptions) {
    this.#listener = listener
    this.#options = options
  }

  async start(): Promise<void> {
    this.#options.stations.set(this.#options.attachment, this)
    void this.#keepAnnouncing()
  }

  async stop(): Promise<void> {
    const { peerId } = this.#options.host
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
    const { host } = this.#options
    const said = { addresses: host.listening().map(String), marks: new Set(this.#marks) }
    this.#multicast((station) => station.#heard(host.peerId, said))
  }

  mark({ key, role }: MarkedPairing, signal: AbortSignal): void {
    if (signal.aborted) return
    const mark = markText(role, key)
    this.#marks.add(mark)
    addAbortListener(signal, () => this.#marks.delete(mark))
    this.announce()
  }

  look(): void {
    this.#multicast((station) => station.#asked())
  }

  source({ key, role }: MarkedPairing): CandidateSource {
    const expected = markText(role === 'initiator' ? 'joiner' : 'initiator', key)
    return { name: 'local-network', find: (search) => this.#find(expected, search) }
  }

  watchStatus(listener: (status: 'ready' | 'unavailable', detail: string) => void): void {
    listener('ready', 'a simulated network')
  }

  async #find(expected: string, { signal, onCandidate }: CandidateSearch): Promise<void> {
    const search = (peer: PeerId, { addresses, marks }: Heard): void =>
      onCandidate({ peer, addresses, urgent: true, sender: peer, marked: marks.has(expected) })
    this.#searches.add(search)
    addAbortListener(signal, () => this.#searches.delete(search))
    for (const [peer, heard] of this.#known) search(peer, heard)
    this.look()
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

  #heard(peer: PeerId, heard: Heard): void {
    this.#known.set(peer, heard)
    this.#listener.deviceSighted(peer, heard.addresses)
    for (const search of this.#searches) search(peer, heard)
  }

  #lost(peer: PeerId): void {
    if (this.#known.delete(peer)) this.#listener.deviceLost(peer)
  }

  /** Answers after a random wait, so that not all do at once. */
  #asked(): void {
    const { clock, random } = this.#options
    clock.after(20 + random() * 100, () => this.announce())
  }
}

const firstDelayMs = 1_000
const longestDelayMs = 60_000

function markText(role: string, key: Uint8Array): string {
  return `${role} ${Buffer.from(key).toString('hex')}`
}
