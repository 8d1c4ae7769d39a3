import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { deserialize, serialize } from 'node:v8'
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads'
import * as v from 'valibot'
import type { DeviceInfo } from '../../src/api.ts'
import {
  defineEvent,
  defineProtocol,
  defineStream,
} from '../../src/network/application/protocol-definitions.ts'
import { nextEvent, pairOfSuite, TestNodes, untilState } from './nodes.ts'

const sum = { name: 'sum', version: 1, request: v.array(v.number()), response: v.number() }

describe('a device that is paired and connected', () => {
  const { pair } = pairOfSuite()

  test('is copied as a DeviceInfo, by whatever way, and says itself how it is now', async () => {
    const { alice, bobAtAlice } = pair()
    const renamed = nextEvent(alice, 'device:renamed')
    await bobAtAlice.rename('lamp')
    const info = await renamed
    await bobAtAlice.rename('bob')
    const copies = [
      structuredClone(bobAtAlice),
      { ...bobAtAlice },
      JSON.parse(JSON.stringify(bobAtAlice)) as DeviceInfo,
      throughPort(bobAtAlice) as DeviceInfo,
      deserialize(serialize(bobAtAlice)) as DeviceInfo,
    ]
    for (const copy of copies) {
      // Of a device that is connected these two say how it is at this very moment.
      const { lastSeen, roundTripMs } = copy
      assert.deepEqual(copy, { ...info, name: 'bob', lastSeen, roundTripMs })
      assert.deepEqual(Object.keys(copy).toSorted(), Object.keys(info).toSorted())
    }
    assert.equal(bobAtAlice.name, 'bob')
  })

  test('answers a request, and its handler knows which device asks', async () => {
    const { alice, bob, aliceAtBob, bobAtAlice } = pair()
    const askers: string[] = []
    const stop = bob.handle(
      defineProtocol({
        ...sum,
        handler: (numbers, { device }) => {
          askers.push(device.peerId)
          assert.equal(device, aliceAtBob)
          return numbers.reduce((one, other) => one + other, 0)
        },
      }),
    )
    assert.equal(await bobAtAlice.request(defineProtocol(sum), [1, 2, 3]), 6)
    assert.deepEqual(askers, [alice.peerId])
    assert.throws(() => bob.handle(defineProtocol({ ...sum, handler: () => 0 })), {
      code: 'invalid-argument',
    })
    stop()
    await assert.rejects(bobAtAlice.request(defineProtocol(sum), [1]), { code: 'unknown-protocol' })
  })

  test('a request that does not fit its schema never leaves; one that fits here only is refused there', async () => {
    const { bob, bobAtAlice } = pair()
    let calls = 0
    const stop = bob.handle(defineProtocol({ ...sum, handler: () => calls++ }))
    const wrong = ['one'] as unknown as number[]
    await assert.rejects(bobAtAlice.request(defineProtocol(sum), wrong), { code: 'invalid-message' })
    const looser = defineProtocol({ ...sum, request: v.any() })
    await assert.rejects(bobAtAlice.request(looser, ['one']), { code: 'invalid-message' })
    assert.equal(calls, 0)
    stop()
  })

  test('an answer that does not fit its schema is refused, by whoever notices', async () => {
    const { bob, bobAtAlice } = pair()
    const stop = bob.handle(defineProtocol({ ...sum, response: v.any(), handler: () => 'six' }))
    await assert.rejects(bobAtAlice.request(defineProtocol(sum), [6]), { code: 'invalid-message' })
    stop()
  })

  test('a handler that throws is a failure of the other side, with its message', async () => {
    const { bob, bobAtAlice } = pair()
    const stop = bob.handle(
      defineProtocol({ ...sum, handler: () => Promise.reject(new Error('out of numbers')) }),
    )
    await assert.rejects(bobAtAlice.request(defineProtocol(sum), [6]), {
      code: 'remote-failure',
      message: /out of numbers/u,
    })
    stop()
  })

  test('an aborted request rejects with the reason, and aborts the handler', async () => {
    const { bob, bobAtAlice } = pair()
    const begun = Promise.withResolvers<void>()
    const aborted = Promise.withResolvers<void>()
    const handler = (_numbers: number[], { signal }: { signal: AbortSignal }): Promise<number> => {
      signal.addEventListener('abort', () => aborted.resolve(), { once: true })
      begun.resolve()
      return new Promise(() => undefined)
    }
    const stop = bob.handle(defineProtocol({ ...sum, handler }))
    const end = new AbortController()
    const asking = bobAtAlice.request(defineProtocol(sum), [1], { signal: end.signal })
    await begun.promise
    const reason = new Error('not needed any more')
    end.abort(reason)
    await assert.rejects(asking, reason)
    await aborted.promise
    stop()
    await assert.rejects(bobAtAlice.request(defineProtocol(sum), [1], { signal: end.signal }), reason)
  })

  test('is found by name, id, and an unambiguous beginning of either', () => {
    const { alice, bob, bobAtAlice } = pair()
    for (const reference of ['bob', 'bo', bob.id, bob.id.slice(0, 8)]) {
      assert.equal(alice.device(reference), bobAtAlice, reference)
    }
    assert.throws(() => alice.device('carol'), { code: 'no-device' })
    assert.throws(() => alice.device(alice.name), { code: 'no-device' })
  })

  test('its handle is plain data for those who print it', () => {
    const { bob, bobAtAlice } = pair()
    const { lastSeen, address, roundTripMs, connectedSince, lastFailure, ...rest } = JSON.parse(
      JSON.stringify(bobAtAlice),
    ) as Record<string, unknown>
    const { id, peerId } = bob
    assert.deepEqual(rest, {
      id,
      name: 'bob',
      peerId,
      state: 'connected',
      needsPairing: null,
      path: 'direct',
      limited: false,
    })
    for (const time of [lastSeen, connectedSince]) assert.match(String(time), /^\d{4}-\d\d-\d\dT/u)
    assert.equal(typeof roundTripMs, 'number')
    assert.equal(lastFailure, null)
    assert.match(String(address), /^\/ip4\/127\./u)
  })

  test('answers a ping with the time it took, the path and the address', async () => {
    const { bobAtAlice } = pair()
    const { roundTripMs, path, address } = await bobAtAlice.ping()
    assert.ok(roundTripMs > 0)
    assert.deepEqual({ path, address }, { path: 'direct', address: bobAtAlice.address })
  })

  test('can be renamed here, where its handle and the list show it at once', async () => {
    const { alice, bob, bobAtAlice } = pair()
    await bobAtAlice.rename('the phone')
    assert.equal(bobAtAlice.name, 'the phone')
    assert.equal(alice.device('the phone'), bobAtAlice)
    assert.equal(bob.name, 'bob', 'its own name is its own')
    await assert.rejects(bobAtAlice.rename('\u0007'), { code: 'invalid-argument' })
    await bobAtAlice.rename('bob')
  })

  test('a node renames itself for pairings to come', async () => {
    const { alice } = pair()
    await alice.rename('laptop')
    assert.deepEqual([alice.name, alice.status().name], ['laptop', 'laptop'])
    await alice.rename('alice')
  })
})

describe('two devices of one name', () => {
  test('the second gets another one here, and neither can be given the name of the other', async () => {
    await using nodes = new TestNodes()
    const [alice, one, other] = await Promise.all(['alice', 'phone', 'phone'].map((name) => nodes.make(name)))
    assert.ok(alice && one && other)
    for (const phone of [one, other]) {
      const invitation = await alice.pair()
      await phone.join(invitation.words, { peers: alice.status().listen })
      await invitation.paired
    }
    assert.deepEqual(
      alice
        .devices()
        .map(({ name }) => name)
        .toSorted(byText),
      ['phone', 'phone (2)'],
    )
    await assert.rejects(alice.device('phone (2)').rename('phone'), { code: 'invalid-argument' })
    await assert.rejects(alice.device(one.id).rename('PHONE (2)'), { code: 'invalid-argument' })
    assert.throws(() => alice.device('ph'), { code: 'ambiguous-device' })
  })
})

describe('when the other one goes', () => {
  test('it is disconnected, requests say offline, and it comes back by itself under the same handle', async () => {
    await using nodes = new TestNodes()
    const dataDir = await nodes.directory()
    const [alice, bob] = await Promise.all([nodes.make('alice'), nodes.make('bob', { dataDir })])
    const invitation = await alice.pair()
    await bob.join(invitation.words, { peers: alice.status().listen })
    const device = await invitation.paired
    await untilState(alice, device, 'connected')
    await device.ping()
    const gone = nextEvent(alice, 'device:disconnected')
    const notThere = nextEvent(alice, 'device:updated')
    await bob.close()
    const { peerId, lastFailure } = await gone
    assert.equal(peerId, bob.peerId)
    assert.equal(lastFailure?.message, 'The other device closed the connection.')
    assert.equal(device.state, 'disconnected')
    assert.deepEqual((await notThere).lastFailure?.message, 'Spacedock does not run at its address.')
    assert.equal(device.path, null)
    await assert.rejects(device.request(defineProtocol(sum), [1]), { code: 'offline' })
    await assert.rejects(device.ping(), { code: 'offline' })
    assert.equal((await device.send('later')).status, 'queued')

    const back = nextEvent(alice, 'device:connected')
    const delivered = nextEvent(alice, 'message:delivered')
    const again = await nodes.make('bob', { dataDir })
    assert.equal((await back).peerId, again.peerId)
    assert.equal(alice.device('bob'), device)
    await delivered
    assert.deepEqual(
      again.inbox().map(({ text }) => text),
      ['later'],
    )
  })

  test('a revoked device is refused here at once, and learns that it has to pair again', async () => {
    await using nodes = new TestNodes()
    const { alice, bob, bobAtAlice, aliceAtBob } = await nodes.pair()
    const disowned = nextEvent(bob, 'device:needs-pairing')
    const revoked = nextEvent(alice, 'device:revoked')
    await bobAtAlice.revoke()
    assert.equal((await revoked).peerId, bob.peerId)
    assert.equal(bobAtAlice.state, 'revoked')
    for (const call of [
      () => bobAtAlice.send('hello'),
      () => bobAtAlice.request(defineProtocol(sum), [1]),
      () => bobAtAlice.ping(),
    ]) {
      await assert.rejects(call, { code: 'not-paired' })
    }
    assert.equal((await disowned).peerId, alice.peerId)
    assert.equal(aliceAtBob.state, 'needs-pairing')
    await assert.rejects(aliceAtBob.send('hello'), { code: 'not-paired' })

    const invitation = await bob.pair()
    await alice.join(invitation.words, { peers: bob.status().listen })
    await invitation.paired
    await untilState(alice, bobAtAlice, 'connected')
    assert.equal((await bobAtAlice.send('hello again')).status, 'delivered')
  })
})

test('everything but status and messages of a closed node says that it is closed', async () => {
  await using nodes = new TestNodes()
  const alice = await nodes.make('alice')
  await Promise.all([alice.close(), alice.close()])
  const closed = { code: 'closed' }
  await assert.rejects(alice.pair(), closed)
  await assert.rejects(alice.join('words'), closed)
  await assert.rejects(alice.rename('other'), closed)
  assert.throws(() => alice.devices(), closed)
  assert.throws(() => alice.device('bob'), closed)
  assert.throws(() => alice.inbox(), closed)
  assert.throws(() => alice.outbox(), closed)
  assert.throws(() => alice.handle(defineProtocol({ ...sum, handler: () => 0 })), closed)
  for await (const message of alice.messages()) assert.fail(`a message: ${message.id}`)
})

test('so does everything that is asked of a device of a closed node', async () => {
  await using nodes = new TestNodes()
  const { alice, bob, bobAtAlice } = await nodes.pair()
  const closed = { name: 'SpacedockError', code: 'closed' }
  await Promise.all([alice.close(), bob.close()])
  const moved = defineEvent({ name: 'moved', version: 1, event: v.number() })
  const files = defineStream({ name: 'files', version: 1, request: v.number() })
  await assert.rejects(bobAtAlice.send('hello'), closed)
  await assert.rejects(bobAtAlice.request(sum, [1]), closed)
  await assert.rejects(bobAtAlice.emit(moved, 1), closed)
  await assert.rejects(bobAtAlice.openStream(files, 1), closed)
  await assert.rejects(bobAtAlice.ping(), closed)
  await assert.rejects(bobAtAlice.versionsOf('sum'), closed)
  await assert.rejects(bobAtAlice.rename('other'), closed)
  await assert.rejects(bobAtAlice.revoke(), closed)
})

function byText(one: string, other: string): number {
  return one < other ? -1 : 1
}

/** What another thread receives. */
function throughPort(value: unknown): unknown {
  const { port1, port2 } = new MessageChannel()
  port1.postMessage(value)
  const received: unknown = receiveMessageOnPort(port2)?.message
  port1.close()
  return received
}
