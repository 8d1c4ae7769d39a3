import type { Connection } from '@libp2p/interface'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import { startDeadline } from '../network/deadline.ts'
import type { DialAttempt } from '../network/reachability/dial-evidence.ts'
import { raceAddresses, type DialOne, type PlainDial } from '../network/transport/address-race.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { relayAddress } from './simulated-connection.ts'

/** Dials one address by what stands for libp2p. */
export type DialPlain = (
  peer: PeerId,
  address: string,
  options: { signal: AbortSignal },
) => Promise<Connection>

/** TCP port at which every simulated device listens. */
export const listenPort = 4_001
const dialTimeoutMs = 10_000

/** Dials of a simulated host, and who is told of them. */
export class SimulatedDials {
  readonly #clock: Clock
  readonly #dialPlain: DialPlain
  readonly #dialListeners: ((result: Promise<unknown>) => void)[] = []
  readonly #attemptListeners: ((attempt: DialAttempt) => void)[] = []

  constructor(clock: Clock, dialPlain: DialPlain) {
    this.#clock = clock
    this.#dialPlain = dialPlain
  }

  onDial(listener: (result: Promise<unknown>) => void): void {
    this.#dialListeners.push(listener)
  }

  onAttempt(listener: (attempt: DialAttempt) => void): void {
    this.#attemptListeners.push(listener)
  }

  async dialBy<Each>(
    peer: PeerId,
    addresses: readonly (string | Multiaddr)[],
    way: DialOne<Each>,
    { signal }: { signal: AbortSignal },
  ): Promise<Each> {
    const targets = [...new Set(addresses.map((address) => targetOf(String(address))))]
      .filter((target) => target !== null)
      .toSorted((one, other) => Number(isOverRelay(one)) - Number(isOverRelay(other)))
    if (targets.length === 0) throw new SpacedockError('offline', 'No address of the other device is known.')
    const clock = this.#clock
    const deadline = startDeadline(dialTimeoutMs, dialTimedOut, { signal, clock })
    const dialOne = (address: string, options: { signal: AbortSignal }): Promise<Each> => {
      const plain: PlainDial = (more) => this.#dialPlain(peer, address, more)
      const result = way(multiaddr(address), plain, options)
      for (const listener of this.#attemptListeners) listener({ peer, address, result })
      return result
    }
    const race = raceAddresses(targets, dialOne, { signal: deadline.signal, clock })
    const result = race.finally(() => deadline.stop())
    for (const listener of this.#dialListeners) listener(result)
    return result
  }
}

/** Returns the address without the peer's id at its end. */
function targetOf(address: string): string | null {
  if (isOverRelay(address)) return relayAddress
  return /^\/ip4\/[\d.]+\/tcp\/\d+/u.exec(address)?.[0] ?? null
}

export function isOverRelay(address: string): boolean {
  return address.includes('/p2p-circuit')
}

export function directAddress(ip: string): string {
  return `/ip4/${ip}/tcp/${listenPort}`
}

function dialTimedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'No address of the other device answered in time.')
}
