import { wire } from '../network/discovery/mdns/simulated-lan.ts'
import { heardAddresses } from '../../src/network/discovery/mdns/mdns-addresses.ts'
import { onLink } from '../../src/network/interfaces.ts'
import {
  encodeAnnouncement,
  encodeQuery,
  readPacket,
  serviceName,
  type DecodedPacket,
} from '../../src/network/discovery/mdns/mdns-packets.ts'
import { encodeFrames, maxPayloadBytes } from '../../src/network/session/frames.ts'
import { FrameParser } from '../../src/network/session/frame-parser.ts'
import { decodeJson, encodeJson } from '../../src/network/json-text.ts'
import { decodeRemoteError } from '../../src/network/session/remote-error.ts'
import { decodeRequestHeader, encodeRequest } from '../../src/network/session/request-header.ts'
import * as hello from '../../src/network/session/session-hello.ts'
import { fakePeerId } from './fake-peer-id.ts'
import type { FuzzInput } from './fuzz-input.ts'
import { check, onlyOurs, sameBytes, type FuzzTarget } from './fuzz-checks.ts'

const utf8 = new TextEncoder()
const peers = { dialer: sameBytes(38), listener: sameBytes(38) }
const pairKey: hello.PairKey = { key: sameBytes(32), slot: 'settled' }
const dialerHello = hello.encodeDialerHello(peers, { instance: sameBytes(16), nonce: sameBytes(32) }, [
  pairKey,
])
const listenerHello = hello.encodeListenerHello(
  peers,
  { instance: sameBytes(16), nonce: sameBytes(32) },
  dialerHello,
  pairKey,
)
const deep: unknown = JSON.parse(`${'['.repeat(60)}${']'.repeat(60)}`)
const jsonTexts = [
  deep,
  { a: [1, 'two', { three: null }] },
  'text',
  [[[[]]]],
  { name: 'x', ü: '\u0000' },
].map((value) => utf8.encode(JSON.stringify(value)))

const loopback = {
  name: 'lo',
  ipv4: ['127.0.0.1'],
  ipv6: ['::1'],
  subnets: ['127.0.0.1/8'],
  zone: 'lo',
  loopback: true,
  virtual: false,
}
const address = {
  multiaddr: `/ip4/127.0.0.1/tcp/4001/p2p/${fakePeerId()}`,
  family: 'ipv4',
  host: '127.0.0.1',
  port: 4001,
} as const
const packets = [
  encodeAnnouncement(`name.${serviceName}`, [address]),
  ...encodeQuery(`name.${serviceName}`, [{ name: `other.${serviceName}`, ttlSeconds: 300 }]),
].map((packet) => new Uint8Array(wire.encode(packet ?? {})))

/** What arrives over sessions and multicast. */
export const networkTargets: FuzzTarget[] = [
  {
    name: 'session frames',
    once(input) {
      const frames = [
        encodeFrames([
          { type: 'request', more: false, channel: 1, payload: encodeRequest('notes', 1, sameBytes(20)) },
        ]),
        encodeFrames([
          { type: 'ping', more: false, channel: 0, payload: sameBytes(8) },
          { type: 'goodbye', more: false, channel: 0, payload: sameBytes(0) },
        ]),
        encodeFrames([{ type: 'response', more: true, channel: 2, payload: sameBytes(300) }]),
      ]
      const parser = new FrameParser()
      for (const piece of input.pieces(input.damaged(frames))) {
        parser.push(piece)
        const isOver = onlyOurs(() => {
          while (parser.next() !== undefined);
          return false
        })
        check(parser.bufferedBytes <= maxPayloadBytes + 16, `${parser.bufferedBytes} bytes are kept`)
        if (isOver === undefined) return
      }
    },
  },
  {
    name: 'hellos',
    once(input) {
      const damaged = input.damaged([dialerHello, listenerHello])
      const decoded = hello.decodeDialerHello(damaged)
      if (decoded !== null) check(decoded.keyIds.length <= 2, 'too many keys')
      const verified = hello.verifyListenerHello(peers, dialerHello, damaged, [pairKey])
      check(verified === null || Buffer.from(damaged).equals(listenerHello), 'a damaged hello is taken')
    },
  },
  {
    name: 'request headers',
    once: (input) =>
      void onlyOurs(() =>
        decodeRequestHeader(
          input.damaged([
            encodeRequest('notes', 1, sameBytes(3)),
            encodeRequest('a', 0xffff_ffff, sameBytes(0)),
          ]),
        ),
      ),
  },
  {
    name: 'JSON of applications',
    once(input) {
      const text = input.below(10) === 0 ? nested(60 + input.below(500)) : input.damaged(jsonTexts)
      const value = onlyOurs(() => decodeJson(text))
      if (value !== undefined) onlyOurs(() => encodeJson(value))
      check(depthOf(value) <= 66, 'a value that is nested too deeply is taken')
      check(!('polluted' in {}), 'the prototype of all objects has changed')
    },
  },
  {
    name: 'remote errors',
    once: (input) =>
      check(
        decodeRemoteError(input.damaged([utf8.encode('{"code":"too-large","message":"x"}')])).message
          .length <= 1_000,
        'a long error',
      ),
  },
  { name: 'mDNS packets', once: decodeMulticast },
]

function nested(levels: number): Uint8Array {
  return utf8.encode(`${'['.repeat(levels)}${']'.repeat(levels)}`)
}

function depthOf(value: unknown): number {
  let depth = 0
  for (let level = [value]; level.length > 0; depth++) {
    level = level.flatMap((each) => (typeof each === 'object' && each !== null ? Object.values(each) : []))
  }
  return depth
}

function decodeMulticast(input: FuzzInput): void {
  let packet: DecodedPacket
  try {
    packet = wire.decode(input.damaged(packets))
  } catch {
    return // the socket's library reports it; nothing of it reaches us
  }
  const heard = readPacket(packet)
  if (heard.kind !== 'response') return
  check(heard.peers.length <= 32, 'too many peers')
  for (const { texts } of heard.peers) {
    const found = heardAddresses(texts, loopback, onLink(loopback))
    check((found?.addresses.length ?? 0) <= 16, 'too many addresses')
  }
}
