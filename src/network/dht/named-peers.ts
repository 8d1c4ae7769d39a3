import type { PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../../api.ts'
import { classOfAddress } from '../addresses/address-class.ts'
import { addressesFor } from '../addresses/told-addresses.ts'
import type { Members } from './members.ts'

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

/** Most addresses used of one named peer; the others are left out. */
const maxAddresses = 4

/**
 * Returns the addresses at which a named peer may be dialled: a few, over TCP, that reach as far as the place where the node is
 * seen that names them. So one on the internet cannot mean this device's own computer, or its neighbours.
 */
export function usableAddresses(addresses: readonly Multiaddr[], seenAt: Multiaddr): Multiaddr[] {
  return addressesFor(addresses, classOfAddress(seenAt)).filter(isOverTcp).slice(0, maxAddresses)
}

/** Whether a device could dial the address: public nodes list those of other transports, too. */
function isOverTcp(address: Multiaddr): boolean {
  const names = address.getComponents().map(({ name }) => name)
  return /^(?:ip4|ip6|dns|dns4|dns6)\/tcp(?:\/p2p)?$/u.test(names.join('/'))
}

interface NamedPeer {
  id: PeerId
  multiaddrs: Multiaddr[]
}

interface PeerEvent {
  name: string
  from: PeerId
  messageName?: string
  closer: NamedPeer[]
  record?: { value: Uint8Array } | undefined
}

type SendRequest = (to: PeerId, ...rest: unknown[]) => AsyncGenerator<PeerEvent>

/** Members of the DHT's network that its type does not show. */
interface DhtNetwork {
  sendRequest: SendRequest
  safeDispatchEvent: (type: string, init?: { detail: unknown }) => boolean
}

/** What a DHT may do with the nodes that others name. */
export interface NamedPeersRules {
  named: NamedPeers
  /** Members, on a private network: nobody else is asked. On the public one null. */
  members: Members | null
  isConnected: (peer: PeerId) => boolean
  /** Returns those addresses at which a peer named by this node may be dialled. */
  usable: (addresses: readonly Multiaddr[], answerer: PeerId) => Multiaddr[]
}

/** Makes a DHT heed only the named peers that are admitted; `isConnected` ones always are. */
export function limitNamedPeers(dht: object, rules: NamedPeersRules): void {
  const { named, members, isConnected, usable } = rules
  const network = networkOf(dht)
  const sendRequest = network.sendRequest.bind(network)
  const dispatch = network.safeDispatchEvent.bind(network)
  const admitted = ({ from, closer }: PeerEvent): NamedPeer[] => {
    const answerer = from.toString()
    return closer
      .map(({ id, multiaddrs }) => ({ id, multiaddrs: usable(multiaddrs, from) }))
      .filter(({ id, multiaddrs }) => {
        const peer = id.toString()
        if (members?.has(peer) === false) return false
        return isConnected(id) || (multiaddrs.length > 0 && named.admit(answerer, peer))
      })
  }
  // The event for every peer of the answer is suppressed; admitted ones are dispatched below.
  network.safeDispatchEvent = (type, init) => type === 'peer' || dispatch(type, init)
  network.sendRequest = async function* (to, ...rest) {
    if (members?.has(to.toString()) === false) return
    for await (const event of sendRequest(to, ...rest)) {
      if (event.name === 'PEER_RESPONSE') {
        const answerer = event.from.toString()
        named.proven(answerer)
        // Answers to other questions name nobody.
        const names = event.messageName === 'FIND_NODE' || event.messageName === 'GET_VALUE'
        if (names)
          members?.named(
            answerer,
            event.closer.map(({ id }) => id.toString()),
          )
        event.closer = admitted(event)
        for (const peer of event.closer) dispatch('peer', { detail: peer })
      }
      yield event
    }
  }
}

export function networkOf(dht: object): DhtNetwork {
  const network = 'network' in dht ? dht.network : undefined
  if (typeof network === 'object' && network !== null && 'sendRequest' in network)
    return network as DhtNetwork
  throw new TypeError('a DHT without a network')
}
