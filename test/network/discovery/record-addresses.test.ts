import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  RecordAddresses,
  type RecordAddressesOptions,
} from '../../../src/network/discovery/record-addresses.ts'
import type { PeerId } from '../../../src/pairing/peer-id.ts'
import { fakePeerId } from '../../threats/fake-peer-id.ts'

const peer = fakePeerId() as PeerId
const [ownRelay, otherRelay] = [fakePeerId(), fakePeerId()]
const own = `/dns4/meet.example.org/tcp/4111/p2p/${ownRelay}`
const over = (place: string, relay = otherRelay): string => `${place}/tcp/4001/p2p/${relay}/p2p-circuit`

function rules(options: Partial<RecordAddressesOptions> = {}): RecordAddresses {
  const names: Record<string, string[]> = {
    'inside.example.org': ['127.0.0.1', '192.168.1.1'],
    'outside.example.org': ['10.0.0.1', '20.3.4.9'],
  }
  return new RecordAddresses({
    ownRelays: [own],
    privateRelays: () => false,
    usesOnlyLoopback: () => false,
    lookUp: async (name) => names[name] ?? Promise.reject(new Error('no such name')),
    ...options,
  })
}

test('threat 45: a relay that this device does not know is dialled at public addresses, also where a name leads', async () => {
  const named = [
    over('/ip4/192.168.1.1'),
    over('/ip4/20.3.4.5'),
    over('/dns4/inside.example.org'),
    over('/dns4/outside.example.org'),
  ]
  assert.deepEqual(await rules().usable(named, peer), [over('/ip4/20.3.4.5'), over('/ip4/20.3.4.9')])
})

test('threat 45: an own relay is dialled where its person said, wherever a record says that it is', async () => {
  const named = [over('/ip4/192.168.1.1', ownRelay), over('/ip4/20.3.4.5', ownRelay)]
  assert.deepEqual(await rules().usable(named, peer), [`${own}/p2p-circuit`])
})

test('threat 45: of the relays in a record four are used, besides its direct addresses', async () => {
  const direct = '/ip4/192.168.1.7/tcp/9'
  const named = [direct, ...Array.from({ length: 11 }, (_, at) => over(`/ip4/20.3.4.${at}`))]
  const usable = await rules().usable(named, peer)
  assert.equal(usable.length, 5)
  assert.equal(usable[0], direct)
})

test('a device whose network is private, or this machine alone, uses relays there', async () => {
  const named = [over('/ip4/192.168.1.1')]
  assert.deepEqual(await rules({ privateRelays: () => true }).usable(named, peer), named)
  const here = [over('/ip4/127.0.0.1')]
  assert.deepEqual(await rules({ usesOnlyLoopback: () => true }).usable(here, peer), here)
  assert.deepEqual(await rules().usable(here, peer), [])
})

test('a veiled address keeps its key', async () => {
  const key = 'uACDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwA'
  const veiled = `${over('/ip4/20.3.4.5')}/p2p/${fakePeerId()}/certhash/${key}`
  assert.deepEqual(await rules().usable([veiled], peer), [veiled])
})
