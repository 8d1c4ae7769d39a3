import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { TrustedPeers } from '../../src/node/trusted-peers.ts'
import { openMemoryStore, type Store } from '../../src/store/store.ts'
import { virtualClock, type VirtualClock } from '../../src/testing/virtual-clock.ts'
import { alice, bob, carol } from '../store/fixtures.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'

const dayMs = 24 * 3_600_000

function scene(): { time: VirtualClock; store: Store; peers: TrustedPeers; paired: string[] } {
  const time = virtualClock()
  const store = openMemoryStore({ clock: time })
  const paired: string[] = []
  const peers = new TrustedPeers(store, time, () => undefined)
  peers.whenPaired((peer) => paired.push(peer))
  return { time, store, peers, paired }
}

/** One pairing with a peer; each has a key and a last word of its own. */
function pairing(peer: PeerId, number: number) {
  return {
    peer,
    name: `device ${number}`,
    pairKey: new Uint8Array(32).fill(number),
    acknowledgement: new Uint8Array(32).fill(100 + number),
  }
}

describe('an unfinished pairing', () => {
  test('may prove its key and is looked for, but is no device', () => {
    const { store, peers } = scene()
    const { pairKey } = pairing(alice, 1)
    peers.writeProvisional('pending', pairing(alice, 1))
    assert.deepEqual(peers.keysOf(alice), [{ key: pairKey, slot: 'provisional' }])
    assert.deepEqual(peers.wanted(), [alice])
    assert.deepEqual(store.trust.list(), [])
    assert.deepEqual(peers.keysOf(bob), [])
  })

  test('is finished by its last word, once', () => {
    const { store, peers, paired } = scene()
    const { acknowledgement } = pairing(alice, 1)
    peers.writeProvisional('pending', pairing(alice, 1))
    assert.equal(peers.activateByLastWord(alice, pairing(alice, 2).acknowledgement), false)
    assert.equal(store.trust.get(alice), undefined)
    assert.equal(peers.activateByLastWord(alice, acknowledgement), true)
    assert.equal(store.trust.get(alice)?.state, 'active')
    peers.activate(pairing(alice, 1))
    assert.equal(peers.activateByLastWord(alice, acknowledgement), true, 'a repetition has to be answered')
    assert.deepEqual(paired, [alice])
  })

  test('is finished by a session that proves its key', () => {
    const { store, peers, paired } = scene()
    peers.writeProvisional('confirming', pairing(alice, 1))
    const confirmed: unknown[] = []
    peers.whenConfirmed((...heard) => confirmed.push(heard))
    peers.proved(alice, { slot: 'provisional' })
    assert.deepEqual(confirmed, [[alice, pairing(alice, 1).acknowledgement]])
    assert.equal(store.trust.get(alice)?.state, 'active')
    assert.deepEqual(paired, [alice])
    peers.proved(alice, { slot: 'settled' })
    assert.equal(confirmed.length, 1)
  })

  test('a joiner expects no last word', () => {
    const { store, peers } = scene()
    peers.writeProvisional('confirming', pairing(alice, 1))
    assert.equal(peers.activateByLastWord(alice, pairing(alice, 1).acknowledgement), false)
    assert.equal(peers.activateByLastWord(bob, pairing(bob, 1).acknowledgement), false)
    assert.deepEqual(store.trust.list(), [])
  })

  test('is neither finished nor ended by an earlier one with the same peer', () => {
    const { store, peers, paired } = scene()
    const [earlier, later] = [pairing(alice, 1), pairing(alice, 2)]
    peers.writeProvisional('pending', earlier)
    peers.writeProvisional('pending', later)
    peers.forget(earlier)
    assert.throws(() => peers.activate(earlier), { code: 'not-paired' })
    assert.throws(() => peers.activate({ ...later, acknowledgement: new Uint8Array() }), {
      code: 'not-paired',
    })
    assert.deepEqual(paired, [])
    assert.deepEqual(store.trust.provisional(alice)?.pairKey, later.pairKey)
    peers.forget(later)
    assert.equal(store.trust.provisional(alice), undefined)
    assert.throws(() => peers.activate(later), { code: 'not-paired' })
    assert.throws(() => peers.proved(alice, { slot: 'provisional' }), { code: 'not-paired' })
  })

  test('leaves the trust that stands until it is finished, and proves the newer key first', () => {
    const { store, peers, paired } = scene()
    const [earlier, later] = [pairing(alice, 1), pairing(alice, 2)]
    peers.writeProvisional('pending', earlier)
    peers.activate(earlier)
    peers.writeProvisional('pending', later)
    assert.deepEqual(
      peers.keysOf(alice).map(({ key, slot }) => [key[0], slot]),
      [
        [2, 'provisional'],
        [1, 'settled'],
      ],
    )
    assert.deepEqual(peers.wanted(), [alice])
    // A late repetition of the earlier last word changes nothing.
    peers.activate(earlier)
    assert.deepEqual(paired, [alice])
    peers.activate(later)
    assert.deepEqual(store.trust.get(alice)?.pairKey, later.pairKey)
    assert.deepEqual(paired, [alice, alice])
  })

  test('ends after seven days, also while the program runs', async () => {
    const { time, store, peers } = scene()
    peers.writeProvisional('pending', pairing(alice, 1))
    await time.pass(6 * dayMs)
    peers.writeProvisional('confirming', pairing(bob, 2))
    await time.pass(dayMs)
    assert.deepEqual(
      store.trust.provisionals().map(({ peerId }) => peerId),
      [bob],
    )
    peers.close()
    store.close()
    assert.equal(time.pending(), 0)
  })
})

describe('a device that says that it does not know us', () => {
  test('has to be paired again, and is trusted again when it proves its key after all', () => {
    const { store, peers } = scene()
    peers.writeProvisional('pending', pairing(alice, 1))
    peers.activate(pairing(alice, 1))
    peers.disowned(alice, peers.keysOf(alice))
    assert.equal(store.trust.get(alice)?.state, 'needs-pairing')
    assert.deepEqual(peers.wanted(), [])
    assert.equal(peers.keysOf(alice).length, 1)
    peers.proved(alice, { slot: 'settled' })
    assert.equal(store.trust.get(alice)?.state, 'active')
  })

  test('ends the pairing of a joiner; that of an initiator waits, for its joiner may still be deciding', () => {
    const { store, peers } = scene()
    peers.writeProvisional('confirming', pairing(alice, 1))
    peers.writeProvisional('pending', pairing(bob, 2))
    for (const peer of [alice, bob, carol]) peers.disowned(peer, peers.keysOf(peer))
    assert.deepEqual(
      store.trust.provisionals().map(({ peerId }) => peerId),
      [bob],
    )
  })
})

test('a revoked device has no key and is not looked for', () => {
  const { store, peers } = scene()
  peers.writeProvisional('pending', pairing(alice, 1))
  peers.activate(pairing(alice, 1))
  store.registry.revoke(alice)
  assert.deepEqual(peers.keysOf(alice), [])
  assert.deepEqual(peers.wanted(), [])
  assert.equal(peers.activateByLastWord(alice, pairing(alice, 1).acknowledgement), false)
  assert.throws(() => peers.activate(pairing(alice, 1)), { code: 'not-paired' })
})
