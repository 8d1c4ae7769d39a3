import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import type { Stream } from '@libp2p/interface'
import fc from 'fast-check'
import { SpacedockError } from '../../../src/errors.ts'
import type { Frame } from '../../../src/network/session/frames.ts'
import { encodeFrames } from '../../../src/network/session/frames.ts'
import { encodeRequest } from '../../../src/network/session/request-header.ts'
import type { Session } from '../../../src/network/session/session.ts'
import { acceptSession, openSession, sessionProtocol } from '../../../src/network/session/session.ts'
import { realHost, until, within } from '../real-hosts.ts'
import { ends, sessionOptions, sessionPair } from './session-pair.ts'
import { turns, virtualClock } from '../../../src/testing/virtual-clock.ts'
import { peerIdOf } from '../../../src/libp2p-peer.ts'
import { call } from './calls.ts'
import { helloTo, RawSession } from './raw-session.ts'
import type { CallHandler } from '../../../src/network/session/call.ts'

test('answers find their requests, in both directions at once, whatever their sizes', async () => {
  const { dialer, listener } = await sessionPair()
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 200_000 })), { maxLength: 30 }),
      async (requests) => {
        const answers = await Promise.all(
          requests.map(([fromDialer, length], index) =>
            (fromDialer ? dialer : listener).request(call('echo', 1, `${index}:${'x'.repeat(length)}`)),
          ),
        )
        assert.deepEqual(
          answers,
          requests.map(([, length], index) => `${index}:${'x'.repeat(length)}`),
        )
      },
    ),
    { numRuns: 20 },
  )
  await dialer.close()
})

test('a device that is revoked in a session hears it, hangs up, and is answered nothing any more', async () => {
  const aborted: unknown[] = []
  const notice = randomBytes(32)
  const { dialer, listener } = await sessionPair({
    dialer: { revokedBy: (_peer, said) => Buffer.from(said).equals(notice) },
    listener: {
      request: async (_call, { signal }) => {
        signal.addEventListener('abort', () => aborted.push(signal.reason))
        return new Promise(() => undefined)
      },
    },
  })
  const asked = dialer.request(call('slow', 1, null))
  await turns()
  const revoking = listener.revoke(notice)
  await assert.rejects(asked, { code: 'interrupted' })
  await within(revoking, 'the end of the revocation')
  assert.equal(aborted.length, 1)
  assert.deepEqual(await dialer.closed, { reason: 'revoked' })
  assert.equal((await listener.closed).reason, 'closed')
  await assert.rejects(listener.request(call('any', 1, 'a secret')), { code: 'interrupted' })
  await listener.revoke(notice)
})

test('who does not hang up when it is revoked is cut off after half a second', async () => {
  const clock = virtualClock()
  const { dialerPeer, listenerPeer, toListener, toDialer, outbound, inbound } = await ends()
  let handlersAborted = 0
  const request: CallHandler['request'] = (_call, { signal }) => {
    signal.addEventListener('abort', () => handlersAborted++)
    return new Promise(() => undefined)
  }
  const [dialer, listener] = await Promise.all([
    openSession(toListener, sessionOptions(dialerPeer)),
    acceptSession(inbound, toDialer, sessionOptions(listenerPeer, { clock, request })),
  ])
  const asked = dialer.request(call('slow', 1, null))
  asked.catch(() => undefined)
  await turns()
  // It stops to listen.
  outbound.pause()
  let isOver = false
  const revoking = listener.revoke(randomBytes(32)).then(() => (isOver = true))
  await clock.pass(499)
  assert.deepEqual([isOver, handlersAborted], [false, 1])
  await clock.pass(1)
  await revoking
  assert.equal((await listener.closed).reason, 'aborted')
  await assert.rejects(asked, { code: 'interrupted' })
})

test('a revocation notice that is none breaks the rules of a session, and revokes nobody', async () => {
  const { dialer, listener } = await sessionPair({ dialer: { revokedBy: () => false } })
  await listener.revoke(randomBytes(32))
  assert.equal((await dialer.closed).reason, 'violation')
})

test('the handler is told the name, the version, the value and who asks', async () => {
  const asked: unknown[] = []
  const { dialer, listener } = await sessionPair({
    listener: {
      request: async ({ name, version, value }, { peerId }) => {
        asked.push([name, version, value, peerId.toString()])
        return undefined
      },
    },
  })
  assert.equal(await dialer.request(call('notes', 3, { text: 'hi' })), undefined)
  assert.deepEqual(asked, [['notes', 3, { text: 'hi' }, listener.remotePeer.toString()]])
  await dialer.close()
})

test('a failure crosses with its code and message, without a stack and without control characters', async () => {
  const failures: [thrown: Error, code: string, message: string][] = [
    [new SpacedockError('unknown-protocol', 'no such thing'), 'unknown-protocol', 'no such thing'],
    [new SpacedockError('disk-full', 'no space'), 'remote-failure', 'no space'],
    [new TypeError('\u001b[31mred\u202e\nline'), 'remote-failure', '[31mred line'],
  ]
  for (const [thrown, code, message] of failures) {
    const { dialer } = await sessionPair({ listener: { request: () => Promise.reject(thrown) } })
    await assert.rejects(dialer.request(call('fails', 1, null)), (error) => {
      assert.ok(error instanceof SpacedockError)
      assert.equal(error.code, code)
      assert.equal(error.message.replace(/ +/g, ' '), message)
      return true
    })
    await dialer.close()
  }
})

test('a request or an answer over 1 MiB is refused, and the session goes on', async () => {
  const { dialer } = await sessionPair({
    listener: {
      request: async ({ value }) => (value === 'big' ? 'x'.repeat(1024 * 1024) : value),
    },
  })
  await assert.rejects(dialer.request(call('any', 1, 'x'.repeat(1024 * 1024))), { code: 'too-large' })
  await assert.rejects(dialer.request(call('any', 1, 'big')), { code: 'too-large' })
  const largest = 'x'.repeat(1024 * 1024 - 2)
  assert.equal(await dialer.request(call('any', 1, largest)), largest)
  await dialer.close()
})

test('names, versions and values that cannot be sent are refused here', async () => {
  const { dialer } = await sessionPair()
  const circular: unknown[] = []
  circular.push(circular)
  await assert.rejects(dialer.request(call('Notes', 1, null)), { code: 'invalid-argument' })
  await assert.rejects(dialer.request(call('notes', 0, null)), { code: 'invalid-argument' })
  await assert.rejects(dialer.request(call('notes', 1, circular)), { code: 'invalid-message' })
  await assert.rejects(dialer.request(call('notes', 1, nested(65))), { code: 'invalid-message' })
  await dialer.close()
})

test('a signal that aborts ends the request here and the handler there', async () => {
  const started = Promise.withResolvers<AbortSignal>()
  const { dialer } = await sessionPair({
    listener: {
      request: ({ value }, { signal }) => {
        if (value !== 'wait') return Promise.resolve(value)
        started.resolve(signal)
        return new Promise(() => {})
      },
    },
  })
  const controller = new AbortController()
  const answer = dialer.request(call('any', 1, 'wait'), { signal: controller.signal })
  const signal = await started.promise
  controller.abort(new Error('changed my mind'))
  await assert.rejects(answer, { message: 'changed my mind' })
  await until(() => signal.aborted, 'the handler is told')
  assert.equal(await dialer.request(call('any', 1, 'next')), 'next')
  await dialer.close()
})

test('a request without an answer ends after thirty seconds, and the handler is told', async () => {
  const clock = virtualClock()
  const signals: AbortSignal[] = []
  const { dialer, listener } = await sessionPair({
    dialer: { clock },
    listener: {
      clock,
      request: (_call, { signal }) => {
        signals.push(signal)
        return new Promise(() => {})
      },
    },
  })
  const failures: unknown[] = []
  dialer.request(call('any', 1, null)).catch((error: unknown) => failures.push(error))
  await until(() => signals.length === 1, 'the request')
  for (let second = 0; second < 29; second++) {
    await clock.pass(1_000)
    await Promise.all([dialer.ping(), listener.ping()])
  }
  assert.equal(failures.length, 0)
  await clock.pass(1_001)
  assert.equal(failures.length, 1)
  assert.ok(failures[0] instanceof SpacedockError && failures[0].code === 'timed-out')
  await until(() => signals[0]?.aborted === true, 'the handler is told')
  dialer.abort(new Error('done'))
  listener.abort(new Error('done'))
  assert.equal(clock.pending(), 0)
})

test('the end of a session rejects what is pending with `interrupted` and aborts the handlers', async () => {
  for (const end of ['abort', 'reset', 'lost'] as const) {
    const started = Promise.withResolvers<AbortSignal>()
    const { dialer, listener, inbound, outbound } = await sessionPair({
      listener: {
        request: (_call, { signal }) => {
          started.resolve(signal)
          return new Promise(() => {})
        },
      },
    })
    const answer = dialer.request(call('any', 1, null))
    const ping = dialer.ping()
    await ping
    const rejected = assert.rejects(answer, { code: 'interrupted' })
    const signal = await started.promise
    if (end === 'abort') listener.abort(new Error('gone'))
    if (end === 'reset') inbound.abort(new Error('gone'))
    if (end === 'lost') outbound.abort(new Error('gone'))
    await rejected
    assert.equal((await dialer.closed).reason, 'interrupted')
    assert.equal((await listener.closed).reason, end === 'abort' ? 'aborted' : 'interrupted')
    assert.ok(signal.aborted)
    await assert.rejects(dialer.request(call('any', 1, null)), { code: 'interrupted' })
    await assert.rejects(dialer.ping(), { code: 'interrupted' })
  }
})

test('close lets what is under way finish, and both sides end in order', async () => {
  const release = Promise.withResolvers<void>()
  const { dialer, listener } = await sessionPair({
    listener: {
      // Its second never ends.
      clock: virtualClock(),
      request: async ({ value }) => {
        await release.promise
        return value
      },
    },
  })
  const answer = dialer.request(call('any', 1, 'kept'))
  await dialer.ping()
  const closing = listener.close()
  await turns()
  release.resolve()
  assert.equal(await answer, 'kept')
  await closing
  assert.deepEqual(await listener.closed, { reason: 'closed' })
  assert.deepEqual(await dialer.closed, { reason: 'remote-closed' })
})

test('close takes a second at most, whatever the other side does', async () => {
  const clock = virtualClock()
  const { dialer, listener, inbound } = await sessionPair({
    dialer: { clock },
    listener: { request: () => new Promise(() => {}) },
  })
  const answer = assert.rejects(dialer.request(call('any', 1, null)), { code: 'interrupted' })
  await dialer.ping()
  inbound.pause()
  const closing = dialer.close()
  await clock.pass(1_000)
  await within(closing, 'close')
  await answer
  assert.deepEqual(await dialer.closed, { reason: 'closed' })
  listener.abort(new Error('done'))
  assert.equal(clock.pending(), 0)
})

test('a peer that falls silent is noticed within ten seconds; one that answers is kept', async () => {
  const clock = virtualClock()
  const { dialer, listener, inbound, outbound } = await sessionPair({ dialer: { clock } })
  const traffic = watch(outbound)
  for (let second = 0; second < 20; second++) {
    await clock.pass(1_000)
    await until(() => traffic.received === traffic.sent, 'every ping is answered')
  }
  assert.ok(traffic.sent >= 5 && traffic.sent <= 7, `${traffic.sent} pings in 20 s`)
  assert.equal(await dialer.request(call('any', 1, 'still here')), 'still here')
  inbound.pause()
  const startedAt = clock.monotonic()
  for (let tenth = 0; tenth < 120 && outbound.status === 'open'; tenth++) await clock.pass(100)
  assert.deepEqual(await dialer.closed, { reason: 'silent' })
  assert.ok(clock.monotonic() - startedAt <= 10_000, `after ${clock.monotonic() - startedAt} ms`)
  assert.ok(clock.monotonic() - startedAt >= 8_000)
  assert.equal(outbound.status, 'aborted')
  listener.abort(new Error('done'))
})

test('a side that only receives stays audible to a sender whose own pings are held up', async () => {
  const clock = virtualClock()
  const { dialer, listener, inbound } = await sessionPair({
    listener: { clock, request: () => new Promise(() => {}) },
  })
  const traffic = watch(inbound)
  for (let second = 0; second < 12; second++) {
    const before = traffic.received
    dialer.request(call('any', 1, null)).catch(() => {})
    await until(() => traffic.received > before, 'the request')
    await clock.pass(1_000)
  }
  assert.ok(traffic.sent >= 3, `${traffic.sent} pings in 12 s`)
  dialer.abort(new Error('done'))
  listener.abort(new Error('done'))
})

test('after a sleep of the process the other side gets the time to answer', async () => {
  let now = 0
  const planned = new Set<() => void>()
  const clock = {
    monotonic: () => now,
    wall: () => now,
    after: (_delayMs: number, run: () => void) => {
      planned.add(run)
      return () => planned.delete(run)
    },
  }
  const fireAt = (time: number): void => {
    now = time
    const due = [...planned]
    planned.clear()
    for (const run of due) run()
  }
  const { dialer, inbound, outbound, listener } = await sessionPair({ dialer: { clock } })
  const traffic = watch(outbound)
  inbound.pause()
  fireAt(3_000)
  await until(() => traffic.sent === 1, 'the ping')
  // The machine sleeps for an hour: what was answered meanwhile could not be read.
  fireAt(3_600_000)
  inbound.resume()
  await until(() => traffic.received > 0, 'the answer')
  fireAt(3_602_000)
  await turns()
  assert.equal(outbound.status, 'open')

  // But a peer that is really gone is noticed after that.
  inbound.pause()
  fireAt(3_605_000)
  fireAt(7_200_000)
  await turns()
  assert.equal(outbound.status, 'open')
  fireAt(7_202_000)
  assert.deepEqual(await dialer.closed, { reason: 'silent' })
  listener.abort(new Error('done'))
})

test('requests beyond what the other side accepts wait their turn', async () => {
  let running = 0
  let most = 0
  const { dialer } = await sessionPair({
    listener: {
      request: async ({ value }) => {
        most = Math.max(most, ++running)
        await turns(3)
        running--
        return value
      },
    },
  })
  const values = Array.from({ length: 1_000 }, (_, index) => index)
  assert.deepEqual(
    await Promise.all(values.map((value) => dialer.request(call(`any-${value % 3}`, 1, value)))),
    values,
  )
  assert.equal(most, 256)
  await dialer.close()
})

test('a small request is answered while large ones are under way', async () => {
  const { dialer } = await sessionPair()
  const order: string[] = []
  const large = Array.from({ length: 10 }, async () => {
    await dialer.request(call('any', 1, 'x'.repeat(1_000_000)))
    order.push('large')
  })
  await turns(2)
  await dialer.request(call('any', 1, 'small'))
  order.push('small')
  await Promise.all(large)
  assert.ok(order.indexOf('small') <= 1, String(order))
  await dialer.close()
})

test('what is sent in one turn of the event loop leaves in one piece', async () => {
  const { dialer, outbound } = await sessionPair()
  const traffic = watch(outbound)
  await Promise.all(Array.from({ length: 64 }, (_, index) => dialer.request(call('any', 1, index))))
  assert.equal(traffic.sent, 1)
  await dialer.close()
})

test('over real sockets, a slow reader holds the sender back instead of filling its memory', async () => {
  const [left, right] = await Promise.all([realHost(), realHost()])
  try {
    const accepted = Promise.withResolvers<Session>()
    await right.handle(sessionProtocol, async (stream, connection) => {
      accepted.resolve(await acceptSession(stream, connection, sessionOptions(peerIdOf(right.peerId))))
    })
    const [address] = right.getMultiaddrs()
    assert.ok(address)
    const connection = await left.dial(address)
    const dialer = await openSession(connection, sessionOptions(peerIdOf(left.peerId)))
    const listener = await accepted.promise
    const outbound = connection.streams.find((stream) => stream.protocol === sessionProtocol)
    const inbound = listener.connection.streams.find((stream) => stream.protocol === sessionProtocol)
    assert.ok(outbound && inbound)

    inbound.pause()
    const value = 'x'.repeat(1_000_000)
    const answers = Array.from({ length: 20 }, () => dialer.request(call('any', 1, value)))
    let most = 0
    for (let turn = 0; turn < 100; turn++) {
      most = Math.max(most, outbound.writeBufferLength, inbound.readBufferLength)
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    assert.ok(most <= 1_100_000, `${most} bytes were buffered`)
    inbound.resume()
    for (const answer of await Promise.all(answers)) assert.equal(answer, value)
    await dialer.close()
    assert.deepEqual(await listener.closed, { reason: 'remote-closed' })
  } finally {
    await Promise.all([left.stop(), right.stop()])
  }
})

const violations: [what: string, bytes: Uint8Array][] = [
  ['a length prefix of 4 GiB', Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x10, 0, 0, 0, 1)],
  ['an unknown frame type', Uint8Array.of(0, 0, 0, 1, 0x33, 0, 0, 0, 1, 0)],
  ['a request on a channel of the wrong side', encodeFrames([request(2, 'any', '1')])],
  [
    'an answer on a channel of the wrong side',
    encodeFrames([{ ...request(1, 'any', '1'), type: 'response' }]),
  ],
  ['a protocol name with capitals', encodeFrames([request(1, 'Any', '1')])],
  [
    'a request shorter than its header',
    encodeFrames([{ ...request(1, 'any', '1'), payload: Uint8Array.of(40, 1) }]),
  ],
  ['a channel used twice', encodeFrames([request(1, 'wait', '1'), request(1, 'wait', '1')])],
  [
    'a hello after the hello',
    encodeFrames([{ type: 'unknownDevice', more: false, channel: 0, payload: new Uint8Array(0) }]),
  ],
]

for (const [what, bytes] of violations) {
  test(`${what} ends the session`, async () => {
    const { session, peer } = await rawDialer()
    peer.send(bytes)
    assert.equal((await within(session.closed, 'the end')).reason, 'violation')
    await until(() => peer.status !== 'open', 'the peer sees the reset')
  })
}

test('a request that is no JSON, or names __proto__, is answered with an error', async () => {
  for (const text of [
    '{',
    'nul',
    '{"__proto__":{"a":1}}',
    '{"\\u005f_proto__":1}',
    '\u0000',
    '['.repeat(100),
  ]) {
    const { session, peer, frames } = await rawDialer()
    peer.send(encodeFrames([request(1, 'any', text)]))
    await until(() => frames.length > 0, 'an answer')
    assert.equal(frames[0]?.type, 'error')
    assert.match(new TextDecoder().decode(frames[0]?.payload), /"code":"invalid-message"/)
    session.abort(new Error('done'))
  }
  assert.equal(({} as Record<string, unknown>)['a'], undefined)
})

test('more than 256 requests at once, 128 of one name, are refused politely, with what they hold bounded', async () => {
  const { session, peer, frames } = await rawDialer()
  const names = ['wait', 'wait-too', 'wait-as-well']
  peer.send(
    encodeFrames(
      Array.from({ length: 450 }, (_, index) =>
        request(1 + 2 * index, names[Math.floor(index / 150)] ?? '', '1'),
      ),
    ),
  )
  await until(() => frames.length === 450 - 256, 'the refusals')
  for (const frame of frames) assert.equal(frame.type, 'error')
  // Those of the system have places of their own.
  peer.send(encodeFrames([request(1_001, 'spacedock-any', '1')]))
  await until(() => frames.at(-1)?.type === 'response', 'the answer')
  session.abort(new Error('done'))
})

test('a peer that asks without ever reading an answer is cut off', async () => {
  const { session, peer, inbound } = await rawDialer()
  holdBack(inbound)
  const ping: Frame = { type: 'ping', more: false, channel: 0, payload: new Uint8Array(8) }
  for (let batch = 0; batch < 11; batch++) peer.send(encodeFrames(Array.from({ length: 100 }, () => ping)))
  assert.equal((await within(session.closed, 'the end')).reason, 'violation')
})

test('requests are not handled while answers worth megabytes have not left', async () => {
  const { session, peer, inbound, frames, handled } = await rawDialer()
  const release = holdBack(inbound)
  let arrivedBytes = 0
  inbound.addEventListener('message', (event) => (arrivedBytes += event.data.byteLength))
  let sentBytes = 0
  for (let index = 0; index < 8; index++) {
    const body = encodeRequest('any', 1, new TextEncoder().encode(`"${'x'.repeat(900_000)}"`))
    for (let offset = 0; offset < body.byteLength; offset += 60_000) {
      const more = offset + 60_000 < body.byteLength
      const payload = body.subarray(offset, offset + 60_000)
      sentBytes += peer.send(encodeFrames([{ type: 'request', more, channel: 1 + 2 * index, payload }]))
    }
    // One after the other: what is handled already when an answer is ready is handled to the end.
    await until(() => arrivedBytes === sentBytes, 'the request')
    await turns()
    assert.equal(handled(), Math.min(index + 1, 5))
  }
  release()
  await until(
    () => frames.filter(({ type, more }) => type === 'response' && !more).length === 8,
    'all answers',
  )
  assert.equal(handled(), 8)
  session.abort(new Error('done'))
})

test('half-sent requests hold 16 MiB at most; the rest of a refused one is dropped', async () => {
  const { session, peer, frames } = await rawDialer()
  const part = 'x'.repeat(60_000)
  for (let round = 0; round < 12; round++) {
    for (let channel = 1; channel <= 63; channel += 2) {
      peer.send(
        encodeFrames([
          round === 0
            ? { ...request(channel, 'any', part), more: true }
            : { type: 'request', more: true, channel, payload: new TextEncoder().encode(part) },
        ]),
      )
    }
    await turns(20)
  }
  // 32 channels of 720 kB would be 23 MB.
  await until(() => frames.length >= 9, 'the refusals')
  assert.ok(frames.every((frame) => frame.type === 'error'))
  session.abort(new Error('done'))
})

test('a handler that ignores its cancellation still counts', async () => {
  const { session, peer, frames } = await rawDialer()
  const nothing = new Uint8Array(0)
  for (let index = 0; index < 128; index++) {
    const channel = 1 + 2 * index
    peer.send(
      encodeFrames([
        request(channel, 'wait', '1'),
        { type: 'cancel', more: false, channel, payload: nothing },
      ]),
    )
  }
  peer.send(encodeFrames([request(1_001, 'wait', '1')]))
  await until(() => frames.length === 1, 'the refusal')
  assert.equal(frames[0]?.type, 'error')
  session.abort(new Error('done'))
})

test('fuzzed frames after the hello: the session goes on or ends, and nothing escapes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 6 }),
      fc.nat(),
      async (payloads, seed) => {
        const { session, peer } = await rawDialer()
        const types: Frame['type'][] = ['request', 'response', 'error', 'cancel', 'ping', 'pong', 'goodbye']
        for (const [index, payload] of payloads.entries()) {
          const type = types[(seed + index) % types.length] ?? 'ping'
          const frame = { type, more: (seed & index) === 1, channel: (seed + index) % 4, payload }
          peer.send(encodeFrames([frame]))
        }
        await turns(5)
        session.abort(new Error('done'))
        await session.closed
      },
    ),
    { numRuns: 150 },
  )
})

/** A session whose other side is the test itself, after an honest hello. */
async function rawDialer(): Promise<{
  session: Session
  peer: RawSession
  inbound: Stream
  frames: Frame[]
  /** Requests that reached their handler. */
  handled: () => number
}> {
  const { dialerPeer, listenerPeer, outbound, inbound, toDialer } = await ends()
  let count = 0
  const request: CallHandler['request'] = ({ name, value }) => {
    count++
    return name.startsWith('wait') ? new Promise(() => {}) : Promise.resolve(value)
  }
  const [session, peer] = await Promise.all([
    acceptSession(inbound, toDialer, sessionOptions(listenerPeer, { request })),
    RawSession.dial(outbound, helloTo(listenerPeer, sessionOptions(dialerPeer))),
  ])
  return { session, peer, inbound, frames: peer.frames, handled: () => count }
}

function request(channel: number, name: string, text: string): Frame {
  return {
    type: 'request',
    more: false,
    channel,
    payload: encodeRequest(name, 1, new TextEncoder().encode(text)),
  }
}

function nested(depth: number): unknown {
  let value: unknown = 0
  for (let level = 0; level < depth; level++) value = [value]
  return value
}

/** As when the peer gives no more window; the function returned ends it. */
function holdBack(stream: Stream): () => void {
  let isHeld = true
  Object.defineProperty(stream, 'writableNeedsDrain', { get: () => isHeld, set: () => {} })
  return () => {
    isHeld = false
    stream.dispatchEvent(new Event('drain'))
  }
}

/** Counts what goes over a stream, in pieces. */
function watch(stream: Stream): { sent: number; received: number } {
  const traffic = { sent: 0, received: 0 }
  const send = stream.send.bind(stream)
  stream.send = (data) => {
    traffic.sent++
    return send(data)
  }
  stream.addEventListener('message', () => traffic.received++)
  return traffic
}
