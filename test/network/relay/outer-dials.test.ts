import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Transport, Upgrader } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { OuterDials } from '../../../src/network/relay/outer-dials.ts'
import { virtualClock } from '../../../src/testing/virtual-clock.ts'

const [own, other] = await Promise.all(
  [1, 2].map(async () => peerIdFromPrivateKey(await generateKeyPair('Ed25519'))),
)
assert.ok(own !== undefined && other !== undefined)
const outer = `/tcp/9/tcp/9/p2p/${other.toString()}`

/** That two of them meet is shown in test/lab. */
for (const [what, seen, address, isDialled] of [
  ['nothing is known of the NAT', [], `/ip4/20.3.4.5${outer}`, true],
  ['the NAT keeps ports', [[2001, '/ip4/20.9.9.9/tcp/2001']], `/ip4/20.3.4.5${outer}`, true],
  ['the NAT does not keep ports', [[2001, '/ip4/20.9.9.9/tcp/40000']], `/ip4/20.3.4.5${outer}`, false],
  [
    'the NAT of the other IP version does not keep ports',
    [[2001, '/ip4/20.9.9.9/tcp/40000']],
    `/ip6/2a02:1::5${outer}`,
    true,
  ],
  [
    'one of two NATs keeps ports',
    [
      [2001, '/ip4/20.9.9.9/tcp/40000'],
      [2002, '/ip4/20.8.8.8/tcp/2002'],
    ],
    `/ip4/20.3.4.5${outer}`,
    true,
  ],
] as const) {
  test(`${what}: an outer address is ${isDialled ? '' : 'not '}dialled`, async () => {
    const ports = seen.map(([port, seenAs]) => ({ port, seenAs: multiaddr(seenAs) }))
    const dials = new OuterDials(virtualClock(), () => ports)
    await dials.start()
    const dialled: string[] = []
    const tcp = {
      dial: async (to: unknown) => {
        dialled.push(String(to))
        return new Promise(() => {})
      },
    } as unknown as Transport
    const components = { peerId: own, connectionManager: { getConnections: () => [] } }
    const called = new AbortController()
    const dial = dials
      .transport(() => tcp)(components)
      .dial(multiaddr(address), { upgrader: {} as Upgrader, signal: called.signal })
    const failed = assert.rejects(dial, isDialled ? /called off/u : /does not keep its ports/u)
    await new Promise((resolve) => setImmediate(resolve))
    called.abort(new Error('called off'))
    await failed
    assert.equal(dialled.length, isDialled ? 1 : 0)
  })
}
