import assert from 'node:assert/strict'
import { test } from 'node:test'
import { byteStream, streamPair } from '@libp2p/utils'
import { StreamTransport } from '../../../src/network/session/stream-transport.ts'
import { FramedStream } from '../../../src/network/session/framed-stream.ts'
import type { Frame } from '../../../src/network/session/frames.ts'
import { encodeFrames, maxPayloadBytes } from '../../../src/network/session/frames.ts'
import type { SessionTransport, TransportListener } from '../../../src/network/session/session-transport.ts'
import { until } from '../real-hosts.ts'
import { turns } from '../../../src/testing/virtual-clock.ts'

const signal = AbortSignal.timeout(10_000)

test('frames read ahead by the negotiation, and the end after them, are delivered in order', async () => {
  const [outbound, inbound] = await streamPair()
  const negotiation = byteStream(inbound)
  outbound.send(Uint8Array.of(9))
  outbound.send(encodeFrames([ping(1), ping(2)]))
  await outbound.close()
  await negotiation.read({ bytes: 1 })
  await until(() => inbound.readableEnded, 'the end was read ahead')
  negotiation.unwrap()

  const framed = new FramedStream(new StreamTransport(inbound))
  // Nobody receives yet.
  await turns()
  assert.equal(framed.ended, undefined)
  assert.deepEqual((await framed.nextFrame(signal)).payload[0], 1)
  assert.deepEqual((await framed.nextFrame(signal)).payload[0], 2)
  await assert.rejects(framed.nextFrame(signal), { code: 'interrupted' })
  assert.deepEqual(framed.ended, { error: undefined })
})

test('while nobody receives the stream is paused, and nothing is lost', async () => {
  const [outbound, inbound] = await streamPair()
  const framed = new FramedStream(new StreamTransport(inbound))
  outbound.send(encodeFrames([ping(1)]))
  await until(() => inbound.readStatus === 'paused', 'the pause')
  outbound.send(encodeFrames([ping(2), ping(3)]))
  await until(() => inbound.readBufferLength > 0, 'more bytes')
  const received: (number | undefined)[] = []
  framed.receive(({ payload }) => received.push(payload[0]))
  assert.deepEqual(received, [1, 2, 3])
  framed.abort(new Error('done'))
})

test('a flood while nobody receives ends the stream instead of filling memory', async () => {
  const [outbound, inbound] = await streamPair()
  const framed = new FramedStream(new StreamTransport(inbound))
  const chunk = encodeFrames(Array.from({ length: 1_000 }, () => ping(1)))
  while (outbound.status === 'open') {
    outbound.send(chunk)
    assert.ok(inbound.readBufferLength <= 1024 * 1024 + chunk.byteLength)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  assert.ok(framed.ended?.error)
  assert.equal(inbound.readBufferLength, 0)
})

test('the end of a stream is told once, with its cause', async () => {
  for (const end of ['closed', 'reset', 'aborted'] as const) {
    const [outbound, inbound] = await streamPair()
    const framed = new FramedStream(new StreamTransport(inbound))
    const told: (Error | undefined)[] = []
    framed.onEnd = (error) => told.push(error)
    framed.receive(() => {})
    if (end === 'closed') await outbound.close()
    if (end === 'reset') outbound.abort(new Error('lost'))
    if (end === 'aborted') framed.abort(new Error('ours'))
    await until(() => told.length > 0, 'the end')
    framed.abort(new Error('again'))
    assert.equal(told.length, 1)
    assert.equal(told[0]?.name, end === 'closed' ? undefined : end === 'reset' ? 'StreamResetError' : 'Error')
  }
})

test('what is queued by code that runs without a break leaves in one piece, and what comes while it leaves, in the next', async () => {
  const transport = new HeldTransport()
  const framed = new FramedStream(transport)
  const push = (id: number): void => {
    framed.outgoing.pushControl(ping(id))
    framed.flush()
  }
  push(1)
  queueMicrotask(() => {
    push(2)
    queueMicrotask(() => push(3))
  })
  assert.deepEqual(transport.pieces, [])
  await turns(1)
  assert.deepEqual(transport.pieces, [encodeFrames([ping(1), ping(2), ping(3)])])
  push(4)
  await turns(1)
  push(5)
  await turns(1)
  assert.equal(transport.pieces.length, 1)
  transport.leave()
  await turns(1)
  assert.deepEqual(transport.pieces[1], encodeFrames([ping(4), ping(5)]))
  framed.abort(new Error('done'))
})

for (const [link, bytesAtOnce] of [
  ['fast', 2 * maxPayloadBytes],
  ['slow', maxPayloadBytes],
] as const) {
  test(`on a ${link} link who is told that much was taken may add to the same piece up to ${bytesAtOnce} bytes`, async () => {
    const transport = new HeldTransport()
    const framed = new FramedStream(transport)
    if (link === 'fast') {
      framed.congestionWindow.sent(1024 * 1024)
      framed.congestionWindow.mark(0)
      framed.congestionWindow.markAnswered(1)
    }
    const offer = (): void =>
      framed.outgoing.pushStream({
        channel: 1,
        takeFrame: () => {
          queueMicrotask(offer)
          const payload = new Uint8Array(maxPayloadBytes)
          return { frame: { type: 'data', more: false, channel: 1, payload }, isReady: false }
        },
      })
    offer()
    framed.flush()
    await turns(2)
    assert.equal(transport.pieces.length, 1)
    const length = transport.pieces[0]?.byteLength ?? 0
    assert.ok(length >= bytesAtOnce && length < bytesAtOnce + maxPayloadBytes, `${length} bytes`)
    framed.abort(new Error('done'))
  })
}

/** Keeps what is written, and does not say that it has left. */
class HeldTransport implements SessionTransport {
  readonly pieces: Uint8Array[] = []
  canWrite = true
  #listener: TransportListener | undefined

  listen(listener: TransportListener): void {
    this.#listener = listener
  }

  write(bytes: Uint8Array): void {
    assert.ok(this.canWrite)
    this.canWrite = false
    this.pieces.push(Uint8Array.from(bytes))
  }

  leave(): void {
    this.canWrite = true
    this.#listener?.writable()
  }

  pause(): void {}
  resume(): void {}
  async close(): Promise<void> {}
  abort(): void {}
}

function ping(id: number): Frame {
  return { type: 'ping', more: false, channel: 0, payload: new Uint8Array(8).fill(id) }
}
