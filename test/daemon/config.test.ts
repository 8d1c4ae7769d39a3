import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mergeConfig, sameConfig, type DaemonConfig } from '../../src/daemon/config.ts'

const one = '/ip4/203.0.113.5/tcp/4111/p2p/12D3KooWNvSZnPi3RrhrTwEY4LuuBeB6K6facKUCJcyWG1aoDd2p'

const rows: [what: string, kept: DaemonConfig, given: DaemonConfig, merged: DaemonConfig][] = [
  ['rendezvous nodes are kept', { rendezvous: [one] }, {}, { rendezvous: [one] }],
  ['"none" forgets them', { rendezvous: [one] }, { rendezvous: ['none'] }, {}],
  [
    'new ones take the place of old ones',
    { rendezvous: ['old'] },
    { rendezvous: [one] },
    { rendezvous: [one] },
  ],
  ['the local network alone is kept', { lanOnly: true }, {}, { lanOnly: true }],
  [
    'and goes before the nodes, which are kept',
    { rendezvous: [one] },
    { lanOnly: true },
    { rendezvous: [one], lanOnly: true },
  ],
  ['until nodes are named', { lanOnly: true }, { rendezvous: [one] }, { rendezvous: [one] }],
  ['or a DHT is', { lanOnly: true }, { dht: 'public' }, { dht: 'public' }],
  ['multicast DNS stays off', { mdns: false }, {}, { mdns: false }],
  ['and is on without a word', { mdns: false }, { mdns: true }, {}],
  ['the public DHT is kept', { dht: 'public' }, {}, { dht: 'public' }],
  ['the private one is what there is without a word', { dht: 'public' }, { dht: 'private' }, {}],
]

for (const [what, kept, given, merged] of rows) {
  test(`the daemon’s settings: ${what}`, () => {
    const result = mergeConfig(kept, given)
    assert.deepEqual(result, merged)
    assert.equal(sameConfig(result, kept), JSON.stringify(merged) === JSON.stringify(kept))
  })
}
