import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ContradictableSettings, findContradiction } from '../src/contradictions.ts'
import { checkNodeOptions } from '../src/node/node-options.ts'

const node = '/ip4/20.3.4.5/tcp/4111/p2p/12D3KooWRR24oqVMCR6qrQPpsRy4JqhUBSUTZaQHdFVmk7KXr22t'

const contradicting: ContradictableSettings[] = [
  { lanOnly: true, rendezvous: [node] },
  { lanOnly: true, dht: 'public' },
  { lanOnly: true, portMapping: true },
  { dhtBootstrap: [node] },
  { dhtBootstrap: [node], dht: 'private' },
  { port: 4001, metricsPort: 4001 },
  { rendezvous: ['none', node] },
  { announce: [node, 'none'] },
  { interfaces: ['all', 'eth0'] },
]

const consistent: ContradictableSettings[] = [
  {},
  { lanOnly: true, rendezvous: ['none'] },
  { lanOnly: true, portMapping: false, dht: 'private', announce: ['/ip4/192.168.1.2/tcp/4001'] },
  { lanOnly: false, rendezvous: [node], dht: 'public', dhtBootstrap: [node], portMapping: true },
  { port: 0, metricsPort: 0 },
  { port: 4001, metricsPort: 4002 },
  { interfaces: ['all'], announce: ['none'] },
]

test('settings of which one makes another one useless are found, and no others', () => {
  for (const given of contradicting) assert.notEqual(findContradiction(given), null, JSON.stringify(given))
  for (const given of consistent) assert.equal(findContradiction(given), null, JSON.stringify(given))
})

test('the library tells of them in the log, and goes on', () => {
  const logged: unknown[] = []
  checkNodeOptions({
    dataDir: '/nowhere',
    lanOnly: true,
    dht: 'public',
    log: (level, event, fields) => logged.push([level, event, fields]),
  })
  const why = 'the local network alone has no DHT'
  assert.deepEqual(logged, [['warn', 'node.settings-contradict', { settings: ['lanOnly', 'dht'], why }]])
})
