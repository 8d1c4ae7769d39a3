import assert from 'node:assert/strict'
import { test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { filterAddresses } from '../../../src/network/addresses/address-filter.ts'
import {
  formatVeiledAddress,
  isVeiled,
  parseVeiledAddress,
} from '../../../src/network/addresses/veiled-address.ts'
import { asPeer } from '../../peers.ts'

const relay = '12D3KooWMLx6mDbYC2v9vbJFxDBk9ttz4cVPeHiCAtDuai4toMzE'
const throwaway = '12D3KooWB7QNvD7J8mH981rY8mAesoqGz8iDZGMwS2s1TVTTeFjA'
const device = asPeer('12D3KooWDVxrfgR4DQ1u6MkdAaXFTNyJvs9iwuGm228CaenBgxbz')
const circuit = multiaddr(`/ip4/20.3.4.5/tcp/4001/p2p/${relay}/p2p-circuit/p2p/${throwaway}`)
const key = Uint8Array.from({ length: 32 }, (_, index) => index)
const veiled = formatVeiledAddress({ circuit, key })

test('a veiled address says where, and the key, with and without whose it is', () => {
  assert.equal(veiled, `${String(circuit)}/certhash/uACAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw`)
  for (const [text, peer] of [
    [veiled, null],
    [`${veiled}/p2p/${device}`, device],
  ] as const) {
    const parsed = parseVeiledAddress(multiaddr(text))
    assert.deepEqual(parsed && { ...parsed, circuit: String(parsed.circuit) }, {
      circuit: String(circuit),
      key,
      peer,
    })
    assert.ok(isVeiled(multiaddr(text)))
  }
})

test('what is like one and none is told apart', () => {
  const others = [
    String(circuit),
    '/ip4/20.3.4.5/tcp/4001',
    // another kind of hash, and one that is too short
    `${String(circuit)}/certhash/uEiAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw`,
    `${String(circuit)}/certhash/uAAQAAQID`,
    `/ip4/20.3.4.5/udp/4001/quic-v1/p2p/${relay}/p2p-circuit/p2p/${throwaway}/certhash/uACAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw`,
  ]
  for (const text of others) assert.equal(parseVeiledAddress(multiaddr(text)), null, text)
})

test('one in a record is kept, and one whose relay is nowhere is not', () => {
  const options = { peer: device, allowLoopback: false }
  assert.deepEqual(filterAddresses([veiled], options), [veiled])
  assert.deepEqual(filterAddresses([veiled.replace('20.3.4.5', '169.254.169.254')], options), [])
})
