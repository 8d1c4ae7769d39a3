import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import type { MultiaddrConnection, Stream, Upgrader } from '@libp2p/interface'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { createHost } from '../../../src/network/host/create-host.ts'
import { limitUpgrades } from '../../../src/network/transport/negotiation-limit.ts'
import { streamMuxer } from '../../../src/network/transport/stream-muxer.ts'
import { until, within } from '../real-hosts.ts'

const header = '\u0013/multistream/1.0.0\n'
const notes = '\u0009/notes/1\n'
const unknown = '\u0009/other/1\n'

/** An inbound stream of a host that serves `/notes/1`, on which these bytes come in. */
async function inbound(bytes: string): Promise<{ stream: Stream; received: () => string }> {
  const served = { registrar: { getProtocols: () => ['/notes/1'] } }
  const [near, far] = multiaddrConnectionPair()
  const factory = streamMuxer({ enableKeepAlive: false })(served)
  const client = factory.createStreamMuxer(near)
  const arrived = once(factory.createStreamMuxer(far), 'stream')
  const opened = await client.createStream()
  opened.send(Buffer.from(bytes))
  const [{ detail: stream }] = (await within(arrived, 'the stream')) as [CustomEvent<Stream>]
  let text = ''
  stream.addEventListener('message', ({ data }) => (text += Buffer.from(data.subarray()).toString()))
  return { stream, received: () => text }
}

for (const [what, bytes] of [
  ['asks for all protocols', `${header}\u0003ls\n`],
  ['repeats the header', header.repeat(10)],
  ['proposes nine unknown protocols', header + unknown.repeat(9)],
] as const) {
  test(`a stream that ${what} is reset, and libp2p reads nothing of it`, async () => {
    const { stream, received } = await inbound(bytes)
    await until(() => stream.status === 'aborted', 'the end of the stream')
    assert.equal(received(), '')
  })
}

test('a stream with eight unknown proposals before one that is served goes on, whatever follows', async () => {
  const bytes = header + unknown.repeat(8) + notes + unknown.repeat(9) + '\u0003ls\n'
  const { stream, received } = await inbound(bytes)
  await until(() => received() === bytes, 'all of it')
  assert.equal(stream.status, 'open')
})

test('an inbound connection is closed for the same, before it is encrypted', async () => {
  const host = await createHost({
    seed: new Uint8Array(32).fill(7),
    port: 0,
    interfaces: ['lo'],
    agent: 'test',
  })
  try {
    for (const [bytes, consent] of [
      [header + unknown.repeat(400), false],
      [`${header}\u0003ls\n`, false],
      [`${header}${unknown}\u0007/noise\n`, true],
    ] as const) {
      const socket = connect(Number(host.listeningPort()), '127.0.0.1')
      let answer = ''
      let isClosed = false
      socket.on('data', (data) => (answer += data.toString()))
      socket.on('error', () => {})
      socket.on('close', () => (isClosed = true))
      socket.write(bytes)
      await until(() => isClosed || answer.includes('/noise\n'), 'an answer')
      assert.equal(isClosed, !consent)
      assert.equal(answer, consent ? `${header}\u0003na\n\u0007/noise\n` : '')
      socket.destroy()
    }
  } finally {
    await host.stop()
  }
})

/** An upgrader whose encryption leaves everything as it is, and agrees on a muxer or does not. */
function plainUpgrader(streamMuxer: object | undefined): {
  upgrader: Upgrader
  secure: (connection: MultiaddrConnection) => Promise<unknown>
} {
  const encrypter = {
    secureInbound: (connection: MultiaddrConnection) => Promise.resolve({ connection, streamMuxer }),
  }
  const upgrader = {
    upgradeInbound: () => Promise.resolve(),
    getConnectionEncrypters: () => new Map([['/plain', encrypter]]),
    getStreamMuxers: () => new Map([['/notes/1', {}]]),
  }
  return {
    upgrader: upgrader as unknown as Upgrader,
    secure: (connection) => encrypter.secureInbound(connection),
  }
}

test('an inbound connection is closed for the same where it is encrypted, but for what is no negotiation', async () => {
  for (const [streamMuxer, bytes, isAdmitted] of [
    [undefined, header + unknown.repeat(9), false],
    [undefined, header + notes + unknown.repeat(9), true],
    [{}, header + unknown.repeat(9), true],
  ] as const) {
    // Some of it comes together with the end of the handshake.
    for (const early of [0, 25]) {
      const { upgrader, secure } = plainUpgrader(streamMuxer)
      limitUpgrades()({ upgrader })
      const [near, far] = multiaddrConnectionPair()
      near.send(Buffer.from(bytes.slice(0, early)))
      const { readBuffer } = far as typeof far & { readBuffer: { byteLength: number } }
      await until(() => readBuffer.byteLength === early, 'the early bytes')
      await secure(far)
      let received = ''
      far.addEventListener('message', ({ data }) => (received += Buffer.from(data.subarray()).toString()))
      near.send(Buffer.from(bytes.slice(early)))
      await until(() => far.status === 'aborted' || received === bytes, 'the end, or all of it')
      assert.equal(far.status === 'aborted', !isAdmitted)
    }
  }
})
