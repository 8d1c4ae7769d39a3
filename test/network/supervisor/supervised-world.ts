import assert from 'node:assert/strict'
import type { Connection } from '@libp2p/interface'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { SpacedockError } from '../../../src/errors.ts'
import { ConnectionSupervisor } from '../../../src/network/supervisor/connection-supervisor.ts'
import type { PathBudget } from '../../../src/network/session/path-budget.ts'
import type { Session, SessionEnd } from '../../../src/network/session/session.ts'
import { newPeerId } from '../session/session-pair.ts'
import type { VirtualClock } from '../../../src/testing/virtual-clock.ts'
import { turns, virtualClock } from '../../../src/testing/virtual-clock.ts'
import { peerIdOf } from '../../../src/libp2p-peer.ts'
import { libp2pPeer } from '../../../src/libp2p-peer.ts'
import type { PeerId } from '../../../src/pairing/peer-id.ts'

/** Of two peers, this device and another; whose session stays depends on the order of their ids. */
export const [smaller, larger] = await twoPeers()
const address = multiaddr('/ip4/127.0.0.1/tcp/1')
export const relayAddress = multiaddr(`/ip4/127.0.0.1/tcp/2/p2p/${smaller}/p2p-circuit`)

export interface FakeSession extends Session {
  answersPing: boolean
  closesInTime: boolean
  /** Something is under way: it closes when that has ended. */
  isBusy: boolean
  isLeaving: boolean
  isDoubtful: boolean
  budget: PathBudget | null
  /** Whether this side has said goodbye on it, and lets it end in its own time. */
  isDrained: boolean
  /** The other side says goodbye on it. */
  hearGoodbye(): void
  /** An answer is overdue, or comes. */
  doubt(isDoubtful: boolean): void
  end(end: SessionEnd): void
}

export interface World {
  supervisor: ConnectionSupervisor
  clock: VirtualClock
  events: string[]
  dials: { at: number; peerId: PeerId }[]
  devices: PeerId[]
  connections: Connection[]
  sessions: FakeSession[]
  /** The nth session, from 1. */
  session(number: number): FakeSession
  connection(peerId: PeerId, remoteAddr?: Multiaddr): Connection
  newSession(options: {
    opener: 'local' | 'remote'
    connection?: Connection
    remotePeer?: PeerId
    remoteInstance?: string
    answersPing?: boolean
  }): FakeSession
  stop(): Promise<void>
}

/** What a test decides of its world. */
export interface Situation {
  localPeer?: PeerId
  addressesOf?: (peerId: PeerId) => readonly Multiaddr[]
  /** Called for every dial; `anew` says whether an open connection would not do. */
  dial?: (
    peerId: PeerId,
    addresses: readonly Multiaddr[],
    options: { signal: AbortSignal; anew: boolean },
  ) => Promise<Connection>
  openSession?: (connection: Connection) => Promise<Session>
  random?: () => number
}

/** A supervisor in a world without sockets: its time is turned by hand, and every dial and session is the test's. */
export function supervise(peers: readonly PeerId[], situation: Situation = {}): World {
  const clock = virtualClock()
  const devices = [...peers]
  const events: string[] = []
  const dials: World['dials'] = []
  const connections: Connection[] = []
  const sessions: FakeSession[] = []
  const [device = larger] = peers

  const connection = (remotePeer: PeerId, remoteAddr = address): Connection => {
    const made = {
      remotePeer: libp2pPeer(remotePeer),
      status: 'open',
      remoteAddr,
      streams: [] as unknown[],
      abort: () => void (made.status = 'aborted'),
      close: async () => void (made.status = 'closed'),
    }
    connections.push(made as unknown as Connection)
    return made as unknown as Connection
  }
  const newSession: World['newSession'] = (options) => {
    const ended = Promise.withResolvers<SessionEnd>()
    const forsaken = new AbortController()
    let onChange: (() => void) | undefined
    const made: FakeSession = {
      remotePeer:
        options.remotePeer ??
        (options.connection === undefined ? device : peerIdOf(options.connection.remotePeer)),
      connection: options.connection ?? connection(options.remotePeer ?? device),
      opener: options.opener,
      budget: null,
      remoteInstance: options.remoteInstance ?? 'a'.repeat(32),
      greetedAtMs: 0,
      answersPing: options.answersPing ?? true,
      closesInTime: true,
      isBusy: false,
      isLeaving: false,
      isDoubtful: false,
      isDrained: false,
      hearGoodbye() {
        made.isLeaving = true
        onChange?.()
      },
      doubt(isDoubtful) {
        made.isDoubtful = isDoubtful
        onChange?.()
      },
      forsaken: forsaken.signal,
      forsake: () => forsaken.abort(),
      watch: (listener) => void (onChange = listener),
      check() {
        if (made.answersPing) return
        clock.after(1_000, () => made.answersPing || made.doubt(true))
        clock.after(6_000, () => made.answersPing || ended.resolve({ reason: 'silent' }))
      },
      closed: ended.promise,
      end: (end) => ended.resolve(end),
      request: () => Promise.reject(new Error('not in this world')),
      openStream: () => Promise.reject(new Error('not in this world')),
      emit: () => Promise.reject(new Error('not in this world')),
      ping: ({ timeoutMs = 10_000 } = {}) =>
        made.answersPing
          ? Promise.resolve(1)
          : new Promise((_resolve, reject) => {
              clock.after(timeoutMs, () => reject(new SpacedockError('timed-out', 'no pong')))
            }),
      drain: async () => {
        made.isDrained = true
        made.hearGoodbye()
        if (made.closesInTime && !made.isBusy) ended.resolve({ reason: 'closed' })
        await ended.promise
      },
      close: async () => {
        made.hearGoodbye()
        if (made.closesInTime) ended.resolve({ reason: 'closed' })
        await ended.promise
      },
      revoke: async () => {
        events.push('told')
        ended.resolve({ reason: 'aborted', cause: new Error('revoked') })
      },
      abort: (cause) => ended.resolve({ reason: 'aborted', cause }),
    }
    sessions.push(made)
    return made
  }
  const {
    localPeer = smaller,
    addressesOf = () => [address],
    dial = async (peerId) => connection(peerId),
    openSession = async (over) => newSession({ connection: over, opener: 'local' }),
    random = () => 0.5,
  } = situation
  const dialled = (
    peerId: PeerId,
    addresses: readonly Multiaddr[],
    options: { signal: AbortSignal; anew: boolean },
  ): Promise<Connection> => {
    dials.push({ at: clock.monotonic(), peerId })
    return dial(peerId, addresses, options)
  }
  const supervisor = new ConnectionSupervisor({
    host: {
      peerId: localPeer,
      simultaneousOpen: null,
      toldAddresses: async () => [],
      dialTls: async () => null,
      connectionsTo: (peerId) =>
        connections.filter((each) => each.status === 'open' && peerIdOf(each.remotePeer) === peerId),
      connect: (peerId, addresses, { signal }) => dialled(peerId, addresses, { signal, anew: false }),
      dial: (peerId, addresses, { signal }) => dialled(peerId, addresses, { signal, anew: true }),
    },
    trusted: {
      wanted: () => devices,
      isWanted: (peerId) => devices.includes(peerId),
      pairKeys: () => devices.map((peer) => ({ peer, pairKey: new Uint8Array(32) })),
    },
    book: { addressesOf: (peerId) => addressesOf(peerId).map(String) },
    opener: { open: (over) => openSession(over as Connection) },
    random,
    clock,
    log: () => {},
  })
  supervisor.listen({
    sessionStarted: (_peer, session) =>
      events.push(`session ${sessions.indexOf(session as FakeSession) + 1}`),
    sessionEnded: (_peer, { reason }) => events.push(`ended ${reason}`),
    attemptFailed: (_peer, { code, message }) => events.push(`failed ${code}: ${message}`),
    unknownDevice: () => events.push('unknown'),
    woke: () => events.push('wake'),
  })
  return {
    supervisor,
    clock,
    events,
    dials,
    devices,
    connections,
    sessions,
    connection,
    newSession,
    session: (number) => {
      const session = sessions[number - 1]
      assert.ok(session, `there is no session ${number}`)
      return session
    },
    stop: async () => {
      const stopping = supervisor.stop()
      await clock.pass(2_000)
      await stopping
      await turns()
    },
  }
}

async function twoPeers(): Promise<[smaller: PeerId, larger: PeerId]> {
  const [one, two] = await Promise.all([newPeerId(), newPeerId()])
  return one.toString() < two.toString() ? [one, two] : [two, one]
}
