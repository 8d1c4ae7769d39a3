import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { Libp2p, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { SpacedockNode } from '../../src/api.ts'
import { encodeFrames, type Frame } from '../../src/network/session/frames.ts'
import { FrameParser } from '../../src/network/session/frame-parser.ts'
import { sessionProtocol } from '../../src/network/session/session.ts'
import { openStore } from '../../src/store/store.ts'
import { foreignHost, within } from '../network/real-hosts.ts'
import { TestNodes } from './nodes.ts'

const newer = 'The other device speaks versions 2, 3 of Spacedock’s protocol, and this one version 1.'

test('when the other program is too new, the person is told so, whoever dials', async () => {
  await using nodes = new TestNodes()
  const dataDir = await nodes.directory()
  const [alice, bob] = await Promise.all([nodes.make('alice'), nodes.make('bob', { dataDir })])
  const invitation = await alice.pair()
  await bob.join(invitation.words, { peers: alice.status().listen })
  const { id } = await invitation.paired
  await bob.close()

  const updated = await updatedDevice(dataDir)
  try {
    const [address = ''] = alice.status().listen
    const connection = await updated.dial(multiaddr(address))
    const stream = await connection.newStream(sessionProtocol)
    const answer = nextFrame(stream)
    stream.send(frame('dialerHello', Uint8Array.of(3, 1, 2)))
    assert.deepEqual([...(await within(answer, 'an answer')).payload], [1])
    stream.send(frame('otherVersion', Uint8Array.of(3, 2)))
    await untilFailure(alice, id, newer)

    // Its own dial, over the same connection, hears the same.
    await updated.handle(sessionProtocol, (asked) => void refuse(asked))
    const expected = 'The other device speaks version 4 of Spacedock’s protocol, and this one version 1.'
    await untilFailure(alice, id, expected)
  } finally {
    await updated.stop()
  }
})

test('a device that serves the session in another version only is shown as such', async () => {
  await using nodes = new TestNodes()
  const dataDir = await nodes.directory()
  const [alice, bob] = await Promise.all([nodes.make('alice'), nodes.make('bob', { dataDir })])
  const invitation = await alice.pair()
  await bob.join(invitation.words, { peers: alice.status().listen })
  const { id } = await invitation.paired
  await bob.close()
  const updated = await updatedDevice(dataDir)
  try {
    await updated.handle('/spacedock/session/2.0.0', (stream) => stream.abort(new Error('not for us')))
    await updated.dial(multiaddr(alice.status().listen[0] ?? ''))
    const expected = 'The other device speaks version 2 of Spacedock’s protocol, and this one version 1.'
    await untilFailure(alice, id, expected)
    assert.equal(alice.device(id).lastFailure?.code, 'other-version')
    assert.match(alice.device(id).lastFailure?.hint ?? '', /on this device/u)
  } finally {
    await updated.stop()
  }
})

/** The libp2p host of a device, in the hands of the test. */
async function updatedDevice(dataDir: string): Promise<Libp2p> {
  const store = openStore({ dataDir })
  const { seed } = store.identity
  store.close()
  return foreignHost(await generateKeyPairFromSeed('Ed25519', seed))
}

async function untilFailure(node: SpacedockNode, id: string, message: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const look = (): void => {
    const { lastFailure } = node.devices().find((device) => device.id === id) ?? {}
    if (lastFailure?.message === message) resolve()
  }
  node.addEventListener('device:updated', look)
  look()
  await within(promise, message, 30_000)
}

async function refuse(stream: Stream): Promise<void> {
  const answer = nextFrame(stream)
  stream.send(frame('otherVersion', Uint8Array.of(4)))
  await answer.catch(() => {})
  await stream.close()
}

function nextFrame(stream: Stream): Promise<Frame> {
  const parser = new FrameParser()
  return new Promise((resolve) => {
    stream.addEventListener('message', ({ data }) => {
      parser.push(data.subarray())
      const next = parser.next()
      if (next !== undefined) resolve(next)
    })
  })
}

function frame(type: Frame['type'], payload: Uint8Array): Uint8Array {
  return encodeFrames([{ type, more: false, channel: 0, payload }])
}
