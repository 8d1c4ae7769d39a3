import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { Connection, Stream } from '@libp2p/interface'
import type { Libp2p } from 'libp2p'
import * as v from 'valibot'
import type { Device } from '../../../src/api.ts'
import { defineProtocol } from '../../../src/network/application/application-protocols.ts'
import { ProtocolRegistry } from '../../../src/network/application/protocol-registry.ts'
import { request, serve } from '../../../src/network/request-response.ts'
import { realHost, until, within } from '../real-hosts.ts'
import type { PairKey } from '../../../src/network/session/session-hello.ts'
import type { PeerId } from '../../../src/pairing/peer-id.ts'
import { peerIdOf } from '../../../src/libp2p-peer.ts'

const server = await realHost()
const friend = await realHost()
const stranger = await realHost()
after(() => Promise.all([server.stop(), friend.stop(), stranger.stop()]))

const laptop = { id: 'laptop', name: 'laptop' } as Device
const isFriend = (peer: PeerId): boolean => peer === peerIdOf(friend.peerId)
const keysOf = (peer: PeerId): PairKey[] =>
  isFriend(peer) ? [{ key: new Uint8Array(32), slot: 'settled' }] : []
const trusted = (peer: PeerId): Device | undefined => (isFriend(peer) ? laptop : undefined)
const registry = new ProtocolRegistry({
  host: server,
  trust: { keysOf },
})
registry.serveTo({ trusted })
const notes = defineProtocol({
  name: 'notes',
  version: 1,
  request: v.object({ text: v.string() }),
  response: v.object({ from: v.string(), length: v.number() }),
  handler: ({ text }, { device }) => {
    if (text === 'fail') throw new Error('no paper')
    return { from: device.name, length: text.length }
  },
})
const maxBytes = 1024 * 1024

test('an unpaired peer that opens a protocol for paired devices is refused before any payload byte is read', async () => {
  let handled = 0
  let touched = 0
  // Between libp2p and the gate, every stream is watched for somebody who reads it.
  const gate = new ProtocolRegistry({
    host: {
      ...server,
      handle: (protocol, handler, options) =>
        server.handle(
          protocol,
          (stream, connection) => {
            const add = stream.addEventListener.bind(stream)
            stream.addEventListener = ((type: string, ...rest: unknown[]) => {
              if (type === 'message') touched++
              return (add as (...all: unknown[]) => void)(type, ...rest)
            }) as Stream['addEventListener']
            return handler(stream, connection)
          },
          options,
        ),
      unhandle: (protocol) => server.unhandle(protocol),
    },
    trust: { keysOf },
  })
  gate.serveTo({ trusted })
  gate.attach({ protocol: '/test/gated', access: 'paired', handle: async () => void handled++ })
  const stopNotes = gate.register({ ...notes, name: 'gated' })
  await gate.settled()
  for (const protocol of ['/test/gated', '/spacedock/app/gated/1.0.0']) {
    const stream = await openStream(stranger, protocol)
    await assert.rejects(request(stream, json({ text: 'hi' }), { maxBytes }), { code: 'interrupted' })
  }
  assert.equal(handled, 0)
  assert.equal(touched, 0)
  // The same way in, for a paired device, does read.
  const stream = await openStream(friend, '/spacedock/app/gated/1.0.0')
  await request(stream, json({ text: 'hi' }), { maxBytes })
  assert.equal(touched, 1)
  stopNotes()
  await gate.close()
})

test('a protocol may say why it refuses, and may be open to strangers', async () => {
  const refused: string[] = []
  const detachers = [
    registry.attach({
      protocol: '/test/explains',
      access: 'paired',
      handle: async () => {},
      refuse: async (stream, connection) => {
        refused.push(connection.remotePeer.toString())
        await stream.close()
      },
    }),
    registry.attach({
      protocol: '/test/open',
      access: 'strangers',
      handle: async (stream) => void (await serve(stream, { maxBytes }, async (question) => question)),
    }),
  ]
  await registry.settled()
  const explained = await openStream(stranger, '/test/explains')
  assert.deepEqual(await request(explained, json(1), { maxBytes }), new Uint8Array(0))
  assert.deepEqual(refused, [stranger.peerId.toString()])
  for (const host of [stranger, friend]) {
    const stream = await openStream(host, '/test/open')
    assert.deepEqual(await request(stream, json('hi'), { maxBytes }), json('hi'))
  }
  for (const detach of detachers) detach()
  await registry.settled()
})

test('an application protocol is reached as a libp2p protocol of its own, one JSON text each way', async () => {
  const stop = registry.register(notes)
  await registry.settled()
  const table: [question: Uint8Array, answer: RegExp][] = [
    [json({ text: 'hello' }), /^\{"value":\{"from":"laptop","length":5\}\}$/],
    [json({ text: 5 }), /^\{"error":\{"code":"invalid-message","message":".* at text.*"\}\}$/],
    [json({ text: 'fail' }), /^\{"error":\{"code":"remote-failure","message":"no paper"\}\}$/],
    [new TextEncoder().encode('{"text":'), /^\{"error":\{"code":"invalid-message"/],
  ]
  for (const [question, expected] of table) {
    const stream = await openStream(friend, '/spacedock/app/notes/1.0.0')
    const answer = await request(stream, question, { maxBytes })
    assert.match(new TextDecoder().decode(answer), expected)
  }
  stop()
  await registry.settled()
  await assert.rejects(openStream(friend, '/spacedock/app/notes/1.0.0'))
})

test('a handler that throws resets its stream and nothing else', async () => {
  const detach = registry.attach({
    protocol: '/test/throws',
    access: 'strangers',
    handle: () => Promise.reject(new Error('a defect')),
  })
  await registry.settled()
  const stream = await openStream(stranger, '/test/throws')
  await until(() => stream.status === 'reset', 'the reset')
  assert.equal(server.getConnections(stranger.peerId).length > 0, true)
  detach()
  await registry.settled()
})

test('a protocol is attached once', async () => {
  const definition = { protocol: '/test/once', access: 'strangers', handle: async () => {} } as const
  const detach = registry.attach(definition)
  assert.throws(() => registry.attach(definition), { code: 'invalid-argument' })
  detach()
  registry.attach(definition)()
  await registry.settled()
})

test('when strangers hold very many streams the oldest is reset, not the honest newcomer', async () => {
  const opened: { stream: FakeStream; finish: () => void }[] = []
  let receive: ((stream: Stream, connection: Connection) => void | Promise<void>) | undefined
  const crowded = new ProtocolRegistry({
    host: { handle: async (_protocol, handler) => void (receive = handler), unhandle: async () => {} },
    trust: { keysOf: () => [] },
  })
  crowded.attach({
    protocol: '/test/crowd',
    access: 'strangers',
    handle: (stream) =>
      new Promise<void>((resolve) =>
        opened.push({ stream: stream as unknown as FakeStream, finish: resolve }),
      ),
  })
  const connection = { remotePeer: stranger.peerId } as Connection
  const handled: unknown[] = []
  for (let index = 0; index < 1_100; index++)
    handled.push(receive?.(new FakeStream() as unknown as Stream, connection))
  const reset = opened.filter(({ stream }) => stream.aborted)
  assert.equal(reset.length, 1_100 - 1_024)
  assert.deepEqual(reset, opened.slice(0, reset.length))
  for (const { finish } of opened) finish()
  await Promise.all(handled)
})

test('closing ends what is being served', async () => {
  const closing = new ProtocolRegistry({ host: server, trust: { keysOf } })
  const ended = Promise.withResolvers<void>()
  closing.attach({
    protocol: '/test/closing',
    access: 'paired',
    handle: async (stream, _connection, { signal }) => {
      await serve(stream, { maxBytes, signal }, () => new Promise(() => {}))
      ended.resolve()
    },
  })
  await closing.settled()
  const stream = await openStream(friend, '/test/closing')
  const answer = assert.rejects(request(stream, json(1), { maxBytes }), { code: 'interrupted' })
  await until(
    () => server.getConnections(friend.peerId).some(({ streams }) => streams.length > 0),
    'the stream',
  )
  await closing.close()
  await within(ended.promise, 'the end')
  await answer
})

class FakeStream {
  aborted = false
  abort(): void {
    this.aborted = true
  }
}

async function openStream(host: Libp2p, protocol: string): Promise<Stream> {
  const [address] = server.getMultiaddrs()
  assert.ok(address)
  return host.dialProtocol(address, protocol)
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}
