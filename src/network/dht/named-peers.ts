import type { PeerId } from '@libp2p/interface'
import type { Clock } from '../../api.ts'

export interface NamedPeersLimits {
  /** Of one DHT node's names, so many may be unproven at once. */
  perAnswerer: number
  /** The same of all DHT nodes' names together. */
  inAll: number
}

/**
 * DHT nodes answer every question with other nodes that are to be asked, too. js-libp2p's DHT remembers and dials all of
 * them, however many: one hostile node could have us dial thousands of addresses of its choice, and keep us from those that
 * matter. So whoever names peers has a few on credit, and gets more as these prove to be there.
 */
export class NamedPeers {
  readonly #clock: Clock
  readonly #limits: NamedPeersLimits
  /** Not proven yet, oldest first. */
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

  /** This peer is there and speaks the protocol. */
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

/** How long a peer that does not answer counts against whoever named it. */
const creditMs = 60_000
/** More addresses of one peer are left out. */
const maxAddresses = 16

interface PeerEvent {
  name: string
  from: PeerId
  closer: { id: PeerId; multiaddrs: unknown[] }[]
}

type SendRequest = (...args: unknown[]) => AsyncGenerator<PeerEvent>

/** What is used of the DHT's network, which its type does not show. */
interface DhtNetwork {
  sendRequest: SendRequest
  safeDispatchEvent: (type: string, init?: { detail: unknown }) => boolean
}

/** Has a DHT hear of named peers only as far as they are admitted; `isConnected` ones are in any case. */
export function limitNamedPeers(
  dht: object,
  named: NamedPeers,
  isConnected: (peer: PeerId) => boolean,
): void {
  const network = networkOf(dht)
  const sendRequest = network.sendRequest.bind(network)
  const dispatch = network.safeDispatchEvent.bind(network)
  // It would tell of every peer as soon as the answer is there: the admitted ones are told of below.
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
