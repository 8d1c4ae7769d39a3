import assert from 'node:assert/strict'
import { test } from 'node:test'
import { peerIdFromString } from '@libp2p/peer-id'
import * as hello from '../../../src/network/session/session-hello.ts'
import { encodeFrames, frameTypes, type Frame } from '../../../src/network/session/frames.ts'
import { FrameParser } from '../../../src/network/session/frame-parser.ts'
import { RecordOpener, RecordSealer } from '../../../src/network/session/sealed-records.ts'
import { deriveRevocationNotice, isRevocationNotice } from '../../../src/pairing/revocation-notice.ts'
import { presenceEpoch, presenceKeys } from '../../../src/pairing/presence-keys.ts'
import { suite1 } from '../../../src/pairing/suite.ts'
import { bytes, hex, vectors } from '../../vectors.ts'

for (const vector of vectors('hello.json')) {
  test(`hello vector "${vector.name}"`, () => {
    const { dialer, listener, chosen, derived, frames } = vector
    const peers = { dialer: idBytes(dialer.peerId), listener: idBytes(listener.peerId) }
    assert.equal(hex(peers.dialer), dialer.peerIdBytes)
    assert.equal(hex(peers.listener), listener.peerIdBytes)

    const dialerHello = hello.encodeDialerHello(peers, secrets(dialer), keys(dialer))
    assert.equal(frame('dialerHello', dialerHello), frames.dialerHello)
    const heard = hello.decodeDialerHello(dialerHello)
    assert.deepEqual(heard?.keyIds.map(hex), dialer.keyIds)
    assert.ok(heard)
    const pairKey = hello.chooseKey(peers, heard, keys(listener))
    assert.ok(pairKey)
    assert.equal(hex(pairKey.key), chosen)

    const listenerHello = hello.encodeListenerHello(peers, secrets(listener), dialerHello, pairKey)
    assert.equal(frame('listenerHello', listenerHello), frames.listenerHello)
    assert.equal(hex(listenerHello.subarray(-32)), derived.listenerProof)
    const answered = hello.verifyListenerHello(peers, dialerHello, listenerHello, keys(dialer))
    assert.equal(answered === null ? '' : hex(answered.instance), listener.instance)
    assert.equal(answered === null ? '' : hex(answered.pairKey.key), chosen)

    const proof = hello.encodeDialerProof(peers, dialerHello, listenerHello, pairKey)
    assert.equal(hex(proof), derived.dialerProof)
    assert.equal(frame('dialerProof', proof), frames.dialerProof)
    assert.ok(hello.verifyDialerProof(peers, dialerHello, listenerHello, proof, pairKey))
    for (const [label, key] of [
      ['key-id', derived.keyIdKey],
      ['proof', derived.proofKey],
      ['seal', derived.sealKey],
    ] as const) {
      const info = new TextEncoder().encode(`spacedock/session/1 ${label}`)
      assert.equal(hex(suite1.expand(pairKey.key, info, 32)), key)
    }

    const sealKeys = hello.deriveSealKeys(peers, dialerHello, listenerHello, pairKey)
    for (const role of ['dialer', 'listener'] as const) {
      assert.equal(hex(sealKeys[role]), vector.sealed[role].key)
      const sealer = new RecordSealer(sealKeys[role])
      const opener = new RecordOpener(sealKeys[role])
      for (const { bytes: text, record } of vector.sealed[role].records) {
        assert.equal(hex(sealer.seal(bytes(text))), record)
        assert.deepEqual(opener.open(bytes(record)).map(hex), [text])
      }
    }
  })
}

test('frame vectors: each is written and read as it stands there, whatever the cut, and none is missing', () => {
  const { frames } = vectors('frames.json')
  for (const { note, type, more, channel, payload, frame: text } of frames) {
    assert.ok(type in frameTypes, type)
    const expected = { type, more, channel, payload: bytes(payload) } as Frame
    assert.equal(hex(encodeFrames([expected])), text, `${type} ${note}`)
    assert.deepEqual(parse(bytes(text), text.length), [expected], `${type} ${note}`)
    assert.deepEqual(parse(bytes(text), 1), [expected], `${type} ${note}`)
  }
  const named = new Set(frames.map(({ type }) => type))
  assert.deepEqual([...named].toSorted(), Object.keys(frameTypes).toSorted())
})

test('frame vectors: an optional frame that is not known is passed over, whatever the cut', () => {
  const known = vectors('frames.json').frames.find(({ type }) => type === 'ping')
  assert.ok(known)
  for (const { note, frame: text } of vectors('frames.json').skipped) {
    const both = bytes(text + known.frame + text)
    for (const size of [1, 7, both.length]) {
      const frames = parse(both, size)
      assert.deepEqual(
        frames.map(({ type, payload }) => [type, hex(payload)]),
        [['ping', known.payload]],
        note,
      )
    }
  }
})

test('frame vectors: what is to be refused is refused at the header', () => {
  for (const { why, bytes: text } of vectors('frames.json').refused) {
    assert.equal(bytes(text).length, 9, why)
    assert.throws(() => parse(bytes(text), 9), { name: 'SpacedockError' }, why)
  }
})

for (const { name, pairKey, from, to, noticeKey, notice } of vectors('revocations.json')) {
  test(`revocation notice vector "${name}"`, () => {
    const info = new TextEncoder().encode('spacedock/session/1 farewell')
    assert.equal(hex(suite1.expand(bytes(pairKey), info, 32)), noticeKey)
    assert.equal(hex(deriveRevocationNotice(bytes(pairKey), from, to)), notice)
    assert.ok(isRevocationNotice(bytes(notice), bytes(pairKey), from, to))
  })
}

test('presence vectors: the keys of every epoch and writer', () => {
  for (const { pairKey, writer, wallClockMs, epoch, ...expected } of vectors('presence.json')) {
    assert.equal(presenceEpoch(wallClockMs), epoch)
    const { signingSeed, recordKey } = presenceKeys(suite1, bytes(pairKey), writer, epoch)
    assert.deepEqual({ signingSeed: hex(signingSeed), recordKey: hex(recordKey) }, expected)
  }
})

function idBytes(peerId: string): Uint8Array {
  return peerIdFromString(peerId).toMultihash().bytes
}

function secrets({ instance, nonce }: { instance: string; nonce: string }): hello.HelloSecrets {
  return { instance: bytes(instance), nonce: bytes(nonce) }
}

function keys({ pairKeys }: { pairKeys: string[] }): hello.PairKey[] {
  return pairKeys.map((key) => ({ key: bytes(key), slot: 'settled' }))
}

function frame(type: Frame['type'], payload: Uint8Array): string {
  return hex(encodeFrames([{ type, more: false, channel: 0, payload }]))
}

function parse(input: Uint8Array, step: number): Frame[] {
  const parser = new FrameParser()
  const frames: Frame[] = []
  for (let at = 0; at < input.length; at += step) {
    parser.push(input.subarray(at, at + step))
    for (let next = parser.next(); next !== undefined; next = parser.next()) {
      // Data comes in pieces.
      const before = next.type === 'data' ? frames.pop() : undefined
      const payload = before === undefined ? next.payload : Buffer.concat([before.payload, next.payload])
      frames.push({ ...next, payload: Uint8Array.from(payload) })
    }
  }
  return frames
}
