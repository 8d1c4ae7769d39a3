import type { PeerId } from '@libp2p/interface'
import type { Clock } from '../../api.ts'

export interface NamedPeersLimits {
  /** Most unproven peers named by one DHT node at a time. */
  perAnswerer: number
  /** Most unproven peers named by all DHT nodes together. */
  inAll: number
}

/**
 * Limits dials to peers that DHT nodes name in their answers. js-libp2p's DHT remembers and dials all of them, however many: one
 * hostile node could have us dial thousands of addresses of its choice, and keep us from those that matter. So each node may name
 * a few peers on credit, and more as these prove to be there.
 */
export class NamedPeers {
  readonly #clock: Clock
  readonly #limits: NamedPeersLimits
  /** Unproven peers, oldest first. */
  readonly #unproven = new Map<string, { answerer: string; untilMs: number }>()

  constructor(clock: Clock, limits: NamedPeersLimits) {
    this.#clock = clock
    this.#limits = limits
  }

  /** Whether a peer that this node names may be dialled. */
  admit(answerer: string, peer: string): boolean {
    this.#dropExpired()
    if (this.#unproven.has(peer)) return true
    const own = [...this.#unproven.values()].filter((each) => each.answerer === answerer).length
    if (own >= this.#limits.perAnswerer || this.#unproven.size >= this.#limits.inAll) return false
    this.#unproven.set(peer, { answerer, untilMs: this.#clock.monotonic() + creditMs })
    return true
  }

  /** Ends the credit on a peer that is there and speaks the protocol. */
  proven(peer: string): void {
    this.#unproven.delete(peer)
  }

  #dropExpired(): void {
    const nowMs = this.#clock.monotonic()
    for (const [peer, { untilMs }] of this.#unproven) {
      if (untilMs > nowMs) return
      this.#unproven.delete(peer)
    }
  }
}

/** Lifetime of the credit on a peer that does not answer. */
const creditMs = 60_000
/** Most addresses used of one peer; the others are left out. */
const maxAddresses = 16

interface PeerEvent {
  name: string
  from: PeerId
  closer: { id: PeerId; multiaddrs: unknown[] }[]
}

type SendRequest = (...args: unknown[]) => AsyncGenerator<PeerEvent>

/** Members of the DHT's network that its type does not show. */
interface DhtNetwork {
  sendRequest: SendRequest
  safeDispatchEvent: (type: string, init?: { detail: unknown }) => boolean
}

/** Makes a DHT heed only the named peers that are admitted; `isConnected` ones always are. */
export function limitNamedPeers(
  dht: object,
  named: NamedPeers,
  isConnected: (peer: PeerId) => boolean,
): void {
  const network = networkOf(dht)
  const sendRequest = network.sendRequest.bind(network)
  const dispatch = network.safeDispatchEvent.bind(network)
  // The event for every peer of the answer is suppressed; admitted ones are dispatched below.
  network.safeDispatchEvent = (type, init) => type === 'peer' || dispatch(type, init)
  network.sendRequest = async function* (...args) {
    for await (const event of sendRequest(...args)) {
      if (event.name === 'PEER_RESPONSE') {
        const answerer = event.from.toString()
        named.proven(answerer)
        event.closer = event.closer
          .filter(({ id }) => isConnected(id) || named.admit(answerer, id.toString()))
          .map((peer) => ({ ...peer, multiaddrs: peer.multiaddrs.slice(0, maxAddresses) }))
        for (const peer of event.closer) dispatch('peer', { detail: peer })
      }
      yield event
    }
  }
}

function networkOf(dht: object): DhtNetwork {
  const network = 'network' in dht ? dht.network : undefined
  if (typeof network === 'object' && network !== null && 'sendRequest' in network)
    return network as DhtNetwork
  throw new TypeError('a DHT without a network')
}
