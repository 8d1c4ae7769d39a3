import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { duplexPair, type Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { multiaddr } from '@multiformats/multiaddr'
import { acceptTlsSession, openSession } from '../../../src/network/session/session.ts'
import { TlsConnection } from '../../../src/network/transport/tls-connection.ts'
import { secureAsDialer, tlsServer } from '../../../src/network/transport/tls-handshake.ts'
import type { PeerId } from '../../../src/pairing/peer-id.ts'
import { newPeerId, sessionOptions, type PairOverrides, type SessionPair } from './session-pair.ts'

export interface TlsEnds {
  dialerPeer: PeerId
  listenerPeer: PeerId
  toListener: TlsConnection
  toDialer: TlsConnection
}

/** The two ends of a TLS connection, in memory unless it has sockets. */
export async function tlsEnds(pipe: [Duplex, Duplex] = duplexPair()): Promise<TlsEnds> {
  const [dialer, listener] = await Promise.all([newPeerId(), newPeerId()])
  const psk = randomBytes(32)
  const server = tlsServer(() => psk, 10_000)
  const accepted = new Promise<TLSSocket>((resolve) => server.once('secureConnection', resolve))
  const [near, far] = pipe
  server.emit('connection', far)
  const signal = AbortSignal.timeout(10_000)
  const [here, there] = await Promise.all([
    secureAsDialer(near, { psk, identity: 'test' }, { signal }),
    accepted,
  ])
  const remoteAddr = multiaddr('/ip4/127.0.0.1/tcp/1')
  return {
    dialerPeer: dialer,
    listenerPeer: listener,
    toListener: new TlsConnection({ socket: here, remotePeer: listener, remoteAddr, direction: 'outbound' }),
    toDialer: new TlsConnection({ socket: there, remotePeer: dialer, remoteAddr, direction: 'inbound' }),
  }
}

/** A session over TLS; the streams of the pair are none. */
export async function pairOverTls(overrides: PairOverrides): Promise<SessionPair> {
  const { dialerPeer, listenerPeer, toListener, toDialer } = await tlsEnds(await socketPair())
  const [dialer, listener] = await Promise.all([
    openSession(toListener, sessionOptions(dialerPeer, overrides.dialer)),
    acceptTlsSession(toDialer, sessionOptions(listenerPeer, overrides.listener)),
  ])
  const none = undefined as never
  return { dialer, listener, outbound: none, inbound: none }
}

/** Two sockets, connected over the loopback interface. */
export async function socketPair(): Promise<[Socket, Socket]> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [far] = (await once(server, 'connection')) as [Socket]
  server.close()
  return [near, far]
}
