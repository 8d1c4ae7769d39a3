import { randomBytes } from 'node:crypto'
import { RELAY_V2_HOP_CODEC, RELAY_V2_STOP_CODEC } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import type { Connection, Stream } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { lpStream } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { base64urlnopad } from '@scure/base'
import { createLibp2p, type Libp2p } from 'libp2p'
import { decodeJson, encodeJson } from '../../src/network/json-text.ts'
import { relayAccessProtocol } from '../../src/network/relay/relay-access.ts'
import {
  createRendezvousServer,
  type RendezvousServerOptions,
} from '../../src/network/relay/rendezvous-server.ts'
import { request } from '../../src/network/request-response.ts'
import { relayAccessProof } from '../../src/pairing/relay-access.ts'
import { suite1 } from '../../src/pairing/suite.ts'
import { decode, encode, field } from './protobuf.ts'
import { until, type Scene } from './scene.ts'
import { unless, type Threat, type Verdict } from './threat.ts'

const limitsFile = 'src/network/relay/relay-limits.ts'

/** Whoever wants more of a relay than is his. */
export const threats: Threat[] = [
  {
    row: 46,
    title:
      'of 16 places of an open relay the identities of one address get four, and another device gets one',
    attack: takePlaces,
    seconds: 3,
    without: [
      {
        what: 'the share of an address',
        patches: [
          {
            file: limitsFile,
            find: `Math.max(leastPerAddress, Math.floor(limits.reservations / 8))`,
            replace: `limits.reservations`,
          },
        ],
      },
    ],
  },
  {
    row: 46,
    title: 'six identities of one address have the bytes of one',
    attack: moveBytes,
    seconds: 4,
    without: [
      {
        what: 'the account of an address',
        patches: [
          {
            file: limitsFile,
            find: `return this.#isOwn(peer) ? peer : networkOf(connection.remoteAddr)`,
            replace: `return peer`,
          },
        ],
      },
    ],
  },
  {
    row: 46,
    title: 'a relay with a secret gives no place without a proof, nor for the proof of another device',
    attack: borrowProof,
    without: [
      {
        what: 'the device in the proof',
        patches: [
          {
            file: 'src/pairing/relay-access.ts',
            find: `fields('spacedock/relay-access/1', relay, device)`,
            replace: `fields('spacedock/relay-access/1', relay, device.slice(0, 0))`,
          },
        ],
      },
      {
        what: 'the question who is admitted',
        patches: [
          {
            file: 'src/network/relay/rendezvous-server.ts',
            find: `!access.admits(peer.toString()) || isCrowded(peer)`,
            replace: `isCrowded(peer)`,
          },
        ],
      },
    ],
  },
]

async function takePlaces(scene: Scene): Promise<Verdict> {
  const { address, server } = await relayOf(scene, { relay: { reservations: 16 } })
  const granted: boolean[] = []
  for (let count = 0; count < 20; count++) {
    const guest = await guestAt(scene, '127.0.0.66')
    granted.push(await reserve(await guest.dial(multiaddr(address))))
  }
  const alice = await scene.node('alice', { rendezvous: [address] })
  const hasPlace = (): boolean => alice.status().listen.some((each) => each.includes('/p2p-circuit'))
  await until(hasPlace, 'alice gets a place', 5_000).catch(() => {})
  const taken = granted.filter(Boolean).length
  return unless(
    {
      'no place is given at all': taken === 0,
      [`one address has ${taken} of 16 places`]: taken > 4,
      'another device gets none': !hasPlace(),
    },
    `one address has ${taken} of 16 places; ${server.usage().reservations} are taken`,
  )
}

async function moveBytes(scene: Scene): Promise<Verdict> {
  const mebibyte = 1024 * 1024
  const relay = { bytesPerSecond: 1024, burstBytes: 4 * mebibyte }
  const { address } = await relayOf(scene, { relay })
  const sink = await guestAt(scene, '127.0.0.67')
  let received = 0
  let lastAtMs = 0
  await sink.handle(RELAY_V2_STOP_CODEC, async (stream) => {
    const messages = lpStream(stream)
    await messages.read()
    await messages.write(encode([field(1, 1), field(4, ok)]))
    messages.unwrap().addEventListener('message', ({ data }) => {
      received += data.byteLength
      lastAtMs = performance.now()
    })
  })
  if (!(await reserve(await sink.dial(multiaddr(address))))) throw new Error('the sink has no place')
  for (let count = 0; count < 6; count++) {
    const guest = await guestAt(scene, '127.0.0.66')
    const stream = await call(await guest.dial(multiaddr(address)), sink)
    // What the relay does not take stays here.
    for (let piece = 0; piece < 64; piece++) stream.send(new Uint8Array(mebibyte / 8))
  }
  await until(() => received > 0 && performance.now() - lastAtMs > 1_500, 'nothing more comes', 30_000)
  const moved = Math.round(received / mebibyte)
  return unless(
    { 'nothing passes': received === 0, [`${moved} MiB pass`]: received > 12 * mebibyte },
    // A stream's window is under way when its sender is paused.
    `${moved} MiB pass, 4 and what was under way`,
  )
}

async function borrowProof(scene: Scene): Promise<Verdict> {
  const secret = new Uint8Array(randomBytes(16))
  const { address, server } = await relayOf(scene, { admission: { kind: 'secret', secret } })
  const alice = await guestAt(scene, '127.0.0.1')
  const proof = relayAccessProof(suite1, secret, server.peerId, alice.peerId.toString())
  const own = await alice.dial(multiaddr(address))
  const mallory = await guestAt(scene, '127.0.0.1')
  const stranger = await mallory.dial(multiaddr(address))
  const unproved = await reserve(stranger)
  const borrowed = await prove(stranger, proof)
  const place = await reserve(stranger)
  const honest = (await prove(own, proof)) && (await reserve(own))
  return unless(
    {
      'a place without a proof': unproved,
      'the proof of another is taken': borrowed,
      'a place with the proof of another': place,
      'no place for whom the proof is': !honest,
    },
    'a place for the one whose proof it is, none for the other',
  )
}

async function relayOf(
  scene: Scene,
  options: Partial<RendezvousServerOptions>,
): Promise<{ address: string; server: Awaited<ReturnType<typeof createRendezvousServer>> }> {
  const seed = new Uint8Array(randomBytes(32))
  const agent = 'spacedock-rendezvous/threats'
  const server = await createRendezvousServer({ seed, port: 0, interfaces: ['lo'], agent, ...options })
  scene.after(() => server.stop())
  const address = server.addresses().find((each) => each.startsWith('/ip4/127.'))
  if (address === undefined) throw new Error('the server does not listen on the loopback interface')
  return { address, server }
}

/** An identity that comes from this address. */
async function guestAt(scene: Scene, localAddress: string): Promise<Libp2p> {
  // `net.connect` takes it, too.
  const dialOpts = { noDelay: true, localAddress }
  const guest = await createLibp2p({
    transports: [tcp({ dialOpts })],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify() },
    connectionGater: { denyDialMultiaddr: () => false },
  })
  scene.after(() => guest.stop())
  return guest
}

const ok = 100

/** Asks for a place; messages of https://github.com/libp2p/specs/blob/master/relay/circuit-v2.md */
async function reserve(connection: Connection): Promise<boolean> {
  const stream = await connection.newStream(RELAY_V2_HOP_CODEC)
  const messages = lpStream(stream)
  const signal = AbortSignal.timeout(10_000)
  try {
    await messages.write(encode([field(1, 0)]), { signal })
    return decode((await messages.read({ signal })).subarray()).get(5) === ok
  } catch {
    return false
  } finally {
    stream.abort(new Error('asked'))
  }
}

/** Opens a stream to a peer with a place. */
async function call(connection: Connection, to: Libp2p): Promise<Stream> {
  const messages = lpStream(await connection.newStream(RELAY_V2_HOP_CODEC))
  const peer = field(2, encode([field(1, to.peerId.toMultihash().bytes)]))
  await messages.write(encode([field(1, 1), peer]))
  const status = decode((await messages.read()).subarray()).get(5)
  if (status !== ok) throw new Error(`the call is refused: ${String(status)}`)
  return messages.unwrap()
}

async function prove(connection: Connection, proof: Uint8Array): Promise<boolean> {
  const stream = await connection.newStream(relayAccessProtocol)
  const question = encodeJson({ proof: base64urlnopad.encode(Uint8Array.from(proof)) })
  const answer = await request(stream, question, { maxBytes: 256 })
  return (decodeJson(answer) as { granted: boolean }).granted
}
