import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ByteStream } from '../../../src/api.ts'
import { SpacedockError } from '../../../src/errors.ts'
import type { Frame, FrameType } from '../../../src/network/session/frames.ts'
import { encodeFrames } from '../../../src/network/session/frames.ts'
import { initialWindowBytes } from '../../../src/network/session/receive-window.ts'
import { encodeRequest } from '../../../src/network/session/request-header.ts'
import type { Session } from '../../../src/network/session/session.ts'
import { acceptSession } from '../../../src/network/session/session.ts'
import { until, within } from '../real-hosts.ts'
import { turns } from '../../../src/testing/virtual-clock.ts'
import { ends, sessionOptions, sessionPair, type SessionOverrides } from './session-pair.ts'
import { call } from './calls.ts'
import { helloTo, RawSession } from './raw-session.ts'
import type { CallHandler } from '../../../src/network/session/call.ts'

const nothing = new Uint8Array(0)
const mebibyte = 1024 * 1024

type Serve = (stream: ByteStream, signal: AbortSignal) => Promise<void> | void

/** What the listener does with the streams that the dialer opens. */
function serving(serve: Serve): SessionOverrides {
  return {
    stream: async (_call, { accept, signal }) => serve(accept(), signal),
  }
}

const echo: Serve = (stream) => stream.readable.pipeTo(stream.writable)

test('bytes come back as they went, whatever the chunks, over several streams at once', async () => {
  const { dialer } = await sessionPair({ listener: serving(echo) })
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.integer({ min: 0, max: 400_000 }), { maxLength: 8 }), { maxLength: 4 }),
      async (streams) => {
        await Promise.all(
          streams.map(async (sizes) => {
            const chunks = sizes.map((size) => new Uint8Array(randomBytes(size)))
            const stream = await dialer.openStream(call('echo', 1, null))
            const back = readAll(stream)
            await write(stream, chunks)
            assert.deepEqual(Buffer.from(await back), Buffer.concat(chunks))
            await stream.closed
          }),
        )
      },
    ),
    { numRuns: 20 },
  )
  await dialer.close()
})

test('each direction ends for itself', async () => {
  const { dialer } = await sessionPair({
    listener: serving(async (stream) => {
      const text = Buffer.from(await readAll(stream)).toString()
      await write(stream, [Buffer.from(`got ${text}`)])
    }),
  })
  const stream = await dialer.openStream(call('any', 1, null))
  await write(stream, [Buffer.from('everything')])
  assert.equal(Buffer.from(await readAll(stream)).toString(), 'got everything')
  await dialer.close()
})

test('a reader that reads nothing holds the writer at one window and 64 KiB', async () => {
  const held = Promise.withResolvers<ByteStream>()
  const { dialer } = await sessionPair({
    listener: serving((stream) => {
      held.resolve(stream)
      return new Promise<void>(() => {})
    }),
  })
  const stream = await dialer.openStream(call('any', 1, null))
  const written = keepWriting(stream)
  await until(() => written.bytes >= initialWindowBytes, 'the window')
  await turns(50)
  const cap = initialWindowBytes + 64 * 1024
  assert.ok(written.bytes <= cap, `${written.bytes} were written`)
  // Reading lets as many more go, and more where the window has grown.
  const reader = (await held.promise).readable.getReader()
  let readBytes = 0
  while (readBytes < 2 * mebibyte) readBytes += (await reader.read()).value?.byteLength ?? 0
  await until(() => written.bytes >= readBytes + initialWindowBytes / 2, 'more')
  await turns(50)
  // What can be read in so short a time: four times the first window at the most.
  assert.ok(
    written.bytes <= readBytes + 4 * initialWindowBytes + 64 * 1024,
    `${written.bytes} of ${readBytes}`,
  )
  dialer.abort(new Error('done'))
})

test('a big transfer delays a small request and a ping by a few frames only', async () => {
  const { session, peer, frames } = await rawDialer({
    stream: async (_call, { accept }) => {
      const { writable } = accept()
      await writable.getWriter().write(new Uint8Array(1_024 * mebibyte))
    },
  })
  peer.send(encodeFrames([open(1), credit(1, 1_024 * mebibyte)]))
  await until(() => count(frames, 'data') >= 8, 'the transfer')
  for (let round = 0; round < 10; round++) {
    const asked = frames.length
    peer.send(encodeFrames([request(101 + 2 * round), { ...control('ping', 0), payload: new Uint8Array(8) }]))
    await until(() => frames.slice(asked).filter(isAnswer).length === 2, 'the answers')
    const since = frames.slice(asked)
    const between = since.slice(0, since.findLastIndex(isAnswer)).filter(({ type }) => type === 'data').length
    // Two batches of what is under way already, 256 KiB in frames of 64 KiB each, and one turn.
    assert.ok(between <= 9, `${between} frames came first`)
  }
  assert.ok(count(frames, 'data') < 16_000, 'the transfer went on all the while')
  session.abort(new Error('done'))
})

test('a writer that aborts breaks both sides, with its message', async () => {
  const failed = Promise.withResolvers<unknown>()
  const aborted = Promise.withResolvers<void>()
  const { dialer } = await sessionPair({
    listener: serving(async (stream, signal) => {
      signal.addEventListener('abort', () => aborted.resolve(), { once: true })
      await readAll(stream).catch(failed.resolve)
      throw new Error('never told: it is broken already')
    }),
  })
  const stream = await dialer.openStream(call('any', 1, null))
  await stream.writable.abort(new Error('the disk is gone'))
  const told = await within(failed.promise, 'the failure')
  assert.ok(told instanceof Error && 'code' in told)
  assert.deepEqual([told.code, told.message], ['cancelled', 'the disk is gone'])
  await aborted.promise
  await assert.rejects(readAll(stream), { message: 'the disk is gone' })
  await assert.rejects(stream.closed, { message: 'the disk is gone' })
  assert.deepEqual(await dialer.request(call('any', 1, 'still here')), 'still here')
  await dialer.close()
})

test('a handler that throws breaks the stream of the one who asked, with its message and nothing else', async () => {
  const { dialer } = await sessionPair({
    listener: serving(async () => Promise.reject(new TypeError('no such file'))),
  })
  const stream = await dialer.openStream(call('any', 1, null))
  await assert.rejects(readAll(stream), { code: 'remote-failure', message: 'no such file' })
  await assert.rejects(stream.closed, { code: 'remote-failure' })
  await dialer.close()
})

test('one who reads no more stops the writer, and may still write', async () => {
  const stopped = Promise.withResolvers<unknown>()
  const rest = Promise.withResolvers<string>()
  const { dialer } = await sessionPair({
    listener: serving(async (stream) => {
      stopped.resolve(keepWriting(stream).failed)
      rest.resolve(Buffer.from(await readAll(stream)).toString())
    }),
  })
  const stream = await dialer.openStream(call('any', 1, null))
  for await (const chunk of stream.readable) {
    assert.ok(chunk.byteLength > 0)
    break
  }
  const told = await within(stopped.promise, 'the stop')
  assert.ok(told instanceof Error && 'code' in told && told.code === 'cancelled')
  await write(stream, [Buffer.from('goodbye')])
  assert.equal(await rest.promise, 'goodbye')
  await stream.closed
  await dialer.close()
})

const stops: Record<string, (stream: ByteStream) => Promise<unknown>> = {
  'leaves the loop': async ({ readable }) => {
    for await (const chunk of readable) if (chunk.byteLength > 0) break
  },
  cancels: async ({ readable }) => {
    const reader = readable.getReader()
    await reader.read()
    await reader.cancel(new Error('enough'))
  },
}
const rejections: Record<string, Serve> = {
  'its write': async (stream) => {
    throw await keepWriting(stream).failed
  },
  'its write, as the registry wraps it': async (stream) => {
    const cause = await keepWriting(stream).failed
    throw new SpacedockError('remote-failure', 'failed', { cause })
  },
  'what it pipes': async (stream) => endless().pipeTo(stream.writable),
}

for (const [ends, end] of Object.entries(stops)) {
  for (const [what, serve] of Object.entries(rejections)) {
    test(`a reader that ${ends} does not make a failure of a handler that rejects with ${what}`, async () => {
      const served = Promise.withResolvers<[ByteStream, AbortSignal]>()
      const { dialer } = await sessionPair({
        listener: serving((stream, signal) => {
          served.resolve([stream, signal])
          return serve(stream, signal)
        }),
      })
      const stream = await dialer.openStream(call('any', 1, null))
      await end(stream)
      const [there, signal] = await served.promise
      await within(Promise.all([stream.closed, there.closed]), 'the end on both sides')
      assert.equal(signal.aborted, false)
      await dialer.close()
    })
  }
}

test('a handler that fails for another reason after its writes were stopped has failed', async () => {
  const { dialer } = await sessionPair({
    listener: serving(async (stream) => {
      await keepWriting(stream).failed
      throw new Error('the disk is gone')
    }),
  })
  const stream = await dialer.openStream(call('any', 1, null))
  await stream.readable.cancel()
  await assert.rejects(stream.closed, { code: 'remote-failure', message: 'the disk is gone' })
  await dialer.close()
})

test('a handler that returns has its stream ended, and what was written arrives, even without waiting', async () => {
  const { dialer } = await sessionPair({
    listener: serving((stream) => {
      const writer = stream.writable.getWriter()
      for (let index = 0; index < 20; index++)
        writer.write(new Uint8Array(50_000).fill(index)).catch(() => {})
    }),
  })
  const stream = await dialer.openStream(call('any', 1, null))
  const all = await readAll(stream)
  assert.equal(all.byteLength, 1_000_000)
  assert.equal(all.at(-1), 19)
  await assert.rejects(write(stream, [new Uint8Array(1)]), { code: 'cancelled' })
  await stream.closed
  await dialer.close()
})

test('a signal calls off the opening, or the stream', async () => {
  const signals: AbortSignal[] = []
  const { dialer } = await sessionPair({
    listener: {
      stream: async ({ name }, { accept, signal }) => {
        signals.push(signal)
        if (name === 'open') accept()
        await new Promise(() => {})
      },
    },
  })
  for (const name of ['open', 'never']) {
    const end = new AbortController()
    const opening = dialer.openStream(call(name, 1, null), { signal: end.signal })
    if (name === 'open') await opening
    await until(() => signals.length === (name === 'open' ? 1 : 2), 'the handler')
    const reason = new Error('changed my mind')
    end.abort(reason)
    if (name === 'open') await assert.rejects(readAll(await opening), reason)
    else await assert.rejects(opening, reason)
    await until(() => signals.at(-1)?.aborted === true, 'the handler is told')
  }
  const early = AbortSignal.abort(new Error('before'))
  await assert.rejects(dialer.openStream(call('open', 1, null), { signal: early }), { message: 'before' })
  await dialer.close()
})

test('64 streams are open at once, and the next ones wait for their turn', async () => {
  let running = 0
  let most = 0
  const release = Promise.withResolvers<void>()
  const { dialer } = await sessionPair({
    listener: serving(async (stream) => {
      most = Math.max(most, ++running)
      await release.promise
      running--
      await stream.writable.close()
    }),
  })
  const all = Array.from({ length: 150 }, async () => {
    const stream = await dialer.openStream(call('any', 1, null))
    await write(stream, [])
    await readAll(stream)
  })
  await until(() => running === 64, 'as many as may be')
  await turns(20)
  assert.equal(running, 64)
  release.resolve()
  await Promise.all(all)
  assert.equal(most, 64)
  await dialer.close()
})

test('the end of the session errors both ends with `interrupted`; nothing is opened afterwards', async () => {
  const failed = Promise.withResolvers<unknown>()
  const { dialer, listener } = await sessionPair({
    listener: serving(async (stream) => {
      await readAll(stream).catch(failed.resolve)
    }),
  })
  const stream = await dialer.openStream(call('any', 1, null))
  const written = keepWriting(stream)
  listener.abort(new Error('gone'))
  for (const error of [await failed.promise, await written.failed]) {
    assert.ok(error instanceof Error && 'code' in error && error.code === 'interrupted')
  }
  await assert.rejects(stream.closed, { code: 'interrupted' })
  await assert.rejects(dialer.openStream(call('any', 1, null)), { code: 'interrupted' })
})

test('a session that serves no streams says so, and goes on', async () => {
  const { dialer } = await sessionPair()
  await assert.rejects(dialer.openStream(call('files', 3, null)), {
    code: 'unknown-protocol',
    message: /files\/3/u,
  })
  await assert.rejects(dialer.openStream(call('files', 3, 'x'.repeat(65_000))), { code: 'too-large' })
  assert.equal(await dialer.request(call('any', 1, 'on')), 'on')
  await dialer.close()
})

test('close waits for the streams that are under way', async () => {
  const { dialer, listener } = await sessionPair({ listener: serving(echo) })
  const stream = await dialer.openStream(call('echo', 1, null))
  const closing = listener.close()
  const back = readAll(stream)
  await write(stream, [new Uint8Array(300_000)])
  assert.equal((await back).byteLength, 300_000)
  await closing
  assert.deepEqual(await dialer.closed, { reason: 'remote-closed' })
})

const violations: [what: string, frames: Frame[]][] = [
  ['data on a stream that was never opened', [data(1, 1)]],
  ['an end on a stream that was never opened', [control('end', 1)]],
  ['an accept of nothing', [control('accept', 2)]],
  ['data before it is accepted', [open(1, 'slow'), data(1, 1)]],
  ['data after the end', [open(1), control('end', 1), data(1, 1)]],
  ['a second end', [open(1), control('end', 1), control('end', 1)]],
  ['more data than there is credit', [open(1), ...Array.from({ length: 5 }, () => data(1, 60_000))]],
  ['an accept by the one who asked', [open(1), control('accept', 1)]],
  ['a channel in use', [open(1), open(1)]],
  ['a channel that a request uses', [request(1, 'wait'), open(1)]],
  ['a request on the channel of a stream', [open(1), request(1)]],
  ['a channel of the wrong side', [open(2)]],
  ['credit for nothing', [open(1), credit(1, 0)]],
  ['credit beyond all sense', [open(1), credit(1, 0xffff_ffff)]],
  ['data after a reset', [open(1), { ...control('reset', 1), payload: Buffer.from('{}') }, data(1, 1)]],
  ['65 streams at once', Array.from({ length: 65 }, (_, index) => open(1 + 2 * index))],
  ['an opening without a name', [{ ...control('open', 1), payload: new Uint8Array(3) }]],
]

for (const [what, frames] of violations) {
  test(`${what} ends the session`, async () => {
    const { session, peer } = await rawDialer({
      stream: async ({ name }, { accept }) => {
        if (name !== 'slow') accept()
        await new Promise(() => {})
      },
    })
    for (const frame of frames) {
      peer.send(encodeFrames([frame]))
      await turns(3)
    }
    assert.equal((await within(session.closed, 'the end')).reason, 'violation')
  })
}

test('what may cross with the end of a stream is ignored', async () => {
  const { session, peer, frames } = await rawDialer({
    stream: async (_call, { accept }) => void accept(),
  })
  peer.send(encodeFrames([open(1)]))
  await until(() => count(frames, 'stop') === 1 && count(frames, 'end') === 1, 'its end')
  peer.send(encodeFrames([control('end', 1), credit(1, 5)]))
  for (const type of ['stop', 'reset'] as const) {
    peer.send(encodeFrames([{ ...control(type, 1), payload: Buffer.from('{}') }]))
  }
  peer.send(encodeFrames([request(3)]))
  await until(() => count(frames, 'response') === 1, 'the answer')
  session.abort(new Error('done'))
})

test('a reset is answered with one, and only then is the channel free', async () => {
  const { session, peer, frames } = await rawDialer({
    stream: async (_call, { accept }) => {
      accept()
      throw new Error('failed')
    },
  })
  for (let index = 0; index < 64; index++) peer.send(encodeFrames([open(1 + 2 * index)]))
  await until(() => count(frames, 'reset') === 64, 'the failures')
  // Data of before the reset was seen; then the answer to one of them makes room for one more.
  peer.send(encodeFrames([data(1, 10), { ...control('reset', 1), payload: Buffer.from('{}') }, open(201)]))
  await until(() => count(frames, 'reset') === 65, 'the next one')
  peer.send(encodeFrames([open(203)]))
  assert.equal((await within(session.closed, 'the end')).reason, 'violation')
})

test('tiny pieces of data cost no more memory than large ones', async () => {
  const held = Promise.withResolvers<ByteStream>()
  const { session, peer } = await rawDialer({
    stream: async (_call, { accept }) => {
      held.resolve(accept())
      await new Promise(() => {})
    },
  })
  peer.send(encodeFrames([open(1)]))
  const stream = await held.promise
  for (let sent = 0; sent < 20_000; sent += 1_000) {
    peer.send(encodeFrames(Array.from({ length: 1_000 }, () => data(1, 1))))
    await turns(1)
  }
  await turns(20)
  const reader = stream.readable.getReader()
  let pieces = 0
  for (let readBytes = 0; readBytes < 20_000; pieces++)
    readBytes += (await reader.read()).value?.byteLength ?? 0
  assert.ok(pieces <= 6, `${pieces} pieces`)
  session.abort(new Error('done'))
})

test('fuzzed frames of streams and events: the session goes on or ends, and nothing escapes', async () => {
  const types: FrameType[] = [
    'open',
    'accept',
    'data',
    'end',
    'credit',
    'stop',
    'reset',
    'event',
    'eventCredit',
    'systemEventCredit',
  ]
  const fuzzed = fc.tuple(fc.constantFrom(...types), fc.nat(4), fc.uint8Array({ maxLength: 40 }))
  await fc.assert(
    fc.asyncProperty(fc.array(fuzzed, { maxLength: 8 }), async (list) => {
      const { session, peer } = await rawDialer(serving(echo))
      for (const [type, channel, payload] of list) {
        const known = type === 'open' ? open(channel).payload : payload
        const sized = type === 'credit' || type.endsWith('Credit') ? known.slice(0, 4) : known
        peer.send(encodeFrames([{ ...control(type, channel), payload: sized }]))
      }
      await turns(5)
      session.abort(new Error('done'))
      await session.closed
    }),
    { numRuns: 150 },
  )
})

const waitOrEcho: CallHandler['request'] = ({ name, value }) =>
  name === 'wait' ? new Promise(() => {}) : Promise.resolve(value)

/** A session whose other side is the test itself, after an honest hello. */
async function rawDialer(
  handlers: SessionOverrides,
): Promise<{ session: Session; peer: RawSession; frames: Frame[] }> {
  const { dialerPeer, listenerPeer, outbound, inbound, toDialer } = await ends()
  const [session, peer] = await Promise.all([
    acceptSession(inbound, toDialer, sessionOptions(listenerPeer, { request: waitOrEcho, ...handlers })),
    RawSession.dial(outbound, helloTo(listenerPeer, sessionOptions(dialerPeer))),
  ])
  return { session, peer, frames: peer.frames }
}

function control(type: FrameType, channel: number): Frame {
  return { type, more: false, channel, payload: nothing }
}

function open(channel: number, name = 'any'): Frame {
  return { ...control('open', channel), payload: encodeRequest(name, 1, nothing) }
}

function request(channel: number, name = 'any'): Frame {
  return { ...control('request', channel), payload: encodeRequest(name, 1, Buffer.from('1')) }
}

function data(channel: number, bytes: number): Frame {
  return { ...control('data', channel), payload: new Uint8Array(bytes) }
}

function credit(channel: number, bytes: number): Frame {
  const payload = new Uint8Array(4)
  new DataView(payload.buffer).setUint32(0, bytes)
  return { ...control('credit', channel), payload }
}

function count(frames: readonly Frame[], type: FrameType): number {
  return frames.filter((frame) => frame.type === type).length
}

function isAnswer({ type }: Frame): boolean {
  return type === 'response' || type === 'pong'
}

async function readAll(stream: ByteStream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream.readable) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function write(stream: ByteStream, chunks: readonly Uint8Array[]): Promise<void> {
  const writer = stream.writable.getWriter()
  for (const chunk of chunks) await writer.write(chunk)
  await writer.close()
}

function endless(): ReadableStream<Uint8Array> {
  return new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(16 * 1024)) })
}

/** Writes for as long as it may, and counts what was taken. */
function keepWriting(stream: ByteStream): { bytes: number; failed: Promise<unknown> } {
  const written = { bytes: 0, failed: Promise.resolve<unknown>(undefined) }
  const chunk = new Uint8Array(16 * 1024)
  written.failed = (async () => {
    const writer = stream.writable.getWriter()
    for (;;) {
      await writer.write(chunk)
      written.bytes += chunk.byteLength
    }
  })().catch((error: unknown) => error)
  return written
}
