import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeFrames, type Frame } from '../../../src/network/session/frames.ts'
import { maxRecordBytes, RecordOpener, RecordSealer } from '../../../src/network/session/sealed-records.ts'
import { acceptSession } from '../../../src/network/session/session.ts'
import { call } from './calls.ts'
import { helloTo, RawSession } from './raw-session.ts'
import { ends, sessionOptions, sessionPair } from './session-pair.ts'

const key = new Uint8Array(32).fill(5)
const overheadBytes = 20

test('bytes come out as they went in, however they and the records are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }),
      fc.integer({ min: 1, max: 400 }),
      (writes, pieceBytes) => {
        const sealer = new RecordSealer(key)
        const sealed = Buffer.concat(writes.map((bytes) => sealer.seal(bytes)))
        const opener = new RecordOpener(key)
        const opened: Uint8Array[] = []
        for (let at = 0; at < sealed.length; at += pieceBytes) {
          opened.push(...opener.open(sealed.subarray(at, at + pieceBytes)))
        }
        assert.deepEqual(Buffer.concat(opened), Buffer.concat(writes))
      },
    ),
  )
})

test('what is larger than a record takes as few as it fits in', () => {
  const bytes = randomBytes(2 * maxRecordBytes + 1)
  const sealed = new RecordSealer(key).seal(bytes)
  assert.equal(sealed.byteLength, bytes.byteLength + 3 * overheadBytes)
  assert.deepEqual(Buffer.concat(new RecordOpener(key).open(sealed)), bytes)
})

test('a record that was altered anywhere, repeated, left out, or sealed with another key is refused', () => {
  const sealer = new RecordSealer(key)
  const [first, second] = [sealer.seal(Buffer.from('one')), sealer.seal(Buffer.from('two'))]
  for (let index = 4; index < first.byteLength; index++) {
    const altered = Uint8Array.from(first)
    altered[index] = (altered[index] ?? 0) ^ 1
    assert.throws(() => new RecordOpener(key).open(altered), { code: 'invalid-message' }, `byte ${index}`)
  }
  const opener = new RecordOpener(key)
  opener.open(first)
  assert.throws(() => opener.open(first), { code: 'invalid-message' })
  assert.throws(() => new RecordOpener(key).open(second), { code: 'invalid-message' })
  assert.throws(() => new RecordOpener(new Uint8Array(32)).open(first), { code: 'invalid-message' })
})

test('a length that no record has is refused before a byte of it is kept', () => {
  for (const length of [0, 16, maxRecordBytes + 17, 0xffff_ffff]) {
    const header = new Uint8Array(4)
    new DataView(header.buffer).setUint32(0, length)
    assert.throws(() => new RecordOpener(key).open(header), { code: 'invalid-message' }, `${length}`)
  }
})

test('after the hello nothing of a session is on its stream in clear, in either direction', async () => {
  const { dialer, listener, outbound, inbound } = await sessionPair()
  const seen: Uint8Array[] = []
  for (const stream of [outbound, inbound]) {
    stream.addEventListener('message', ({ data }) => seen.push(data.slice()))
  }
  assert.equal(await dialer.request(call('echo', 1, 'a secret')), 'a secret')
  assert.equal(await listener.request(call('echo', 1, 'another one')), 'another one')
  const all = Buffer.concat(seen).toString('latin1')
  assert.ok(all.length > 4 * overheadBytes)
  for (const text of ['secret', 'another', 'echo']) assert.ok(!all.includes(text), text)
})

test('frames that are not sealed, and sealed ones of an earlier session, end the session', async () => {
  const ping: Frame = { type: 'ping', more: false, channel: 0, payload: new Uint8Array(8) }
  const recorded = new RecordSealer(key).seal(encodeFrames([ping]))
  for (const said of [encodeFrames([ping, ping, ping]), recorded]) {
    const { dialerPeer, listenerPeer, outbound, inbound, toDialer } = await ends()
    const [session] = await Promise.all([
      acceptSession(inbound, toDialer, sessionOptions(listenerPeer)),
      RawSession.dial(outbound, helloTo(listenerPeer, sessionOptions(dialerPeer))),
    ])
    outbound.send(said)
    assert.equal((await session.closed).reason, 'violation')
  }
})
