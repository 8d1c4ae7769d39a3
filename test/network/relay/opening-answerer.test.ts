import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Connection } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { OpeningAnswerer } from '../../../src/network/relay/opening-answerer.ts'
import { virtualClock } from '../../../src/testing/virtual-clock.ts'

const peer = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
const ends = [{ host: '/ip4/20.1.1.1', ports: [1, 2, 3, 4, 5, 6, 7, 8], kind: 'certain' }]

test('one agreement is good for one start, with as many pairs as were asked for', async () => {
  const stage = setUp()
  assert.deepEqual(await stage.ask({ ends }), { yours: 0, mine: stage.own.end })
  assert.deepEqual([await stage.ask({ ready: true }), await stage.ask({ go: 3 })], [{}, {}])
  assert.deepEqual(stage.dialled, ['1/ip4/20.1.1.1/tcp/1', '2/ip4/20.1.1.1/tcp/2', '3/ip4/20.1.1.1/tcp/3'])
  assert.deepEqual([await stage.ask({ ready: true }), await stage.ask({ go: 1 })], [null, null])
  await stage.answerer.stop()
})

test('more addresses than there may be are not dialled', async () => {
  const stage = setUp()
  await stage.ask({ ends })
  for (const go of [0, 9, 1.5]) assert.equal(await stage.ask({ go }), null)
  assert.deepEqual(stage.dialled, [])
  await stage.answerer.stop()
})

test('a paired device may have 48 attempts made in a minute', async () => {
  const stage = setUp()
  const once = async (): Promise<unknown> => {
    await stage.ask({ ends })
    return stage.ask({ go: 1 })
  }
  for (let attempt = 0; attempt < 48; attempt++) assert.deepEqual(await once(), {})
  assert.equal(await once(), null)
  await stage.clock.pass(60_001)
  assert.deepEqual(await once(), {})
  assert.equal(stage.dialled.length, 49)
  await stage.answerer.stop()
})

test('an attempt ends the one before', async () => {
  const stage = setUp()
  for (let attempt = 0; attempt < 2; attempt++) {
    await stage.ask({ ends })
    await stage.ask({ go: 1 })
  }
  assert.deepEqual(
    stage.signals.map(({ aborted }) => aborted),
    [true, false],
  )
  await stage.answerer.stop()
})

test('a newer question takes the place of one that is not answered yet', async () => {
  const found = Promise.withResolvers<void>()
  const stage = setUp({ found: found.promise })
  const [first, second] = [stage.ask({ ends }), stage.ask({ ends: [{ ...ends[0], ports: [9] }] })]
  found.resolve()
  await assert.rejects(first, /newer question/u)
  assert.notEqual(await second, null)
  await stage.ask({ go: 1 })
  assert.deepEqual(stage.dialled, ['1/ip4/20.1.1.1/tcp/9'])
  await stage.answerer.stop()
})

function setUp({ found = Promise.resolve() }: { found?: Promise<void> } = {}) {
  const clock = virtualClock()
  const ports = [1, 2, 3, 4, 5, 6, 7, 8]
  const own = { end: { host: '/ip4/20.2.2.2', ports, kind: 'certain' as const }, localPorts: ports }
  const dialled: string[] = []
  const signals: AbortSignal[] = []
  const answerer = new OpeningAnswerer({
    ownEnds: async () => {
      await found
      return [own]
    },
    connect: (_, pairs, { signal }) => {
      dialled.push(...pairs.map(({ port, address }) => `${port}${address}`))
      signals.push(signal)
      return new Promise<Connection>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('called off')))
      })
    },
    clock,
    log: () => {},
  })
  return {
    clock,
    answerer,
    own,
    dialled,
    signals,
    async ask(question: object): Promise<unknown> {
      const bytes = Buffer.from(JSON.stringify(question))
      const answer = await answerer.answer(peer, bytes, { signal: AbortSignal.timeout(10_000) })
      return answer === null ? null : JSON.parse(Buffer.from(answer).toString())
    },
  }
}
