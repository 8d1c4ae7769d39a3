import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { libp2pPeer } from '../../../src/libp2p-peer.ts'
import {
  decodeTlsIdentity,
  deriveIdentityKey,
  derivePsk,
  TlsIdentities,
} from '../../../src/network/transport/tls-identity.ts'
import { TlsSecrets, type PairKeys } from '../../../src/network/transport/tls-secrets.ts'
import * as hello from '../../../src/network/session/session-hello.ts'
import type { PeerId } from '../../../src/pairing/peer-id.ts'
import { bytes, hex, vectors } from '../../vectors.ts'
import { newPeerId } from '../session/session-pair.ts'

for (const vector of vectors('tls.json')) {
  test(`TLS vector "${vector.name}"`, () => {
    const ends = { dialer: idBytes(vector.dialer), listener: idBytes(vector.listener) }
    const pairKey = bytes(vector.pairKey)
    assert.equal(hex(derivePsk(pairKey)), vector.psk)
    assert.equal(hex(deriveIdentityKey(pairKey, ends)), vector.identityKey)
    const identities = new TlsIdentities(pairKey, ends)
    assert.equal(identities.encode(bytes(vector.nonce)), vector.identity)
    const decoded = decodeTlsIdentity(vector.identity)
    assert.ok(decoded !== null && identities.includes(decoded))
    const back = new TlsIdentities(pairKey, { dialer: ends.listener, listener: ends.dialer })
    assert.ok(!back.includes(decoded))

    const peers = { ...ends, binding: bytes(vector.binding) }
    const key = { key: pairKey, slot: 'settled' } as const
    const { dialerInstance, dialerNonce, listenerInstance, listenerNonce, ...told } = vector.hello
    const dialer = { instance: bytes(dialerInstance), nonce: bytes(dialerNonce) }
    const listener = { instance: bytes(listenerInstance), nonce: bytes(listenerNonce) }
    const dialerHello = hello.encodeDialerHello(peers, dialer, [key])
    const listenerHello = hello.encodeListenerHello(peers, listener, dialerHello, key)
    const dialerProof = hello.encodeDialerProof(peers, dialerHello, listenerHello, key)
    assert.deepEqual(
      { dialerHello: hex(dialerHello), listenerHello: hex(listenerHello), dialerProof: hex(dialerProof) },
      told,
    )
    // The proofs are of no use on any other connection, over TLS or Noise.
    for (const binding of [undefined, new Uint8Array(32)]) {
      const other = { ...ends, binding }
      assert.equal(hello.verifyListenerHello(other, dialerHello, listenerHello, [key]), null)
      assert.ok(!hello.verifyDialerProof(other, dialerHello, listenerHello, dialerProof, key))
    }
  })
}

test('what is no identity is read as none', () => {
  const some = vectors('tls.json')[0]?.identity ?? ''
  for (const text of ['', some.slice(1), `${some}A`, some.replace(/^./u, 'B'), some.replace(/.$/u, '=')])
    assert.equal(decodeTlsIdentity(text), null, text)
  fc.assert(
    fc.property(fc.string({ maxLength: 50 }), (text) => {
      const decoded = decodeTlsIdentity(text)
      return decoded === null || (decoded.nonce.length === 16 && decoded.mac.length === 16)
    }),
  )
})

test('an identity names one device, once, and only to the one that is dialled', async () => {
  const [alice, bob, carol] = await Promise.all([newPeerId(), newPeerId(), newPeerId()])
  const atAlice = secretsOf(alice, [{ peer: bob, key: keyOf(1) }])
  const atBob = secretsOf(bob, [
    { peer: carol, key: keyOf(2) },
    { peer: alice, key: keyOf(1) },
  ])
  const secret = atAlice.secrets.toDial(bob)
  assert.ok(secret !== null)
  assert.notEqual(secret.identity, atAlice.secrets.toDial(bob)?.identity)
  assert.equal(atAlice.secrets.dialledBy(secret.identity), null, 'not to the one that dials')
  const found = atBob.secrets.dialledBy(secret.identity)
  assert.deepEqual([found?.peer, hex(found?.psk ?? new Uint8Array())], [alice, hex(secret.psk)])
  assert.equal(atBob.secrets.dialledBy(secret.identity), null, 'not a second time')
  assert.equal(atAlice.secrets.toDial(carol), null)
})

test('a device that is not trusted any more is not found, and a new key counts at once', async () => {
  const [alice, bob] = await Promise.all([newPeerId(), newPeerId()])
  const atAlice = secretsOf(alice, [{ peer: bob, key: keyOf(1) }])
  const atBob = secretsOf(bob, [{ peer: alice, key: keyOf(1) }])
  const dialled = (): PeerId | undefined =>
    atBob.secrets.dialledBy(atAlice.secrets.toDial(bob)?.identity ?? '')?.peer
  assert.equal(dialled(), alice)
  atBob.change([])
  assert.equal(dialled(), undefined)
  atBob.change([{ peer: alice, key: keyOf(3) }])
  assert.equal(dialled(), undefined)
  atAlice.change([
    { peer: bob, key: keyOf(3) },
    { peer: bob, key: keyOf(1) },
  ])
  assert.equal(dialled(), alice, 'the newest of the keys is used')
})

function secretsOf(
  local: PeerId,
  keys: { peer: PeerId; key: Uint8Array }[],
): { secrets: TlsSecrets; change: (to: typeof keys) => void } {
  let now = keys
  const listeners: (() => void)[] = []
  const pairKeys: PairKeys = {
    pairKeys: () => now,
    onPairKeysChanged: (listener) => void listeners.push(listener),
  }
  const change = (to: typeof keys): void => {
    now = to
    for (const listener of listeners) listener()
  }
  return { secrets: new TlsSecrets(local, pairKeys), change }
}

function keyOf(number: number): Uint8Array {
  return new Uint8Array(32).fill(number)
}

function idBytes(peer: string): Uint8Array {
  return libp2pPeer(peer as PeerId).toMultihash().bytes
}
