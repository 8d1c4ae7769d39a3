import type { CircuitRelayTransportComponents } from '@libp2p/circuit-relay-v2'
import type {
  ConnectionLimits,
  ConnectionProtector,
  DialTransportOptions,
  MultiaddrConnection,
  Transport,
  Upgrader,
} from '@libp2p/interface'
import { transportSymbol } from '@libp2p/interface'
import { preSharedKey } from '@libp2p/pnet'
import { CODE_P2P, CODE_P2P_CIRCUIT, multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../../api.ts'
import type { KnownPeers } from '../known-peers.ts'
import { relayTransport } from '../relay/reservations.ts'
import { isRelayed } from '../addresses/relayed-address.ts'
import type { MappedPort } from '../addresses/mapped-ports.ts'
import { parseVeiledAddress } from '../addresses/veiled-address.ts'

/** Throwaway host as the device's own host sees it. */
export interface Cover {
  /** Transport that dials over relays with the throwaway identity. */
  circuit: Transport
  ports: () => readonly MappedPort[]
}

/**
 * Carries connections of the device's own host over relays to which only throwaway hosts are connected. The traffic over the
 * relay is encrypted by a key that only peers have who may know whose address it is: so neither the relay nor a stranger who
 * connects over it gets as far as Noise, in which the responder tells its identity to any initiator. PROTOCOL.md, 'Veiled
 * addresses'.
 */
export class Veil {
  readonly #clock: Clock
  /** Keys of the veiled connections. */
  readonly #keys = new WeakMap<object, Uint8Array>()
  /** Number of open connections over the relays of each throwaway host, by its key. */
  readonly #carried = new Map<Uint8Array, number>()
  #upgrader: Upgrader | null = null
  #cover: Cover | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Sets the throwaway host for new connections; null for none. */
  use(cover: Cover | null): void {
    this.#cover = cover
  }

  /** Port mappings that NATs on the path make for this device. */
  ports(): readonly MappedPort[] {
    return this.#cover?.ports() ?? []
  }

  /** Transport of the device's host: dials veiled addresses, and all others over relays that are none of its own. */
  transport(
    own: Pick<KnownPeers, 'isRelay'>,
  ): (components: Pick<CircuitRelayTransportComponents, 'upgrader'>) => Transport {
    return ({ upgrader }) => {
      this.#upgrader = upgrader
      return new VeiledTransport(
        (address) => isRelayed(address) && !own.isRelay(relayOf(address) ?? ''),
        (address, options) => this.#dial(address, options),
      )
    }
  }

  covers(connection: MultiaddrConnection): boolean {
    return this.#keys.has(connection)
  }

  /** Protector of the device's host: encrypts veiled connections, and leaves all others as they are. */
  protector(): ConnectionProtector {
    return {
      protect: async (connection, options) => {
        const key = this.#keys.get(connection)
        if (key === undefined) return connection
        return preSharedKey({ psk: keyFile(key) })().protect(connection, options)
      },
    }
  }

  /** Number of connections over the relays of the throwaway host with this key. */
  carriedOver(key: Uint8Array): number {
    return this.#carried.get(key) ?? 0
  }

  /** Relay transport of a throwaway host: it passes inbound connections to the device's own host, and dials on its behalf. */
  circuit(key: Uint8Array): (components: CircuitRelayTransportComponents) => Transport {
    return (components) => {
      const create = relayTransport({
        reservationConcurrency: 3,
        discoveryFilter: none,
        maxInboundStopStreams,
      })
      return create(
        new Proxy(components, {
          get: (target, name) =>
            name === 'upgrader' ? this.#veiledUpgrader(key, target.upgrader) : Reflect.get(target, name),
        }),
      )
    }
  }

  async #dial(address: Multiaddr, options: DialTransportOptions): ReturnType<Transport['dial']> {
    if (this.#cover === null) throw new Error('the public network has not been entered yet')
    const veiled = parseVeiledAddress(address)
    const called: Called = { address: withoutKey(address), key: veiled?.key }
    const withCalled = { ...options, called }
    return this.#cover.circuit.dial(veiled?.circuit ?? address, withCalled)
  }

  #veiledUpgrader(key: Uint8Array, own: Upgrader): Upgrader {
    const upgrader = (): Upgrader => {
      if (this.#upgrader === null) throw new Error('the device has no host')
      return this.#upgrader
    }
    const veiled: Pick<Upgrader, 'upgradeInbound' | 'upgradeOutbound'> = {
      upgradeInbound: (connection, options) => {
        // The throwaway identity at the other end does not name the peer: Noise will.
        this.#count(key, connection)
        this.#prepare(connection, withoutPeers(connection.remoteAddr), key)
        return upgrader().upgradeInbound(connection, { ...options, limits: this.#limited(options?.limits) })
      },
      upgradeOutbound: (connection, options) => {
        const { called } = options as { called?: Called }
        if (called === undefined) throw new Error('a throwaway host calls nobody for itself')
        this.#count(key, connection)
        this.#prepare(connection, called.address, called.key)
        return upgrader().upgradeOutbound(connection, { ...options, limits: this.#limited(options?.limits) })
      },
    }
    return new Proxy(own, {
      get: (target, name) => {
        const from = name in veiled ? veiled : target
        const member: unknown = Reflect.get(from, name)
        return typeof member === 'function' ? member.bind(from) : member
      },
    })
  }

  /**
   * Limits a connection's lifetime, whatever the relay grants, so that sessions move before a throwaway host at either end is
   * given up.
   */
  #limited(granted: ConnectionLimits | undefined): ConnectionLimits {
    const endsAtMs = this.#clock.monotonic() + longestCarriedMs
    const limits: ConnectionLimits = {}
    const secondsLeft = (): number =>
      Math.min(granted?.seconds ?? Infinity, (endsAtMs - this.#clock.monotonic()) / 1_000)
    Object.defineProperty(limits, 'seconds', { enumerable: true, get: secondsLeft })
    if (granted?.bytes !== undefined)
      Object.defineProperty(limits, 'bytes', { enumerable: true, get: () => granted.bytes })
    return limits
  }

  #count(key: Uint8Array, connection: MultiaddrConnection): void {
    const add = (more: 1 | -1): void => {
      const count = this.carriedOver(key) + more
      if (count === 0) this.#carried.delete(key)
      else this.#carried.set(key, count)
    }
    add(1)
    connection.addEventListener('close', () => add(-1), { once: true })
  }

  #prepare(connection: MultiaddrConnection, remoteAddr: Multiaddr, key: Uint8Array | undefined): void {
    connection.remoteAddr = remoteAddr
    if (key !== undefined) this.#keys.set(connection, key)
  }
}

/** Target of a dial by the device's host; the throwaway host behind the dialled address is another peer. */
interface Called {
  address: Multiaddr
  key: Uint8Array | undefined
}

class VeiledTransport {
  readonly [Symbol.toStringTag] = 'spacedock-veiled'
  readonly [transportSymbol] = true as const
  readonly dial: Transport['dial']
  readonly dialFilter: Transport['dialFilter']
  readonly listenFilter = (): Multiaddr[] => []

  constructor(isWanted: (address: Multiaddr) => boolean, dial: Transport['dial']) {
    this.dial = dial
    this.dialFilter = (addresses) => addresses.filter(isWanted)
  }

  createListener(): never {
    throw new Error('veiled addresses are listened on by throwaway hosts')
  }
}

/** Empty search: relays are chosen, not discovered, so the transport must take every peer for one that it has tried already. */
const none = { has: () => true, add: () => {}, remove: () => {} }
/** Longest life of a carried connection; a throwaway host outlives it. */
export const longestCarriedMs = 480_000
/** Limit of concurrent inbound connections over one relay. */
const maxInboundStopStreams = 16

/** Encodes a key file: https://github.com/libp2p/specs/blob/master/pnet/Private-Networks-PSK-V1.md */
function keyFile(key: Uint8Array): Uint8Array {
  return Buffer.from(`/key/swarm/psk/1.0.0/\n/base16/\n${Buffer.from(key).toString('hex')}`)
}

function relayOf(address: Multiaddr): string | undefined {
  const components = address.getComponents()
  const circuit = components.findIndex(({ code }) => code === CODE_P2P_CIRCUIT)
  return components[circuit - 1]?.value
}

/** Strips peer ids: `/ip4/20.3.4.5/tcp/4001/p2p/RELAY/p2p-circuit/p2p/THROWAWAY` -> `/ip4/20.3.4.5/tcp/4001/p2p-circuit` */
function withoutPeers(address: Multiaddr): Multiaddr {
  const kept = address.getComponents().filter(({ code }) => code !== CODE_P2P)
  return multiaddr(
    kept.map(({ name, value }) => `/${name}${value === undefined ? '' : `/${value}`}`).join(''),
  )
}

/** Strips the key from an address that will be shown and logged. */
function withoutKey(address: Multiaddr): Multiaddr {
  return multiaddr(address.toString().replace(/\/certhash\/[^/]+/u, ''))
}
