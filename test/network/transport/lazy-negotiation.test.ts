import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import type { Stream } from '@libp2p/interface'
import { byteStream, multiaddrConnectionPair } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import fc from 'fast-check'
import { createHost } from '../../../src/network/host/create-host.ts'
import { streamMuxer } from '../../../src/network/transport/stream-muxer.ts'
import { turns } from '../../../src/testing/virtual-clock.ts'
import { until, within } from '../real-hosts.ts'
import { asPeer } from '../../peers.ts'

const served = { registrar: { getProtocols: () => ['/notes/1'] } }
const header = '\u0013/multistream/1.0.0\n'

/** A stream that was opened lazily for `/notes/1`, and its other end, at which nobody negotiates. */
async function openLazily(): Promise<{ opened: Stream; other: Stream; received: () => string }> {
  const [outbound, inbound] = multiaddrConnectionPair()
  const factory = streamMuxer({ enableKeepAlive: false })(served)
  const client = factory.createStreamMuxer(outbound)
  const server = factory.createStreamMuxer(inbound)
  const arrived = once(server, 'stream')
  const opened = await client.createStream({ protocol: '/notes/1' })
  const [event] = (await within(arrived, 'the stream at the other end')) as [CustomEvent<Stream>]
  let text = ''
  opened.addEventListener('message', ({ data }) => {
    text += Buffer.from(data.subarray()).toString('latin1')
  })
  return { opened, other: event.detail, received: () => text }
}

test('the consent is there before the other side has said a word, and what it then sends follows it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ maxLength: 300 }).map((text) => Buffer.from(text).toString('latin1')),
      fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 10 }),
      async (data, cuts) => {
        const { other, received } = await openLazily()
        const consent = `${header}\u0009/notes/1\n`
        await until(() => received() === consent, 'the consent')
        let rest = Buffer.from(consent + data, 'latin1')
        for (const cut of [...cuts, rest.length]) {
          if (rest.length > 0) other.send(rest.subarray(0, cut))
          rest = rest.subarray(cut)
        }
        await until(() => received() === consent + data, 'what was sent, once and whole')
      },
    ),
    { numRuns: 50 },
  )
})

test('a refusal ends the stream, with an error that says what was refused', async () => {
  for (const answer of [`${header}\u0003na\n`, 'something else', `${header}\u0009/notes/2\n`]) {
    const { opened, other } = await openLazily()
    const closed = once(opened, 'close') as Promise<[Event & { error?: Error }]>
    other.send(Buffer.from(answer, 'latin1'))
    const [{ error }] = await within(closed, 'the end of the stream')
    assert.equal(error?.name, 'UnsupportedProtocolError')
    assert.match(error?.message ?? '', /does not speak \/notes\/1/)
  }
})

test('a question that comes together with its proposal and its end is read to the end', async () => {
  const [outbound, inbound] = multiaddrConnectionPair()
  const client = streamMuxer({ enableKeepAlive: false })(served).createStreamMuxer(outbound)
  const server = streamMuxer({ enableKeepAlive: false })(served).createStreamMuxer(inbound)
  const arrived = once(server, 'stream')
  const asker = await client.createStream()
  asker.send(Buffer.from(`${header}\u0009/notes/1\nthe question`, 'latin1'))
  await asker.close()
  const [{ detail: stream }] = (await within(arrived, 'the stream')) as [CustomEvent<Stream>]
  const ended = once(stream, 'remoteCloseWrite')
  // A busy machine begins to negotiate when all has arrived.
  await turns()
  const negotiation = byteStream(stream)
  await negotiation.read({ bytes: header.length + 10 })
  negotiation.unwrap()
  stream.protocol = '/notes/1'
  let question = ''
  stream.addEventListener('message', ({ data }) => {
    question += Buffer.from(data.subarray()).toString()
  })
  await within(ended, 'the end')
  await until(() => question === 'the question' && stream.readableEnded, 'all of the question, and its end')
})

test('a dialler sends its first Noise message to a listener that has said nothing', async () => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const host = await createHost({
    seed: new Uint8Array(32).fill(7),
    port: 0,
    interfaces: ['lo'],
    agent: 'test',
  })
  const connected = once(server, 'connection') as Promise<[Socket]>
  const calledOff = new AbortController()
  const dial = host.dial(stranger, [multiaddr(`/ip4/127.0.0.1/tcp/${address.port}`)], calledOff)
  dial.catch(() => {})
  const [socket] = await within(connected, 'the dial')
  try {
    let bytes = Buffer.alloc(0)
    socket.on('data', (data) => (bytes = Buffer.concat([bytes, data])))
    const proposal = `${header}\u0007/noise\n`
    // Noise XX begins with 32 bytes, behind two bytes of length (libp2p's noise specification, "Wire Format").
    await until(() => bytes.length >= proposal.length + 34, 'the proposal and the first message')
    assert.equal(bytes.subarray(0, proposal.length).toString('latin1'), proposal)
  } finally {
    calledOff.abort(new Error('the test is over'))
    socket.destroy()
    server.close()
    await host.stop()
  }
})

const stranger = asPeer('12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN')
