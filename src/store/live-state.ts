import type { ConnectionPath, DeviceFailure } from '../api.ts'
import type { PeerId } from '../pairing/peer-id.ts'

/** State of a peer as seen in this run of the program; nothing of it is kept. */
export interface LiveState {
  /** Present connection; null when there is none. */
  readonly connection: LiveConnection | null
  /** Reason for the last lack of a connection. */
  readonly lastFailure: DeviceFailure | null
  /** Number of pairings with it that are running. */
  readonly pairings: number
  /** Null when it is not seen on the network. At most 8. */
  readonly sightedAddresses: readonly string[] | null
  /** Whether there has been a connection, or a try that failed. */
  readonly lookedFor: boolean
}

export interface LiveConnection {
  readonly path: ConnectionPath
  readonly address: string
  /** Whether a relay in between carries little. */
  readonly limited: boolean
  /** Begin of the connectedness, over this connection or those before. Milliseconds since the epoch. */
  readonly sinceMs: number
  readonly roundTripMs: number | null
}

export type NewConnection = Pick<LiveConnection, 'path' | 'address'> &
  Partial<Pick<LiveConnection, 'limited'>>

export interface LiveStates {
  get(peerId: PeerId): LiveState
  peerIds(): PeerId[]
  /** Records addresses; returns the peers that had to be forgotten for it. */
  sighted(peerId: PeerId, addresses: readonly string[]): PeerId[]
  lost(peerId: PeerId): void
  pairing(peerId: PeerId, running: boolean): void
  connected(peerId: PeerId, connection: NewConnection, atMs: number): void
  /** Does nothing when it is not connected. */
  measured(peerId: PeerId, roundTripMs: number): void
  disconnected(peerId: PeerId, failure: DeviceFailure | null): void
  /** Resets the peer, as if it had not been looked for yet. */
  startOver(peerId: PeerId): void
}

const maximumSighted = 1_000
const maximumAddresses = 8
const absent: LiveState = {
  connection: null,
  lastFailure: null,
  pairings: 0,
  sightedAddresses: null,
  lookedFor: false,
}

/** Live states of peers. Those that are known are neither counted nor forgotten: anybody can announce the others. */
export function liveStates(isKnown: (peerId: PeerId) => boolean): LiveStates {
  // Order of the last sighting, oldest first.
  const peers = new Map<PeerId, LiveState>()
  const strangers = new Set<PeerId>()

  const get = (peerId: PeerId): LiveState => peers.get(peerId) ?? absent

  function change(peerId: PeerId, changes: Partial<LiveState>): void {
    const next = { ...get(peerId), ...changes }
    const empty =
      next.connection === null && next.pairings === 0 && next.sightedAddresses === null && !next.lookedFor
    if (empty) peers.delete(peerId)
    else peers.set(peerId, next)
  }

  return {
    get,
    peerIds: () => [...peers.keys()],
    sighted(peerId, addresses) {
      strangers.delete(peerId)
      change(peerId, { sightedAddresses: addresses.slice(0, maximumAddresses) })
      if (isKnown(peerId)) return []
      strangers.add(peerId)
      const forgotten = [...strangers].slice(0, Math.max(0, strangers.size - maximumSighted))
      for (const old of forgotten) {
        strangers.delete(old)
        if (!isKnown(old)) change(old, { sightedAddresses: null })
      }
      return forgotten
    },
    lost(peerId) {
      strangers.delete(peerId)
      change(peerId, { sightedAddresses: null })
    },
    pairing(peerId, running) {
      change(peerId, { pairings: Math.max(0, get(peerId).pairings + (running ? 1 : -1)) })
    },
    connected(peerId, connection, atMs) {
      const sinceMs = get(peerId).connection?.sinceMs ?? atMs
      const lookedFor = isKnown(peerId)
      change(peerId, { connection: { limited: false, ...connection, sinceMs, roundTripMs: null }, lookedFor })
    },
    measured(peerId, roundTripMs) {
      const { connection } = get(peerId)
      if (connection !== null) change(peerId, { connection: { ...connection, roundTripMs } })
    },
    disconnected(peerId, failure) {
      const lookedFor = isKnown(peerId)
      change(peerId, { connection: null, lookedFor, lastFailure: failure ?? get(peerId).lastFailure })
    },
    startOver(peerId) {
      change(peerId, { lookedFor: false, lastFailure: null })
    },
  }
}
