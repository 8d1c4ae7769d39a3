import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SpacedockError } from '../../../src/errors.ts'
import type { Frame } from '../../../src/network/session/frames.ts'
import { encodeFrames, headerBytes, maxPayloadBytes } from '../../../src/network/session/frames.ts'
import { FrameParser } from '../../../src/network/session/frame-parser.ts'

const channel = fc.integer({ min: 1, max: 0xffff_ffff })
const payload = (min: number, max: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: min, maxLength: max })

const frame: fc.Arbitrary<Frame> = fc
  .oneof(
    fc.record({
      type: fc.constant('request' as const),
      more: fc.boolean(),
      channel,
      payload: payload(1, 2_000),
    }),
    fc.record({
      type: fc.constant('response' as const),
      more: fc.constant(false),
      channel,
      payload: payload(0, 2_000),
    }),
    fc.record({
      type: fc.constant('error' as const),
      more: fc.constant(false),
      channel,
      payload: payload(2, 300),
    }),
    fc.record({
      type: fc.constant('cancel' as const),
      more: fc.constant(false),
      channel,
      payload: payload(0, 0),
    }),
    fc.record({
      type: fc.constantFrom('ping' as const, 'pong' as const),
      more: fc.constant(false),
      channel: fc.constant(0),
      payload: payload(8, 8),
    }),
  )
  // fast-check makes objects without a prototype.
  .map((record) => ({ ...record }))

test('whatever was encoded comes out again, however the bytes are cut up', () => {
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 12 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 900 })),
      (frames, cuts) => {
        const bytes = encodeFrames(frames)
        assert.deepEqual(parse(cut(bytes, cuts)), frames)
      },
    ),
  )
})

test('a chunk may be added while frames of the one before are still to be taken', () => {
  const frames = [ping(1), ping(2), ping(3)]
  const bytes = encodeFrames(frames)
  const parser = new FrameParser()
  parser.push(bytes.subarray(0, 20))
  assert.deepEqual(parser.next(), frames[0])
  parser.push(bytes.subarray(20))
  assert.deepEqual([parser.next(), parser.next(), parser.next()], [frames[1], frames[2], undefined])
})

test('the largest frame passes', () => {
  const largest: Frame = {
    type: 'request',
    more: true,
    channel: 7,
    payload: new Uint8Array(maxPayloadBytes).fill(9),
  }
  assert.deepEqual(parse([encodeFrames([largest])]), [largest])
})

test('of data, what is there is handed on as it lies there, and nothing is kept', () => {
  const sent = fc.array(fc.tuple(channel, payload(1, 3_000)), { maxLength: 6 })
  fc.assert(
    fc.property(sent, fc.infiniteStream(fc.integer({ min: 1, max: 900 })), (all, cuts) => {
      const parser = new FrameParser()
      const come = new Map<number, number[]>()
      const bytes = encodeFrames(
        all.map(([number, each]) => ({ type: 'data', more: false, channel: number, payload: each })),
      )
      for (const chunk of cut(bytes, cuts)) {
        parser.push(chunk)
        for (let next = parser.next(); next !== undefined; next = parser.next()) {
          assert.equal(next.type, 'data')
          assert.equal(next.payload.buffer, chunk.buffer)
          come.set(next.channel, [...(come.get(next.channel) ?? []), ...next.payload])
        }
        assert.ok(parser.bufferedBytes < headerBytes)
      }
      for (const [number, content] of come) {
        assert.deepEqual(
          content,
          all.filter(([each]) => each === number).flatMap(([, each]) => [...each]),
        )
      }
      assert.equal(come.size, new Set(all.map(([number]) => number)).size)
    }),
  )
})

test('an optional frame is passed over without being held, and what follows is read', () => {
  const parser = new FrameParser()
  parser.push(Uint8Array.of(0, 1, 0, 0, 0x7f, 0, 0, 0, 9))
  assert.equal(parser.next(), undefined)
  for (let sent = 0; sent < maxPayloadBytes; sent += 1024) {
    parser.push(new Uint8Array(1024).fill(0x14))
    assert.equal(parser.next(), undefined)
    assert.equal(parser.bufferedBytes, 0)
  }
  parser.push(encodeFrames([ping(3)]))
  assert.deepEqual(parser.next(), ping(3))
})

const refusals: [what: string, header: number[], code: string][] = [
  ['a length prefix of 4 GiB', [0xff, 0xff, 0xff, 0xff, 0x10, 0, 0, 0, 1], 'too-large'],
  ['one byte over the cap', [0, 1, 0, 1, 0x10, 0, 0, 0, 1], 'too-large'],
  ['a ping of 9 bytes', [0, 0, 0, 9, 0x14, 0, 0, 0, 0], 'too-large'],
  ['a ping of 7 bytes', [0, 0, 0, 7, 0x14, 0, 0, 0, 0], 'invalid-message'],
  ['an unknown type', [0, 0, 0, 1, 0x17, 0, 0, 0, 1], 'invalid-message'],
  ['the last unknown type that is not optional', [0, 0, 0, 0, 0x5f, 0, 0, 0, 0], 'invalid-message'],
  ['an optional type of one byte too many', [0, 1, 0, 1, 0x60, 0, 0, 0, 0], 'too-large'],
  ['a type that is reserved', [0, 0, 0, 1, 0x2f, 0, 0, 0, 1], 'invalid-message'],
  ['a credit of 3 bytes', [0, 0, 0, 3, 0x24, 0, 0, 0, 1], 'invalid-message'],
  ['an event on a channel', [0, 0, 0, 9, 0x28, 0, 0, 0, 1], 'invalid-message'],
  ['data that is continued', [0, 0, 0, 1, 0xa2, 0, 0, 0, 1], 'invalid-message'],
  ['data of no bytes', [0, 0, 0, 0, 0x22, 0, 0, 0, 1], 'invalid-message'],
  ['type 0', [0, 0, 0, 0, 0, 0, 0, 0, 0], 'invalid-message'],
  ['a ping that is continued', [0, 0, 0, 8, 0x94, 0, 0, 0, 0], 'invalid-message'],
  ['a continuation without content', [0, 0, 0, 0, 0x91, 0, 0, 0, 1], 'invalid-message'],
  ['a request on channel 0', [0, 0, 0, 1, 0x10, 0, 0, 0, 0], 'invalid-message'],
  ['a ping on a channel', [0, 0, 0, 8, 0x14, 0, 0, 0, 1], 'invalid-message'],
]

for (const [what, header, code] of refusals) {
  test(`${what} is refused at the header, before any payload is kept`, () => {
    const parser = new FrameParser()
    for (const byte of header.slice(0, -1)) {
      parser.push(Uint8Array.of(byte))
      assert.equal(parser.next(), undefined)
    }
    parser.push(Uint8Array.from(header.slice(-1)))
    assert.throws(() => parser.next(), { code })
    assert.ok(parser.bufferedBytes <= headerBytes)
  })
}

test('10^4 fuzzed streams of frames: parsed or refused, never more than a frame held', () => {
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 3 }),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
      fc.uint8Array({ maxLength: 40 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 400 })),
      (frames, changes, tail, cuts) => {
        const bytes = Uint8Array.from([...encodeFrames(frames), ...tail])
        for (const [where, value] of changes) if (bytes.length > 0) bytes[where % bytes.length] = value
        const parser = new FrameParser()
        try {
          for (const chunk of cut(bytes, cuts)) {
            parser.push(chunk)
            while (parser.next() !== undefined);
            assert.ok(parser.bufferedBytes <= maxPayloadBytes + headerBytes)
          }
        } catch (error) {
          assert.ok(error instanceof SpacedockError, String(error))
        }
      },
    ),
    { numRuns: 10_000 },
  )
})

function ping(id: number): Frame {
  return { type: 'ping', more: false, channel: 0, payload: new Uint8Array(8).fill(id) }
}

function parse(chunks: Iterable<Uint8Array>): Frame[] {
  const parser = new FrameParser()
  const frames: Frame[] = []
  for (const chunk of chunks) {
    parser.push(chunk)
    for (let next = parser.next(); next !== undefined; next = parser.next()) {
      frames.push({ ...next, payload: next.payload.slice() })
    }
  }
  assert.equal(parser.bufferedBytes, 0)
  return frames
}

function* cut(bytes: Uint8Array, sizes: fc.Stream<number>): Generator<Uint8Array> {
  for (let offset = 0; offset < bytes.byteLength;) {
    const size = sizes.next().value ?? 1
    yield bytes.slice(offset, offset + size)
    offset += size
  }
}
