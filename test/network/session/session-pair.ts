import { randomBytes } from 'node:crypto'
import { afterEach } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Connection, Stream } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { streamPair } from '@libp2p/utils'
import type { Session, SessionOptions } from '../../../src/network/session/session.ts'
import { acceptSession, openSession } from '../../../src/network/session/session.ts'
import type { PairKey } from '../../../src/network/session/session-hello.ts'
import { peerIdOf } from '../../../src/libp2p-peer.ts'
import { libp2pPeer } from '../../../src/libp2p-peer.ts'
import type { PeerId } from '../../../src/pairing/peer-id.ts'
import { unknownProtocol } from '../../../src/network/session/session-errors.ts'
import type { SessionTrust } from '../../../src/network/session/session-trust.ts'
import type { CallHandler } from '../../../src/network/session/call.ts'

export const settledKey: PairKey = { key: new Uint8Array(32).fill(7), slot: 'settled' }

const opened: Session[] = []

// A test that fails must not leave sessions behind that keep the process alive.
afterEach(() => {
  for (const session of opened.splice(0)) session.abort(new Error('the test is over'))
})

export async function newPeerId(): Promise<PeerId> {
  return peerIdOf(peerIdFromPrivateKey(await generateKeyPair('Ed25519')))
}

export interface Ends {
  dialerPeer: PeerId
  listenerPeer: PeerId
  outbound: Stream
  inbound: Stream
  toListener: Connection
  toDialer: Connection
}

/** A stream in memory between two peers, and what stands for the connection under it. */
export async function ends(): Promise<Ends> {
  const [dialerPeer, listenerPeer] = await Promise.all([newPeerId(), newPeerId()])
  const [outbound, inbound] = await streamPair()
  return {
    dialerPeer,
    listenerPeer,
    outbound,
    inbound,
    toListener: connectionTo(listenerPeer, outbound),
    toDialer: connectionTo(dialerPeer, inbound),
  }
}

/** As much of a connection as a session uses; the stream is real. */
function connectionTo(remotePeer: PeerId, stream: Stream): Connection {
  return {
    remotePeer: libp2pPeer(remotePeer),
    newStream: async () => stream,
    abort: (error: Error) => stream.abort(error),
  } as unknown as Connection
}

/** What a test does in another way: of the options, of who is trusted, or of how calls are answered. */
export type SessionOverrides = Partial<Omit<SessionOptions, 'trust' | 'calls'> & SessionTrust & CallHandler>

/** A session that trusts whoever has `settledKey`, and answers each request with what it holds. */
export function sessionOptions(localPeer: PeerId, overrides: SessionOverrides = {}): SessionOptions {
  const { keysOf, proved, noticeTo, revokedBy, disowned, request, stream, event, ...options } = overrides
  return {
    localPeer,
    instance: randomBytes(16),
    trust: {
      keysOf: keysOf ?? (() => [settledKey]),
      proved: proved ?? (() => {}),
      noticeTo: noticeTo ?? (() => undefined),
      revokedBy: revokedBy ?? (() => false),
      disowned: disowned ?? (() => {}),
    },
    calls: {
      request: request ?? (async ({ value }) => value),
      stream: stream ?? (({ name, version }) => Promise.reject(unknownProtocol(name, version))),
      event: event ?? (async () => {}),
    },
    ...options,
  }
}

export interface SessionPair {
  dialer: Session
  listener: Session
  outbound: Stream
  inbound: Stream
}

export interface PairOverrides {
  dialer?: SessionOverrides
  listener?: SessionOverrides
}

let carrier: (overrides: PairOverrides) => Promise<SessionPair> = overStream

/** Has the pairs of this process run over something else than a libp2p stream. */
export function carryPairs(over: (overrides: PairOverrides) => Promise<SessionPair>): void {
  carrier = over
}

export async function sessionPair(overrides: PairOverrides = {}): Promise<SessionPair> {
  const pair = await carrier(overrides)
  opened.push(pair.dialer, pair.listener)
  return pair
}

async function overStream(overrides: PairOverrides): Promise<SessionPair> {
  const { dialerPeer, listenerPeer, outbound, inbound, toListener, toDialer } = await ends()
  const [dialer, listener] = await Promise.all([
    openSession(toListener, sessionOptions(dialerPeer, overrides.dialer)),
    acceptSession(inbound, toDialer, sessionOptions(listenerPeer, overrides.listener)),
  ])
  return { dialer, listener, outbound, inbound }
}
