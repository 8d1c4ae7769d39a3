import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection } from '@libp2p/interface'
import { Libp2pRecord } from '@libp2p/record'
import { multiaddr } from '@multiformats/multiaddr'
import { Key } from 'interface-datastore'
import { RecordStore, servedConnection } from '../../../src/network/dht/record-store.ts'
import type { AddressRecordKeys } from '../../../src/pairing/address-record.ts'
import { virtualClock } from '../../../src/testing/virtual-clock.ts'
import { testRecord } from './dht-network.ts'

test('threat 21: an older record that is valid does not replace a newer one', async () => {
  const store = new RecordStore(virtualClock())
  const records = await Promise.all([5n, 4n, 6n, 5n].map((sequence) => testRecord(sequence)))
  const taken = records.map((record) => put(store, record))
  assert.deepEqual(taken, ['stored', 'a newer record is stored', 'stored', 'a newer record is stored'])
  assert.deepEqual(valueOf(store), records[2]?.value)
})

test('threat 21: with the same sequence, the one that is valid for longer stays', async () => {
  const store = new RecordStore(virtualClock())
  const [long, short] = [await testRecord(5n), await testRecord(5n, { validForMs: 3_600_000 })]
  assert.equal(put(store, long), 'stored')
  assert.equal(put(store, short), 'a newer record is stored')
  assert.equal(put(store, long), 'stored', 'the same again')
  assert.deepEqual(valueOf(store), long.value)
})

test('nothing but records of limited size under Ed25519 keys is kept', async () => {
  const store = new RecordStore(virtualClock())
  const { routingKey, value } = await testRecord(1n)
  const refused: [name: string, key: Uint8Array, bytes: Uint8Array][] = [
    ['/dht/provider/x/y', routingKey, value],
    ['/peers/x', routingKey, value],
    ['/dht/record/x', routingKey, new Uint8Array(10 * 1_024)],
    ['/dht/record/x', Buffer.from('/constructor/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'), value],
    ['/dht/record/x', Buffer.from('/constructor/'.padEnd(routingKey.length, 'a')), value],
    ['/dht/record/x', Buffer.from('/pk/'.padEnd(routingKey.length, 'a')), value],
    ['/dht/record/x', routingKey.slice(0, -1), value],
    ['/dht/record/x', Uint8Array.from([...routingKey, 0]), value],
    ['/dht/record/x', new Uint8Array(), value],
  ]
  for (const [name, key, bytes] of refused) {
    const record = new Libp2pRecord(key, bytes, new Date()).serialize()
    assert.throws(() => store.put(new Key(name), record), Error, name)
  }
  assert.equal(store.size, 0)
})

test('a peer has the 32 records that it wrote last, and 60 writes in a minute', async () => {
  const clock = virtualClock()
  const store = new RecordStore(clock)
  const records = await Promise.all(
    Array.from({ length: 40 }, (_, at) => testRecord(1n, { keys: keysOf(at) })),
  )
  const kept = (): number[] => records.flatMap((record, at) => (isKept(store, record) ? [at] : []))
  for (const record of records.slice(0, 32)) assert.equal(put(store, record, 'mallory'), 'stored')
  assert.equal(put(store, records[0], 'mallory'), 'stored', 'written again, it is not the oldest')
  for (const record of records.slice(32)) assert.equal(put(store, record, 'mallory'), 'stored')
  assert.equal(store.size, 32)
  assert.deepEqual(kept(), [0, ...Array.from({ length: 31 }, (_, at) => at + 9)])
  const again = Array.from({ length: 30 }, () => put(store, records[39], 'mallory'))
  assert.equal(again.filter((result) => result === 'stored').length, 19)
  assert.equal(again.at(-1), 'too many writes in a minute')
  assert.equal(put(store, records[1], 'alice'), 'stored', 'others are not concerned')
  await clock.pass(60_000)
  assert.equal(put(store, records[39], 'mallory'), 'stored')
})

test('a device with thirty others, on for days, finds room for what it writes under the keys of each epoch', async () => {
  const clock = virtualClock()
  const store = new RecordStore(clock)
  const others = 30
  for (let epoch = 0; epoch < 9; epoch++) {
    const records = await Promise.all(
      Array.from({ length: others }, (_, at) => testRecord(1n, { keys: keysOf(epoch * others + at) })),
    )
    for (const record of records) assert.equal(put(store, record, 'alice'), 'stored')
    for (const record of records) assert.ok(isKept(store, record))
    await clock.pass(6 * 3_600_000)
  }
})

test('a peer that has come from another address does not get more there than the address may have', async () => {
  const store = new RecordStore(virtualClock(), { recordsPerPeer: 1, recordsPerAddress: 1 })
  const [one, two, three] = await Promise.all([0, 1, 2].map((at) => testRecord(1n, { keys: keysOf(at) })))
  assert.equal(put(store, one, 'alice', '203.0.113.9'), 'stored')
  assert.equal(put(store, two, 'bob', '192.0.2.1'), 'stored')
  assert.equal(put(store, three, 'bob', '203.0.113.9'), 'too many records of this address')
  assert.ok(isKept(store, two))
  assert.equal(put(store, three, 'alice', '203.0.113.9'), 'stored', 'in the place of its own')
})

test('made-up peers at one address share a quota', async () => {
  const store = new RecordStore(virtualClock(), { recordsPerAddress: 5 })
  for (let at = 0; at < 10; at++) {
    const record = await testRecord(1n, { keys: keysOf(at) })
    const result = put(store, record, `mallory-${at}`, '203.0.113.9')
    assert.equal(result, at < 5 ? 'stored' : 'too many records of this address')
  }
  assert.equal(put(store, await testRecord(1n), 'alice', '192.0.2.1'), 'stored')
})

test('a full store loses records of whoever has most of them', async () => {
  const store = new RecordStore(virtualClock(), { records: 20 })
  const honest = await testRecord(1n)
  assert.equal(put(store, honest, 'alice', '192.0.2.1'), 'stored')
  for (let at = 0; at < 60; at++) {
    const record = await testRecord(1n, { keys: keysOf(at) })
    assert.equal(put(store, record, `mallory-${at}`, `203.0.113.${at % 2}`), 'stored')
  }
  assert.equal(store.size, 20)
  assert.deepEqual(valueOf(store), honest.value)
})

test("repeating somebody else's record neither makes it one's own nor uses up its owner's quota", async () => {
  const store = new RecordStore(virtualClock(), { recordsPerPeer: 1 })
  const [first, second, third] = await Promise.all(
    [0, 1, 2].map((at) => testRecord(1n, { keys: keysOf(at) })),
  )
  assert.equal(put(store, first, 'alice'), 'stored')
  assert.equal(put(store, first, 'mallory'), 'stored')
  assert.equal(put(store, second, 'mallory'), 'stored')
  assert.ok(isKept(store, first))
  assert.equal(put(store, third, 'alice'), 'stored')
  assert.deepEqual([isKept(store, first), isKept(store, second)], [false, true])
})

test('records go 48 hours after they were written last', async () => {
  const clock = virtualClock()
  const store = new RecordStore(clock)
  const [kept, dropped] = [await testRecord(1n), await testRecord(1n, { keys: keysOf(1) })]
  put(store, kept)
  put(store, dropped)
  await clock.pass(24 * 3_600_000)
  put(store, kept)
  await clock.pass(24 * 3_600_000)
  assert.equal(store.size, 2)
  assert.equal(store.has(nameOf(kept.routingKey)), true)
  assert.throws(() => store.get(nameOf(dropped.routingKey)), { name: 'NotFoundError' })
  assert.equal(store.size, 1)
})

function put(
  store: RecordStore,
  record: { routingKey: Uint8Array; value: Uint8Array } | undefined,
  peer = 'bob',
  ip = '198.51.100.7',
): string {
  assert.ok(record)
  const { routingKey, value } = record
  const connection = { remotePeer: peer, remoteAddr: multiaddr(`/ip4/${ip}/tcp/1`) } as unknown as Connection
  try {
    servedConnection.run(connection, () =>
      store.put(nameOf(routingKey), new Libp2pRecord(routingKey, value, new Date()).serialize()),
    )
    return 'stored'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function valueOf(store: RecordStore): Uint8Array {
  const [record] = [...store._all()].filter(({ key }) => key.toString() !== '').slice(0, 1)
  return Libp2pRecord.deserialize(record?.value ?? new Uint8Array()).value
}

function isKept(store: RecordStore, record: { routingKey: Uint8Array } | undefined): boolean {
  return record !== undefined && store.has(nameOf(record.routingKey))
}

function nameOf(routingKey: Uint8Array): Key {
  return new Key(`/dht/record/${Buffer.from(routingKey).toString('hex')}`)
}

function keysOf(at: number): AddressRecordKeys {
  const signingSeed = new Uint8Array(32).fill(50)
  new DataView(signingSeed.buffer).setUint16(0, at)
  return { signingSeed, recordKey: new Uint8Array(32).fill(3) }
}
