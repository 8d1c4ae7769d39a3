import type { Identify } from '@libp2p/identify'
import type { Connection, IdentifyResult } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from 'libp2p'
import type { PeerId } from '../../pairing/peer-id.ts'
import { libp2pPeer } from '../../libp2p-peer.ts'
import { isVeiled } from '../addresses/veiled-address.ts'
import { isTls, type SessionConnection, type TlsConnection } from '../transport/tls-connection.ts'

/** Number of times that a trusted peer is asked again over one connection: when trust begins, and when a session does. */
const maxAskedAgain = 4

/** What peers have told by identify. */
export class IdentifiedPeers {
  readonly #libp2p: Libp2p
  /** Protocols told. The peer store is no source: libp2p also puts into it what this host asked for. */
  readonly #protocols = new WeakMap<Connection, string[]>()
  readonly #askedAgain = new WeakMap<Connection, number>()
  /** Addresses told over TLS connections, which have no identify. */
  readonly #toldOver = new WeakMap<TlsConnection, readonly Multiaddr[]>()

  constructor(libp2p: Libp2p) {
    this.#libp2p = libp2p
    libp2p.addEventListener('peer:identify', ({ detail }) =>
      this.#protocols.set(detail.connection, detail.protocols),
    )
  }

  onIdentified(listener: (connection: Connection) => void): () => void {
    const onIdentify = ({ detail }: CustomEvent<IdentifyResult>): void => listener(detail.connection)
    this.#libp2p.addEventListener('peer:identify', onIdentify)
    return () => this.#libp2p.removeEventListener('peer:identify', onIdentify)
  }

  protocolsOf(peer: PeerId): string[] {
    const connections = this.#libp2p.getConnections(libp2pPeer(peer))
    return connections.flatMap((connection) => this.#protocols.get(connection) ?? [])
  }

  get #identify(): Identify | undefined {
    return (this.#libp2p.services as { identify?: Identify }).identify
  }

  async addressesOf(peer: PeerId): Promise<Multiaddr[]> {
    return this.#listenAddresses(libp2pPeer(peer))
  }

  toldOver(connection: TlsConnection, addresses: readonly Multiaddr[]): void {
    this.#toldOver.set(connection, addresses)
  }

  async dialableAddress(connection: SessionConnection): Promise<Multiaddr | null> {
    // A veiled address is useless without its key, and short-lived with it: the other device's record has fresh ones.
    if (isVeiled(connection.remoteAddr)) return null
    if (connection.direction === 'outbound') return connection.remoteAddr
    // The source port of an inbound connection is ephemeral: identify tells the port that the peer listens on.
    const told = await this.#listeningAt(connection)
    if (told !== null || (!isTls(connection) && !this.#mayAskAgain(connection))) return told
    if (isTls(connection)) return null
    // It tells those whom it trusts, and may not have known this device when it was asked.
    await this.#identify?.identify(connection).catch(() => {})
    return this.#listeningAt(connection)
  }

  async #listeningAt(connection: SessionConnection): Promise<Multiaddr | null> {
    const overTls = isTls(connection) ? this.#toldOver.get(connection) : undefined
    const told = overTls ?? (await this.#listenAddresses(connection.remotePeer))
    const ip = ipOf(connection.remoteAddr)
    return told.find((address) => ipOf(address) === ip) ?? null
  }

  #mayAskAgain(connection: Connection): boolean {
    const asked = this.#askedAgain.get(connection) ?? 0
    this.#askedAgain.set(connection, asked + 1)
    return asked < maxAskedAgain && connection.status === 'open'
  }

  async #listenAddresses(peer: Connection['remotePeer']): Promise<Multiaddr[]> {
    const known = await this.#libp2p.peerStore.get(peer).catch(() => null)
    return known?.addresses.map((each) => each.multiaddr) ?? []
  }
}

function ipOf(address: Multiaddr): string | undefined {
  return address.getComponents().find(({ name }) => name === 'ip4' || name === 'ip6')?.value
}
