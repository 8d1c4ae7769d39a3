import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import { test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import type { Connection } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { systemClock } from '../../../src/clock.ts'
import { FirstBytes } from '../../../src/network/transport/first-bytes.ts'
import { TlsAcceptor } from '../../../src/network/transport/tls-acceptor.ts'
import { TlsDialer } from '../../../src/network/transport/tls-dialer.ts'
import { canSpeakTls, secureAsDialer } from '../../../src/network/transport/tls-handshake.ts'
import { TlsSecrets, type PairKeys } from '../../../src/network/transport/tls-secrets.ts'
import type { PeerId } from '../../../src/pairing/peer-id.ts'
import { virtualClock } from '../../../src/testing/virtual-clock.ts'
import { until } from '../real-hosts.ts'
import { newPeerId } from '../session/session-pair.ts'
import { encodeClientHello } from './client-hello.ts'
import { impostorCertificate, impostorKey } from './impostor.ts'
import { answerTo } from './tls-hosts.ts'

const alert = 0x15

test('of a hello that names hundreds of keys, one is looked for', async (context) => {
  const asked: string[] = []
  const secrets = new WatchedSecrets(await newPeerId(), keysOf(await newPeerId()))
  secrets.onAsked = (identity) => asked.push(identity)
  const acceptor = new TlsAcceptor({
    secrets,
    turns: { turn: async () => true },
    onConnection: () => assert.fail('nobody is let in'),
    clock: systemClock,
    log: () => {},
  })
  const server = createServer({ pauseOnConnect: true }, (socket) => void acceptor.accept(socket))
  const names = Array.from({ length: 700 }, (_, index) => String(index).padStart(44, 'x'))
  const answer = await answerTo(await portOf(server, context), encodeClientHello(names))
  assert.equal(answer[0], alert)
  assert.deepEqual(asked, names.slice(0, 1))
})

test('a certificate is no key where the environment says that certificates need not be right either', async (context) => {
  const name = 'NODE_TLS_REJECT_UNAUTHORIZED'
  const { [name]: before } = process.env
  process.env[name] = '0'
  context.after(() => {
    if (before === undefined) delete process.env[name]
    else process.env[name] = before
  })
  const impostor = createTlsServer({ key: impostorKey, cert: impostorCertificate })
  const raw = connect({ port: await portOf(impostor, context), host: '127.0.0.1' })
  const secret = { psk: new Uint8Array(32), identity: 'somebody' }
  await assert.rejects(secureAsDialer(raw, secret, { signal: AbortSignal.timeout(10_000) }))
})

test('where somebody drops hellos, Noise waits for TLS once, and hardly from then on', async (context) => {
  assert.ok(await canSpeakTls())
  const hole = createServer((socket) => socket.resume().on('error', () => {}))
  const address = multiaddr(`/ip4/127.0.0.1/tcp/${await portOf(hole, context)}`)
  const clock = virtualClock()
  const peer = await newPeerId()
  const dialer = new TlsDialer({
    secrets: new TlsSecrets(await newPeerId(), keysOf(peer)),
    clock,
    log: () => {},
  })
  const byNoise = {} as Connection
  for (const waitMs of [2_000, 300, 300]) {
    let plainDials = 0
    const plain = async (): Promise<Connection> => {
      plainDials++
      return byNoise
    }
    const dialling = dialer.dial(peer, address, plain, { signal: AbortSignal.timeout(20_000) })
    await until(() => clock.pending() > 0, 'the wait for TLS')
    clock.advance(waitMs - 1)
    assert.equal(plainDials, 0)
    clock.advance(1)
    assert.equal(await dialling, byNoise)
    assert.equal(plainDials, 1)
  }
})

test('who comes while the port is being closed is sent away', async (context) => {
  const firstBytes = new FirstBytes({ clock: systemClock })
  const server = createServer((socket) => firstBytes.read(socket, 'here', () => assert.fail('it is over')))
  firstBytes.stop()
  assert.deepEqual(await answerTo(await portOf(server, context), Buffer.of(0x16)), Buffer.alloc(0))
  assert.equal(firstBytes.size, 0)
})

class WatchedSecrets extends TlsSecrets {
  onAsked: (identity: string) => void = () => {}

  override dialledBy(identity: string): ReturnType<TlsSecrets['dialledBy']> {
    this.onAsked(identity)
    return super.dialledBy(identity)
  }
}

function keysOf(peer: PeerId): PairKeys {
  return { pairKeys: () => [{ peer, key: new Uint8Array(32).fill(1) }], onPairKeysChanged: () => {} }
}

async function portOf(server: Server, context: { after: (end: () => void) => void }): Promise<number> {
  server.listen(0, '127.0.0.1')
  context.after(() => server.close())
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
