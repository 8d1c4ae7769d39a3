import type { Connection } from '@libp2p/interface'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { SpacedockError } from '../../errors.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import { isNeverDialled } from '../addresses/address-filter.ts'
import { startDeadline } from '../deadline.ts'
import type { DialAttempt } from '../reachability/dial-evidence.ts'
import type { Dialer, DialOne } from '../transport/address-race.ts'
import type { SessionConnection } from '../transport/tls-connection.ts'

/** Timeout of a dial to one peer, all its addresses together. */
export const dialTimeoutMs = 10_000
/** Most addresses at which one peer is dialled. */
export const maxAddressesPerPeer = 16

/** Dials of a host, and who is told of them. */
export class HostDials {
  readonly #dialer: Dialer
  readonly #dialListeners: ((result: Promise<unknown>) => void)[] = []
  readonly #attemptListeners: ((attempt: DialAttempt) => void)[] = []

  constructor(dialer: Dialer) {
    this.#dialer = dialer
  }

  onDial(listener: (result: Promise<unknown>) => void): void {
    this.#dialListeners.push(listener)
  }

  onAttempt(listener: (attempt: DialAttempt) => void): void {
    this.#attemptListeners.push(listener)
  }

  dial(
    peer: PeerId,
    addresses: readonly (string | Multiaddr)[],
    options: { signal: AbortSignal },
  ): Promise<Connection> {
    return this.dialBy(peer, addresses, (_address, plain, more) => plain(more), options)
  }

  async dialBy<Each extends SessionConnection>(
    peer: PeerId,
    addresses: readonly (string | Multiaddr)[],
    dialOne: DialOne<Each>,
    { signal }: { signal: AbortSignal },
  ): Promise<Each> {
    const suffix = `/p2p/${peer}`
    const targets = [...new Set(addresses.map((address) => pinned(String(address), suffix)))]
      .filter((address) => address.endsWith(suffix))
      .map((address) => multiaddr(address))
      .filter((address) => !isNeverDialled(address))
      .slice(0, maxAddressesPerPeer)
    if (targets.length === 0) throw new SpacedockError('offline', 'No address of the other device is known.')
    const deadline = startDeadline(dialTimeoutMs, dialTimedOut, { signal })
    const onAttempt = (address: Multiaddr, result: Promise<unknown>): void => {
      const attempt = { peer, address: String(address).replace(suffix, ''), result }
      for (const listener of this.#attemptListeners) listener(attempt)
    }
    const result = this.#dialer
      .dial(targets, dialOne, { signal: deadline.signal, onAttempt })
      .finally(() => deadline.stop())
    for (const listener of this.#dialListeners) listener(result)
    return result
  }
}

/** Appends `/p2p/PEERID` unless the address ends in it: relayed ones may end in the relay's part, and all others in the port. */
function pinned(address: string, suffix: string): string {
  return /\/p2p\/[^/]+$/u.test(address) ? address : `${address}${suffix}`
}

function dialTimedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'No address of the other device answered in time.')
}
