import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Device } from '../../src/api.ts'
import { ApplicationProtocols } from '../../src/network/application/application-protocols.ts'
import { parseProof } from '../../src/network/relay/relay-access.ts'
import { privateDhtProtocol } from '../../src/network/dht/dht-protocols.ts'
import { heardAddresses } from '../../src/network/discovery/mdns/mdns-addresses.ts'
import { onLink, type UsableInterface } from '../../src/network/interfaces.ts'
import { decodeRemoteError } from '../../src/network/session/remote-error.ts'
import { FrameParser } from '../../src/network/session/frame-parser.ts'
import { decodeDialerHello, versionOf } from '../../src/network/session/session-hello.ts'
import { decodeTlsIdentity } from '../../src/network/transport/tls-identity.ts'
import { otherVersionsTold } from '../../src/other-version.ts'
import { UnknownProtocolError } from '../../src/protocol-error.ts'
import { decodeDescription } from '../../src/pairing/device-info.ts'
import { isRevocationNotice } from '../../src/pairing/revocation-notice.ts'
import { decodeMessage } from '../../src/pairing/pairing-messages.ts'
import { parseInvitationText } from '../../src/pairing/pairing-uri.ts'
import { decodeAddressRecord } from '../../src/pairing/address-record.ts'
import { suite1 } from '../../src/pairing/suite.ts'
import { deliverySchema, receiptSchema } from '../../src/protocols/message-envelope.ts'
import { tableOf } from '../pairing/protocol-document.ts'
import { recordOfVersion } from '../pairing/read-record.ts'
import { bytes, vectors } from '../vectors.ts'
import { asPeer } from '../peers.ts'
import { call } from '../network/session/calls.ts'

/** Each row of the table in PROTOCOL.md, in one of its cells; the whole of it is tested where the code is. */
const rows: Record<string, () => void | Promise<void>> = {
  'pairing message'() {
    assert.ok(decodeMessage(json({ type: 'Waiting' })))
    assert.equal(decodeMessage(json({ type: 'Waiting', new: 1 })), null)
    assert.equal(decodeMessage(json({ type: 'New' })), null)
    const told = ['/spacedock/pairing/3.0.0', '/spacedock/pairing/2.0.0', '/spacedock/session/9.0.0', '/x']
    assert.deepEqual(otherVersionsTold(told, '/spacedock/pairing/1.0.0'), [3, 2])
    assert.deepEqual(otherVersionsTold([...told, '/spacedock/pairing/1.0.0'], '/spacedock/pairing/1.0.0'), [])
    assert.deepEqual(
      otherVersionsTold(['/spacedock/pairing/2.1.0', '/spacedock/pairing/0.0.0'], '/spacedock/pairing/1.0.0'),
      [],
    )
  },
  'device description'() {
    assert.ok(decodeDescription(json({ name: 'a' })))
    assert.equal(decodeDescription(json({ name: 'a', new: 1 })), null)
  },
  async 'address record'() {
    const keys = { signingSeed: new Uint8Array(32).fill(1), recordKey: new Uint8Array(32).fill(2) }
    assert.deepEqual(await decodeAddressRecord(suite1, keys, await recordOfVersion(keys, 9)), {
      otherVersion: 9,
    })
    // As of this version, it is none.
    assert.equal(await decodeAddressRecord(suite1, keys, await recordOfVersion(keys, 1)), null)
  },
  hello() {
    const [vector] = vectors('hello.json')
    const hello = bytes(vector?.frames.dialerHello ?? '').subarray(9)
    assert.ok(decodeDialerHello(hello))
    assert.equal(decodeDialerHello(Uint8Array.from([...hello, 0])), null)
    assert.equal(versionOf(Uint8Array.of(2, 3, 4)), 2)
  },
  'TLS identity'() {
    const identity = vectors('tls.json')[0]?.identity ?? ''
    assert.ok(decodeTlsIdentity(identity))
    assert.equal(decodeTlsIdentity(`${identity}AAAA`), null)
    assert.equal(decodeTlsIdentity(identity.replace(/^../u, 'Ag')), null)
  },
  frame() {
    assert.equal(parse(0x60), undefined)
    assert.throws(() => parse(0x5f), { code: 'invalid-message' })
  },
  unknownDevice: () => assert.equal(parse(0x04)?.type, 'unknownDevice'),
  revoked() {
    assert.throws(() => parse(0x05, 33), { code: 'invalid-message' })
    const [notice] = vectors('revocations.json')
    assert.ok(notice)
    const { pairKey, from, to } = notice
    assert.ok(!isRevocationNotice(bytes(notice.notice).subarray(1), bytes(pairKey), from, to))
  },
  goodbye: () => assert.equal(parse(0x16, 64)?.type, 'goodbye'),
  async 'request, stream'() {
    const stop = protocols.register({
      name: 'served',
      version: 3,
      request: deliverySchema,
      response: receiptSchema,
      handler: () => ({ stored: true as const }),
    })
    await assert.rejects(ask('served', 1), (error) => isUnknown(error, [3]))
    stop()
    await assert.rejects(ask('other', 1), (error) => isUnknown(error, []))
  },
  event: () => protocols.event(call('other', 1, {}), whoAsks),
  'spacedock- protocols'() {
    const message = { id: 'abcdefghijklmnop', kind: 'text', body: '', at: 0 }
    const delivery = deliverySchema['~standard'].validate({ messages: [{ ...message, new: 1 }], new: 1 })
    assert.deepEqual(delivery, { typed: true, value: { messages: [message] } })
    assert.ok(!('issues' in receiptSchema['~standard'].validate({ stored: true, new: 1 })))
  },
  error() {
    assert.equal(decodeRemoteError(json({ code: 'new', message: 'm', new: 1 })).code, 'remote-failure')
    assert.equal(decodeRemoteError(json({ code: 'too-large', new: 1 })).code, 'too-large')
  },
  'relay access'() {
    const proof = 'A'.repeat(43)
    assert.deepEqual(parseProof(json({ proof, new: 1 })), new Uint8Array(32))
    assert.equal(parseProof(json({ proof: 'A' })), null)
  },
  'rendezvous node': () =>
    assert.deepEqual(otherVersionsTold(['/spacedock/kad/2.0.0', '/ipfs/kad/1.0.0'], privateDhtProtocol), [2]),
  mDNS() {
    const eth0: UsableInterface = {
      name: 'eth0',
      ipv4: ['10.0.0.2'],
      ipv6: [],
      subnets: ['10.0.0.2/24'],
      zone: 'eth0',
      loopback: false,
      virtual: false,
    }
    const peerId = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5'
    const known = `dnsaddr=/ip4/10.0.0.3/tcp/1/p2p/${peerId}`
    const later = ['new=1', `dnsaddr=/ip4/10.0.0.3/udp/1/quic-v1/p2p/${peerId}`, 'dnsaddr=/new/1']
    const heard = heardAddresses([...later, known], eth0, onLink(eth0))
    assert.deepEqual(heard?.addresses, [known.slice('dnsaddr='.length)])
  },
  URI() {
    const words = 'legal-winner-thank-year-wave-sausage-worth-useful-legal-winner-thank-yellow'
    const { code, addresses } = parseInvitationText(`spacedock:${words}?new=1&peer=/a#new`)
    assert.deepEqual([code.ok, addresses], [true, ['/a']])
  },
}

/** Their test takes hosts and a relay: test/network/relay/simultaneous-open.test.ts. */
const elsewhere = ['simultaneous open']

for (const [name, check] of Object.entries(rows)) test(`room to grow: ${name}`, check)

test('PROTOCOL.md says of all of these, and of nothing else, what becomes of what is new', () => {
  assert.deepEqual(
    tableOf('Room to grow').map(([what]) => what),
    [...Object.keys(rows), ...elsewhere],
  )
})

const protocols = new ApplicationProtocols()
protocols.serveTo({ trusted: () => ({}) as Device })
const whoAsks = { peerId: asPeer('somebody'), signal: new AbortController().signal }

async function ask(name: string, version: number): Promise<unknown> {
  return protocols.request(call(name, version, {}), whoAsks)
}

function isUnknown(error: unknown, versions: readonly number[]): boolean {
  assert.ok(error instanceof UnknownProtocolError)
  assert.deepEqual(error.versions, versions)
  return true
}

function parse(type: number, length = 0): ReturnType<FrameParser['next']> {
  const parser = new FrameParser()
  parser.push(Uint8Array.of(0, 0, 0, length, type, 0, 0, 0, 0, ...new Uint8Array(length)))
  return parser.next()
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}
