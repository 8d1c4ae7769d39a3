import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agree, pairsOf, type End, type OwnEnd } from '../../../src/network/relay/opening-agreement.ts'

const here = '/ip4/20.1.1.1'
const there = '/ip4/20.2.2.2'

function end(host: string, ports: number[], kind: End['kind'] = 'certain'): End {
  return { host, ports, kind }
}

function own(ports: number[], kind: End['kind'] = 'certain', localPorts = ports): OwnEnd {
  return { end: end(here, ports, kind), localPorts }
}

for (const [what, mine, theirs, most, expected] of [
  [
    'ports that are certain meet in pairs',
    own([1, 2, 3]),
    end(there, [11, 12, 13]),
    8,
    ['1-11', '2-12', '3-13'],
  ],
  ['no more pairs than are asked for', own([1, 2, 3]), end(there, [11, 12, 13]), 2, ['1-11', '2-12']],
  ['nor than the shorter list has', own([1, 2, 3]), end(there, [11]), 8, ['1-11']],
  ['a mapped port stands for another one', own([40_001], 'certain', [7]), end(there, [11, 12]), 8, ['7-11']],
  [
    'all numbers that a NAT that counts may give are dialled from one port, at which one dial of its device comes in',
    own([1, 2, 3]),
    end(there, [40_001, 40_002, 40_003, 40_004], 'counted'),
    1,
    ['1-40001', '1-40002', '1-40003', '1-40004'],
  ],
  [
    'behind one that counts, a single dial goes out',
    own([40_001, 40_002], 'counted', [7]),
    end(there, [11, 12, 13]),
    8,
    ['7-11'],
  ],
  [
    'where both count, the first dial gets the first number on both sides, and the second the second',
    own([40_001, 40_002], 'counted', [7]),
    end(there, [50_001, 50_002], 'counted'),
    1,
    ['7-50001', '7-50002'],
  ],
] as const) {
  test(what, () => {
    const pairs = pairsOf({ own: mine, theirs }, most)
    assert.deepEqual(
      pairs.map(({ port, address }) => `${port}-${address.replace(`${there}/tcp/`, '')}`),
      expected,
    )
  })
}

test('the two sides dial the same pairs of ports', () => {
  const one = own([1, 2, 3])
  const other = { end: end(there, [11, 12, 13]), localPorts: [11, 12, 13] }
  const dialled = pairsOf({ own: one, theirs: other.end }, 8)
  const awaited = pairsOf({ own: other, theirs: one.end }, 8)
  assert.deepEqual(
    dialled.map(({ port, address }) => `${here}/tcp/${port} ${address}`),
    awaited.map(({ port, address }) => `${address} ${there}/tcp/${port}`),
  )
})

test('ends of one IP version fit, whatever their place', () => {
  const six = { end: end('/ip6/2001:db8::1', [1]), localPorts: [1] }
  const theirs = [end('/ip4/169.254.169.254', [80]), end('/ip6/2001:db8::2', [2]), end(there, [3])]
  assert.equal(agree([six], theirs)?.yours, 1)
  assert.equal(agree([own([1])], theirs)?.yours, 2)
  assert.equal(agree([own([1])], theirs.slice(0, 2)), null)
})
