import type { Connection } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../../api.ts'
import { SpacedockError } from '../../errors.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import { isRelayedConnection } from '../addresses/relayed-address.ts'
import { raceAddresses, type PlainDial } from '../transport/address-race.ts'
import { isTls, type SessionConnection, type TlsConnection } from '../transport/tls-connection.ts'
import type { DialingHost } from './connection-attempt.ts'
import type { DirectPathHost, SimultaneousOpener } from './direct-path.ts'

/** TLS with paired devices, which is tried before Noise. */
export interface TlsPaths {
  /** Whether it is worth a try with this device. */
  mayTry(peer: PeerId): Promise<boolean>
  /** Resolves when the device has opened a connection, or the time is over: whether it has. */
  comes(peer: PeerId, options: { timeoutMs: number; signal: AbortSignal }): Promise<boolean>
  /** Dials a new connection: at direct addresses TLS, and Noise where that is refused. */
  dial(
    peer: PeerId,
    addresses: readonly Multiaddr[],
    options: { signal: AbortSignal },
  ): Promise<SessionConnection>
  /** Dials one address of a device to which there is a connection, which `plain` gives where TLS is refused. */
  dialBeside(
    peer: PeerId,
    address: Multiaddr,
    plain: PlainDial,
    options: { signal: AbortSignal },
  ): Promise<SessionConnection>
}

/** Host with its libp2p connections, and with TLS where it has that. */
export interface PathsHost extends Pick<
  DirectPathHost,
  'peerId' | 'simultaneousOpen' | 'connectionsTo' | 'toldAddresses'
> {
  readonly tls: TlsPaths | null
  connect(
    peer: PeerId,
    addresses: readonly Multiaddr[],
    options: { signal: AbortSignal },
  ): Promise<Connection>
  dial(peer: PeerId, addresses: readonly Multiaddr[], options: { signal: AbortSignal }): Promise<Connection>
}

/** Ways to a device for its sessions: TLS where both can, else what libp2p has. */
export class DevicePaths implements DialingHost, DirectPathHost {
  readonly #host: PathsHost
  readonly #clock: Clock

  constructor(host: PathsHost, clock: Clock) {
    this.#host = host
    this.#clock = clock
  }

  get peerId(): PeerId {
    return this.#host.peerId
  }

  get simultaneousOpen(): SimultaneousOpener | null {
    return this.#host.simultaneousOpen
  }

  connectionsTo(peer: PeerId): readonly SessionConnection[] {
    return this.#host.connectionsTo(peer)
  }

  toldAddresses(peer: PeerId): Promise<readonly Multiaddr[]> {
    return this.#host.toldAddresses(peer)
  }

  async dial(
    peer: PeerId,
    addresses: readonly Multiaddr[],
    options: { signal: AbortSignal },
  ): Promise<SessionConnection> {
    const { tls } = this.#host
    if (tls === null || !(await tls.mayTry(peer))) return this.#host.dial(peer, addresses, options)
    return tls.dial(peer, addresses, options)
  }

  /**
   * Returns a connection that is open, or dials one. Beside a direct one, which a pairing may have left, TLS is tried where it
   * leads, for as long as a person does not notice.
   */
  async connect(
    peer: PeerId,
    addresses: readonly Multiaddr[],
    options: { signal: AbortSignal },
  ): Promise<SessionConnection> {
    const { tls } = this.#host
    if (tls === null || !(await tls.mayTry(peer))) return this.#host.connect(peer, addresses, options)
    const open = this.#host.connectionsTo(peer).filter((each) => !isTls(each) && each.status === 'open')
    const direct = open.find((each): each is Connection => !isTls(each) && !isRelayedConnection(each))
    if (direct === undefined)
      return open.length > 0
        ? this.#host.connect(peer, addresses, options)
        : tls.dial(peer, addresses, options)
    // Meanwhile it may have been closed.
    const use = async (more: { signal: AbortSignal }): Promise<Connection | SessionConnection> =>
      direct.status === 'open' ? direct : tls.dial(peer, addresses, more)
    if (direct.direction === 'inbound') {
      // The side that has dialled can dial again, and its session comes with that.
      const comes = await tls.comes(peer, { timeoutMs: unnoticedMs, signal: options.signal })
      if (comes) throw new SpacedockError('cancelled', 'The device opens a session by itself.')
      return use(options)
    }
    const plain = async (): Promise<Connection> => {
      if (direct.status === 'open') return direct
      throw new SpacedockError('interrupted', 'The connection was closed meanwhile.')
    }
    return raceAddresses(
      [(more) => tls.dialBeside(peer, direct.remoteAddr, plain, more), use],
      (way: typeof use, more) => way(more),
      { ...options, clock: this.#clock, headStartMs: unnoticedMs },
    )
  }

  async dialTls(
    peer: PeerId,
    beside: SessionConnection,
    options: { signal: AbortSignal },
  ): Promise<TlsConnection | null> {
    const { tls } = this.#host
    if (tls === null || isTls(beside) || beside.direction === 'inbound' || !(await tls.mayTry(peer)))
      return null
    const dialled = await tls.dialBeside(peer, beside.remoteAddr, async () => beside, options)
    return isTls(dialled) ? dialled : null
  }
}

/** Time for TLS at an address where libp2p got through just now; the session runs over Noise then, until TLS gets through, too. */
const unnoticedMs = 1_000
