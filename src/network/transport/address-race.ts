import { addAbortListener } from 'node:events'
import type { Connection } from '@libp2p/interface'
import type { TransportManager } from '@libp2p/interface-internal'
import type { Multiaddr } from '@multiformats/multiaddr'
import { abortReason } from '../../abort.ts'
import { isRelayed } from '../addresses/relayed-address.ts'
import type { Clock } from '../../api.ts'
import { systemClock } from '../../clock.ts'

/** Delay before the next address is tried as well; RFC 8305 recommends 250 ms. */
const addressHeadStartMs = 250

export interface RaceOptions {
  signal: AbortSignal
  clock: Clock
  /** Delay before the next one is tried as well. @default 250, as RFC 8305 recommends */
  headStartMs?: number
}

/**
 * Tries addresses in their order, each a moment after the one before, or at once when that one has failed: an address that
 * does not answer delays the others by a quarter of a second and not by its timeout (RFC 8305, "Happy Eyeballs"). The first
 * connection wins, and the other attempts are called off. Rejects with an AggregateError when all have failed, or with the
 * signal's reason.
 */
export function raceAddresses<Address, Winner>(
  addresses: readonly Address[],
  dial: (address: Address, options: { signal: AbortSignal }) => Promise<Winner>,
  { signal, clock, headStartMs = addressHeadStartMs }: RaceOptions,
): Promise<Winner> {
  const { promise, resolve, reject } = Promise.withResolvers<Winner>()
  /** Dials under way. The winner's signal is never aborted: that would close its connection. */
  const attempts = new Set<AbortController>()
  const waiting = [...addresses]
  const failures: unknown[] = []
  let cancelTimer: (() => void) | undefined
  let settled = false

  function settle(report: () => void): void {
    if (settled) return
    settled = true
    cancelTimer?.()
    listening[Symbol.dispose]()
    report()
    for (const attempt of attempts) attempt.abort(new Error('another address was faster'))
  }
  function startNext(): void {
    cancelTimer?.()
    const address = waiting.shift()
    if (settled || address === undefined) return
    if (waiting.length > 0) cancelTimer = clock.after(headStartMs, startNext)
    const attempt = new AbortController()
    attempts.add(attempt)
    void run(address, attempt)
  }
  async function run(address: Address, attempt: AbortController): Promise<void> {
    try {
      const winner = await dial(address, { signal: attempt.signal })
      attempts.delete(attempt)
      settle(() => resolve(winner))
    } catch (error) {
      attempts.delete(attempt)
      failures.push(error)
      if (failures.length === addresses.length) settle(() => reject(failed(failures)))
      else startNext()
    }
  }

  const listening = addAbortListener(signal, () => settle(() => reject(abortReason(signal))))
  if (addresses.length === 0) settle(() => reject(failed([])))
  else if (!signal.aborted) startNext()
  return promise
}

function failed(causes: unknown[]): AggregateError {
  return new AggregateError(causes, 'no address of the peer could be reached')
}

/** Order of dials: direct addresses before relayed ones, except that many dead ones must not keep a peer from its relay. */
export function inOrderOfTrial(addresses: readonly Multiaddr[]): Multiaddr[] {
  const direct = addresses.filter((address) => !isRelayed(address))
  const relayed = addresses.filter(isRelayed)
  return [
    ...direct.slice(0, directHeadStart),
    ...relayed.slice(0, 1),
    ...direct.slice(directHeadStart),
    ...relayed.slice(1),
  ]
}

const directHeadStart = 4

/** Dials one address by libp2p, with Noise. */
export type PlainDial = (options: { signal: AbortSignal }) => Promise<Connection>

/** Dials one address in another way, or in libp2p's, which it is given. */
export type DialOne<Each> = (
  address: Multiaddr,
  plain: PlainDial,
  options: { signal: AbortSignal },
) => Promise<Each>

/** Connects to one peer by the first of its addresses that answers. */
export interface Dialer {
  /**
   * Dials the addresses, each with /p2p/PEERID so that only that peer can answer. The first four direct ones come before relayed
   * ones.
   */
  dial<Each>(addresses: readonly Multiaddr[], dialOne: DialOne<Each>, options: DialerOptions): Promise<Each>
}

export interface DialerOptions {
  signal: AbortSignal
  /** Called at the start of each dial, with its result. */
  onAttempt?: (address: Multiaddr, result: Promise<unknown>) => void
}

/**
 * Dialer as a libp2p service, which has access to the transports: libp2p's own dialling tries one address after the other, and
 * waits for each.
 */
export function addressDialer(): (components: { transportManager: TransportManager }) => Dialer {
  return ({ transportManager }) => ({
    dial: (addresses, dialOne, { onAttempt, ...options }) =>
      raceAddresses(
        inOrderOfTrial(addresses),
        (address, { signal }) => {
          const result = dialOne(address, (more) => transportManager.dial(address, more), { signal })
          onAttempt?.(address, result)
          return result
        },
        { ...options, clock: systemClock },
      ),
  })
}
