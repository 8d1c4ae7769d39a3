import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { createHost } from '../../../src/network/host/create-host.ts'
import { realHost, within } from '../real-hosts.ts'
import { peerIdOf } from '../../../src/libp2p-peer.ts'

const loopback = [process.platform === 'darwin' ? 'lo0' : 'lo']
const signal = (): AbortSignal => AbortSignal.timeout(10_000)

const keys = {
  Ed25519: () => generateKeyPair('Ed25519'),
  secp256k1: () => generateKeyPair('secp256k1'),
  RSA: () => generateKeyPair('RSA', 2048),
}

for (const [type, generate] of Object.entries(keys)) {
  test(`a peer with an identity key of type ${type} is connected, whoever dials`, async (context) => {
    const [device, peer] = await Promise.all([
      createHost({ seed: randomBytes(32), port: 0, interfaces: loopback, agent: 'test' }),
      realHost(await generate()),
    ])
    context.after(() => Promise.all([device.stop(), peer.stop()]))
    const theirs = peer.getMultiaddrs()
    const name = peerIdOf(peer.peerId)
    const outbound = await within(device.dial(name, theirs, { signal: signal() }), 'the device dials')
    assert.equal(outbound.remotePeer.toString(), name)
    await outbound.close()
    const ours = device.addresses().filter((address) => address.toString().startsWith('/ip4/'))
    const inbound = await within(peer.dial(ours, { signal: signal() }), 'the peer dials')
    assert.equal(inbound.remotePeer.toString(), device.peerId)
    const stream = await within(inbound.newStream('/ipfs/ping/1.0.0', { signal: signal() }), 'a stream')
    assert.equal(stream.protocol, '/ipfs/ping/1.0.0')
    assert.equal(device.libp2p.getConnections(peer.peerId)[0]?.remotePeer.toString(), name)
  })
}

test('js-libp2p has no peer id for an ECDSA key, so there is no promise to keep', async () => {
  const key = await generateKeyPair('ECDSA', 'P-256')
  await assert.rejects(realHost(key), { name: 'UnsupportedKeyTypeError' })
})
