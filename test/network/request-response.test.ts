import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Stream } from '@libp2p/interface'
import { byteStream, streamPair } from '@libp2p/utils'
import fc from 'fast-check'
import type { ServeHandler, ServeResult } from '../../src/network/request-response.ts'
import { request, serve } from '../../src/network/request-response.ts'
import { realHost, until, within } from './real-hosts.ts'
import { turns, virtualClock } from '../../src/testing/virtual-clock.ts'

const maxBytes = 4 * 1024
const echo: ServeHandler = async (question) => question

test('the answer to any question within the cap arrives as it was sent, however it is cut up', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: maxBytes }),
      fc.integer({ min: 1, max: 5_000 }),
      async (bytes, step) => {
        const [asker, answerer] = await streamPair()
        const served = serve(answerer, { maxBytes }, echo)
        const head = bytes.subarray(0, Math.min(step, bytes.byteLength))
        if (head.byteLength > 0) asker.send(head)
        const answer = await request(asker, bytes.subarray(head.byteLength), { maxBytes })
        assert.deepEqual(answer, bytes)
        assert.deepEqual(await served, { outcome: 'answered' })
      },
    ),
    { numRuns: 50 },
  )
})

test('a question that came together with the negotiation, and its end with it, is answered', async () => {
  for (const question of [Uint8Array.of(1, 2, 3), new Uint8Array(0)]) {
    const [asker, answerer] = await streamPair()
    const negotiation = byteStream(answerer)
    const answer = request(asker, Uint8Array.of(9, ...question), { maxBytes })
    await negotiation.read({ bytes: 1 })
    await until(() => answerer.readableEnded, 'the end was read ahead')
    negotiation.unwrap()
    assert.deepEqual(await serve(answerer, { maxBytes }, echo), { outcome: 'answered' })
    assert.deepEqual(await answer, question)
  }
})

test('a question of exactly the cap is answered, one byte more is reset unanswered', async () => {
  for (const [length, outcome] of [
    [maxBytes, 'answered'],
    [maxBytes + 1, 'failed'],
  ] as const) {
    const [asker, answerer] = await streamPair()
    let asked = 0
    const served = serve(answerer, { maxBytes }, async () => {
      asked++
      return Uint8Array.of(1)
    })
    const answer = request(asker, new Uint8Array(length), { maxBytes })
    if (outcome === 'answered') assert.deepEqual(await answer, Uint8Array.of(1))
    else await assert.rejects(answer, { code: 'interrupted' })
    assert.equal((await served).outcome, outcome)
    assert.equal(asked, outcome === 'answered' ? 1 : 0)
  }
})

test('an endless question is reset with no more than the cap held', async () => {
  const [asker, answerer] = await streamPair()
  const served = serve(answerer, { maxBytes }, echo)
  const chunk = new Uint8Array(1_000)
  while (asker.status === 'open') {
    asker.send(chunk)
    assert.ok(answerer.readBufferLength <= maxBytes)
    await turns(1)
  }
  const result = await served
  assert.equal(result.outcome, 'failed')
  assert.equal(answerer.readBufferLength, 0)
})

test('an answer over the cap is refused by the asker', async () => {
  const [asker, answerer] = await streamPair()
  const served = serve(answerer, { maxBytes }, async () => new Uint8Array(maxBytes + 1))
  await assert.rejects(request(asker, Uint8Array.of(1), { maxBytes }), { code: 'too-large' })
  await served
})

test('silence is a reset with nothing sent', async () => {
  const [asker, answerer] = await streamPair()
  let received = 0
  asker.addEventListener('message', (event) => (received += event.data.byteLength))
  const served = serve(answerer, { maxBytes }, async () => null)
  await assert.rejects(request(asker, Uint8Array.of(1), { maxBytes }), { code: 'interrupted' })
  assert.deepEqual(await served, { outcome: 'silent' })
  assert.equal(received, 0)
})

test('a stream that is reset already is an interrupted exchange, for either side', async () => {
  const [asker, answerer] = await streamPair()
  answerer.abort(new Error('refused'))
  await until(() => asker.status === 'reset', 'the reset')
  await assert.rejects(request(asker, Uint8Array.of(1), { maxBytes }), { code: 'interrupted' })
  assert.equal((await serve(answerer, { maxBytes }, echo)).outcome, 'failed')
})

test('slowloris: a byte a second is reset after ten seconds', async () => {
  const clock = virtualClock()
  const [asker, answerer] = await streamPair()
  const served = serve(answerer, { maxBytes, clock }, echo)
  for (let second = 0; second < 9; second++) {
    asker.send(Uint8Array.of(1))
    await clock.pass(1_000)
    assert.equal(answerer.status, 'open')
  }
  await clock.pass(1_001)
  const result = await served
  assert.ok(result.outcome === 'failed' && 'code' in result.cause && result.cause.code === 'timed-out')
  assert.equal(answerer.status, 'aborted')
  assert.equal(clock.pending(), 0)
})

test('a handler that dawdles is cut off after thirty seconds, and told', async () => {
  const clock = virtualClock()
  const [asker, answerer] = await streamPair()
  let told = false
  const served = serve(answerer, { maxBytes, clock }, (_question, { signal }) => {
    signal.addEventListener('abort', () => (told = true))
    return new Promise<null>(() => {})
  })
  const answer = request(asker, Uint8Array.of(1), { maxBytes })
  answer.catch(() => {})
  await until(
    () => asker.remoteReadStatus === 'readable' && answerer.remoteWriteStatus === 'closed',
    'the question',
  )
  await clock.pass(29_999)
  assert.equal(told, false)
  await clock.pass(2)
  assert.equal((await served).outcome, 'failed')
  assert.equal(told, true)
  await assert.rejects(answer, { code: 'interrupted' })
})

test('a handler whose asker has gone is told', async () => {
  const [asker, answerer] = await streamPair()
  const running = Promise.withResolvers<void>()
  const served = serve(answerer, { maxBytes }, (_question, { signal }) => {
    running.resolve()
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve(null)))
  })
  const controller = new AbortController()
  const answer = request(asker, Uint8Array.of(1), { maxBytes, signal: controller.signal })
  await running.promise
  controller.abort(new Error('enough'))
  await assert.rejects(answer, { message: 'enough' })
  assert.notEqual((await served).outcome, 'answered')
})

test('a peer that never reads its answer is given up, with nothing left in memory', async () => {
  const clock = virtualClock()
  const { asker, answerer, close } = await realPair()
  try {
    // A stream that is paused gives its peer no more window than it has.
    asker.pause()
    asker.send(Uint8Array.of(1))
    await asker.close()
    const served = serve(await answerer, { maxBytes, clock }, async () => new Uint8Array(4 * 1024 * 1024))
    await until(() => asker.readBufferLength >= 200 * 1024, 'the window is full')
    await clock.pass(30_001)
    assert.equal((await within(served, 'serve ends')).outcome, 'failed')
    assert.equal((await answerer).writeBufferLength, 0)
  } finally {
    await close()
  }
})

test('a connection lost in the middle of a text is never taken for its end', async () => {
  const { asker, answerer, close } = await realPair()
  try {
    let asked = 0
    const inbound = await answerer
    const served = serve(inbound, { maxBytes }, async () => {
      asked++
      return null
    })
    asker.send(new TextEncoder().encode('12'))
    await until(() => inbound.listenerCount('message') > 0, 'reading')
    await close()
    assert.equal((await within<ServeResult>(served, 'serve ends')).outcome, 'failed')
    assert.equal(asked, 0)
  } finally {
    await close()
  }
})

test('1,000 half-open streams are bounded, reset in time, and do not keep an honest exchange waiting', async () => {
  const clock = virtualClock()
  const [server, stranger, honest] = await Promise.all([realHost(), realHost(), realHost()])
  try {
    let open = 0
    let mostOpen = 0
    await server.handle(
      '/half-open',
      async (stream) => {
        mostOpen = Math.max(mostOpen, ++open)
        await serve(stream, { maxBytes, clock }, echo)
        open--
      },
      { maxInboundStreams: 32 },
    )
    const [address] = server.getMultiaddrs()
    assert.ok(address)
    const connection = await stranger.dial(address)
    let opened = 0
    let refused = 0
    // libp2p drops a connection that opens more than ten streams before the listener has it up.
    await until(() => server.getConnections().length === 1, 'the connection')
    for (let batch = 0; batch < 20; batch++) {
      await Promise.all(
        Array.from({ length: 50 }, async () => {
          try {
            const stream = await connection.newStream('/half-open', { maxOutboundStreams: 2_000 })
            stream.send(Uint8Array.of(0x7b))
            opened++
          } catch {
            refused++
          }
        }),
      )
    }
    assert.equal(opened + refused, 1_000)
    await until(() => open === 32, 'as many as are allowed')
    assert.equal(mostOpen, 32)
    const honestStream = await honest.dialProtocol(address, '/half-open')
    const answer = await within(request(honestStream, Uint8Array.of(1, 2), { maxBytes }), 'the honest answer')
    assert.deepEqual(answer, Uint8Array.of(1, 2))
    await clock.pass(10_001)
    await until(() => open === 0, 'all are reset')
  } finally {
    await Promise.all([server.stop(), stranger.stop(), honest.stop()])
  }
})

async function realPair(): Promise<{ asker: Stream; answerer: Promise<Stream>; close: () => Promise<void> }> {
  const [left, right] = await Promise.all([realHost(), realHost()])
  const accepted = Promise.withResolvers<Stream>()
  await right.handle('/pair', async (stream) => accepted.resolve(stream))
  const [address] = right.getMultiaddrs()
  assert.ok(address)
  const asker = await left.dialProtocol(address, '/pair')
  return {
    asker,
    answerer: accepted.promise,
    close: async () => {
      await Promise.all([left.stop(), right.stop()])
    },
  }
}
