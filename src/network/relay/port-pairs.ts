import type { Connection, PeerId, Upgrader } from '@libp2p/interface'
import type { TransportManager } from '@libp2p/interface-internal'
import { multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../../api.ts'
import { pause } from '../../clock.ts'
import { SpacedockError } from '../../errors.ts'
import { abortReason } from '../../abort.ts'
import { startDeadline } from '../deadline.ts'
import type { PortPair } from './opening-agreement.ts'
import { dialSimultaneously, type Role } from './simultaneous-dial.ts'

export interface ConnectPairsOptions {
  role: Role
  /** Timeout of the TCP connection. */
  windowMs: number
  /** Delay between each dial and the next. */
  spacingMs: number
  clock: Clock
  signal: AbortSignal
}

/** Dials each pair once; the first TCP connection that opens becomes the connection to this peer. */
export async function connectPairs(
  { transportManager, upgrader }: { transportManager: TransportManager; upgrader: Upgrader },
  peer: PeerId,
  pairs: readonly PortPair[],
  { role, windowMs, spacingMs, clock, signal }: ConnectPairsOptions,
): Promise<Connection> {
  const deadline = startDeadline(windowMs + upgradeTimeoutMs, timedOut, { signal, clock })
  const closeWindow = clock.after(windowMs, () => deadline.abort(timedOut()))
  // Slow preparation is done before the first packet leaves.
  const dials = pairs.map(({ port, address }): Dial => {
    const target = multiaddr(`${address}/p2p/${peer.toString()}`)
    const transport = transportManager.dialTransportForMultiaddr(target)
    if (transport === undefined) throw new Error(`no transport dials ${address}`)
    return ({ signal: called, onOpen }) =>
      dialSimultaneously(transport, target, {
        localPort: port,
        role,
        upgrader,
        signal: called,
        onOpen() {
          closeWindow()
          onOpen()
        },
      })
  })
  try {
    return await dialCrossing(dials, { role, spacingMs, clock, signal: deadline.signal })
  } catch (error) {
    throw deadline.signal.aborted ? abortReason(deadline.signal) : error
  } finally {
    closeWindow()
    deadline.stop()
  }
}

type Dial = (options: { signal: AbortSignal; onOpen: () => void }) => Promise<Connection>

/**
 * Makes several dials, of which one connection comes. The side with the dialler's part settles which: the first that opens; the
 * other one cannot know that, and keeps all of them until one is a connection. When all have failed, rejects with the error of
 * the first.
 */
async function dialCrossing(
  dials: readonly Dial[],
  { role, spacingMs, clock, signal }: Omit<ConnectPairsOptions, 'windowMs'>,
): Promise<Connection> {
  const attempts = dials.map((dial) => ({ dial, stop: new AbortController() }))
  const keepOnly = (kept: AbortController): void => {
    for (const { stop } of attempts) if (stop !== kept) stop.abort(new Error('other ports were faster'))
  }
  const connecting = attempts.map(async ({ dial, stop }, index) => {
    const called = AbortSignal.any([signal, stop.signal])
    if (index * spacingMs > 0) await pause(clock, index * spacingMs, called)
    called.throwIfAborted()
    const connection = await dial({
      signal: called,
      onOpen: () => {
        if (role === 'dialer') keepOnly(stop)
      },
    })
    keepOnly(stop)
    return connection
  })
  try {
    return await Promise.any(connecting)
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[0] : error
  }
}

const upgradeTimeoutMs = 10_000

function timedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'The two devices could not be connected directly in time.')
}
