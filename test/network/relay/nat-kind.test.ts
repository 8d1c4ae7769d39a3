import assert from 'node:assert/strict'
import { test } from 'node:test'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { ownEnds } from '../../../src/network/relay/nat-kind.ts'

const nat = '/ip4/20.3.4.5'
const nodes = ['/ip4/20.9.9.1/tcp/4111', '/ip4/20.9.9.2/tcp/4111']

/** What a NAT does with a port of the device, by where it is dialled to. */
type Mapping = (port: number, to: string) => number

const kinds: Record<'keeping' | 'endpoint-independent' | 'counting' | 'random', () => Mapping> = {
  keeping: () => (port) => port,
  'endpoint-independent': () => (port) => 50_000 + port,
  counting: () => {
    let next = 40_000
    return () => next++
  },
  random: () => {
    const numbers = [61_234, 5_022, 33_333, 48_000, 9_999, 27_182]
    return () => numbers.shift() ?? 0
  },
}

for (const [kind, nodesKnown, expected] of [
  ['keeping', 1, [{ host: nat, ports: [101, 102, 103, 104, 105, 106, 107, 108], kind: 'certain' }]],
  ['endpoint-independent', 2, [{ host: nat, ports: [50_001], kind: 'certain' }]],
  ['counting', 1, [{ host: nat, ports: [40_003, 40_004, 40_005, 40_006], kind: 'counted' }]],
  ['counting', 2, [{ host: nat, ports: [40_004, 40_005, 40_006, 40_007], kind: 'counted' }]],
  ['random', 2, []],
  ['random', 1, [{ host: nat, ports: [61_234], kind: 'unproven' }]],
] as const) {
  test(`a NAT of this kind, as ${nodesKnown} nodes show it: ${kind}`, async () => {
    const { found, probes } = await look(kinds[kind](), nodesKnown)
    assert.deepEqual(
      found.map(({ end }) => end),
      expected,
    )
    assert.equal(probes, kind === 'keeping' ? 0 : 2)
  })
}

test('a port that has one number everywhere is dialled from itself, and one that is counted from a fresh one', async () => {
  const everywhere = await look(kinds['endpoint-independent'](), 2)
  assert.deepEqual(everywhere.found[0]?.localPorts, [1])
  const counted = await look(kinds.counting(), 2)
  assert.deepEqual(counted.found[0]?.localPorts, [103])
})

test('probes that are not answered, or are seen at another address, show nothing', async () => {
  assert.deepEqual((await look(kinds.counting(), 1, { answers: false })).found, [])
  assert.deepEqual((await look(kinds.counting(), 1, { probedAt: '/ip4/20.3.4.6' })).found, [])
})

test('numbers end where ports do', async () => {
  let next = 65_530
  const { found } = await look(() => next++, 1)
  assert.deepEqual(found[0]?.end.ports, [65_533, 65_534, 65_535])
})

async function look(mapping: Mapping, nodesKnown: number, { answers = true, probedAt = nat } = {}) {
  let fresh = 101
  let probes = 0
  const seen = nodes.slice(0, nodesKnown).map((node, index) => ({
    port: index + 1,
    seenAs: multiaddr(`${nat}/tcp/${mapping(index + 1, node)}`),
    seenBy: multiaddr(node),
  }))
  const found = await ownEnds(seen, {
    freshPort: async () => fresh++,
    observe: async (port: number, to: Multiaddr) => {
      probes++
      return answers ? multiaddr(`${probedAt}/tcp/${mapping(port, to.toString())}`) : null
    },
    signal: AbortSignal.timeout(10_000),
  })
  return { found, probes }
}
