import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { SpacedockError } from '../../../src/errors.ts'
import { encodeFrames, type Frame } from '../../../src/network/session/frames.ts'
import { FrameParser } from '../../../src/network/session/frame-parser.ts'
import type { Session } from '../../../src/network/session/session.ts'
import { acceptSession, openSession } from '../../../src/network/session/session.ts'
import { refuseDevice } from '../../../src/network/session/session-handshake.ts'
import type { PairKey } from '../../../src/network/session/session-hello.ts'
import { until, within } from '../real-hosts.ts'
import { ends, sessionOptions, sessionPair, settledKey, type SessionOverrides } from './session-pair.ts'
import { virtualClock } from '../../../src/testing/virtual-clock.ts'
import { libp2pPeer } from '../../../src/libp2p-peer.ts'
import { call } from './calls.ts'
import type { SessionTrust } from '../../../src/network/session/session-trust.ts'

const otherKey: PairKey = { key: new Uint8Array(32).fill(8), slot: 'settled' }
const newKey: PairKey = { key: new Uint8Array(32).fill(9), slot: 'provisional' }

test('two devices that hold the same key open a session, and both know the other and its process', async () => {
  const instance = new Uint8Array(16).fill(0xab)
  const { dialer, listener } = await sessionPair({ listener: { instance } })
  assert.equal(dialer.remoteInstance, 'ab'.repeat(16))
  assert.equal(dialer.opener, 'local')
  assert.equal(listener.opener, 'remote')
  assert.equal(await dialer.request(call('echo', 1, 'hello')), 'hello')
  assert.equal(await listener.request(call('echo', 1, 'hello')), 'hello')
  await dialer.close()
  await listener.closed
})

test('each side says which of its keys was proved before a request is handled', async () => {
  const events: string[] = []
  const note =
    (who: string): SessionTrust['proved'] =>
    async (_peerId, { slot }) => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      events.push(`${who} ${slot}`)
    }
  const { dialer, listener } = await sessionPair({
    dialer: { keysOf: () => [{ ...newKey, slot: 'settled' }, otherKey], proved: note('dialer') },
    listener: {
      keysOf: () => [newKey, settledKey],
      proved: note('listener'),
      request: async () => {
        events.push('request')
        return null
      },
    },
  })
  await dialer.request(call('anything', 1, null))
  assert.deepEqual(events, ['dialer settled', 'listener provisional', 'request'])
  await Promise.all([dialer.close(), listener.close()])
})

test('a listener that cannot write down what was proved opens no session', async () => {
  const { outcome } = await attempt({ listener: { proved: () => Promise.reject(new Error('disk full')) } })
  assert.equal(outcome.listener, 'disk full')
})

test('wrong key: the listener says that it does not know the device, and the dialer reports it', async () => {
  const proved: string[] = []
  const { outcome } = await attempt({
    dialer: { keysOf: () => [otherKey], proved: () => void proved.push('dialer') },
    listener: { proved: () => void proved.push('listener') },
  })
  assert.deepEqual(outcome, { dialer: 'not-paired', listener: 'interrupted' })
  assert.deepEqual(proved, [])
})

test('a listener that claims a key but cannot prove it is not believed, and is not called unpaired', async () => {
  const { dialerPeer, toListener, inbound } = await ends()
  let proved = 0
  const opening = openSession(toListener, sessionOptions(dialerPeer, { proved: () => void proved++ }))
  inbound.addEventListener('message', () => {
    const payload = new Uint8Array(81)
    payload[0] = 1
    inbound.send(encodeFrames([{ type: 'listenerHello', more: false, channel: 0, payload }]))
  })
  await assert.rejects(opening, { code: 'interrupted' })
  assert.equal(proved, 0)
})

test('reflection: a dialer that echoes the proof of the listener is refused', async () => {
  const { inbound, outbound, toDialer } = await ends()
  let proved = 0
  // This dialer was told a valid hello, but holds no key.
  const honest = await ends()
  const hello = new Promise<Uint8Array>((resolve) => {
    honest.inbound.addEventListener('message', (event) => resolve(event.data.slice()))
  })
  const honestOpening = openSession(honest.toListener, sessionOptions(honest.dialerPeer))
  honestOpening.catch(() => {})
  const accepting = acceptSession(
    inbound,
    { ...toDialer, remotePeer: libp2pPeer(honest.dialerPeer) },
    sessionOptions(honest.listenerPeer, { proved: () => void proved++ }),
  )
  accepting.catch(() => {})
  outbound.addEventListener('message', (event) => {
    const payload = event.data.slice(-32)
    if (outbound.status === 'open') {
      outbound.send(encodeFrames([{ type: 'dialerProof', more: false, channel: 0, payload }]))
    }
  })
  outbound.send(await hello)
  await assert.rejects(accepting, { code: 'interrupted' })
  assert.equal(proved, 0)
  honest.outbound.abort(new Error('done'))
  await assert.rejects(honestOpening)
})

test('a hello of a version that the listener does not speak: both learn what the other speaks', async () => {
  const { inbound, outbound, toDialer, listenerPeer } = await ends()
  const parser = new FrameParser()
  outbound.addEventListener('message', ({ data }) => {
    parser.push(data.subarray())
    const answer = parser.next()
    assert.deepEqual(answer, { type: 'otherVersion', more: false, channel: 0, payload: Uint8Array.of(1) })
    outbound.send(frame('otherVersion', Uint8Array.of(3, 2)))
  })
  outbound.send(frame('dialerHello', Uint8Array.of(3, 99)))
  await assert.rejects(acceptSession(inbound, toDialer, sessionOptions(listenerPeer)), {
    code: 'other-version',
    message: 'The other device speaks versions 2, 3 of Spacedock’s protocol, and this one version 1.',
    hint: 'Update Spacedock on this device.',
    versions: [3, 2],
  })
})

test('a dialer that says nothing more is known by the version of its hello', async () => {
  const { inbound, outbound, toDialer, listenerPeer } = await ends()
  outbound.addEventListener('message', () => outbound.abort(new Error('gone')))
  outbound.send(frame('dialerHello', Uint8Array.of(2)))
  await assert.rejects(acceptSession(inbound, toDialer, sessionOptions(listenerPeer)), { versions: [2] })
})

test('a listener of another version: the dialer says what it speaks, and is not called unpaired', async () => {
  const { inbound, toListener, dialerPeer } = await ends()
  const parser = new FrameParser()
  const heard: Frame[] = []
  inbound.addEventListener('message', ({ data }) => {
    parser.push(data.subarray())
    for (let next = parser.next(); next !== undefined; next = parser.next()) heard.push(next)
    if (heard.length === 1) inbound.send(frame('otherVersion', Uint8Array.of(0)))
    else void inbound.close()
  })
  await assert.rejects(openSession(toListener, sessionOptions(dialerPeer)), {
    code: 'other-version',
    hint: 'Update Spacedock on the other device.',
    versions: [0],
  })
  assert.deepEqual(heard[1], { type: 'otherVersion', more: false, channel: 0, payload: Uint8Array.of(1) })
})

test('an unpaired peer is told so without a byte of what it sends being read', async () => {
  const { dialerPeer, toListener, inbound } = await ends()
  let reads = 0
  const readers = ['message'] as const
  const addEventListener = inbound.addEventListener.bind(inbound)
  inbound.addEventListener = ((type: string, ...rest: unknown[]) => {
    if (readers.includes(type as 'message')) reads++
    return (addEventListener as (...all: unknown[]) => void)(type, ...rest)
  }) as typeof inbound.addEventListener
  const refused = refuseDevice(inbound, undefined)
  await assert.rejects(openSession(toListener, sessionOptions(dialerPeer)), { code: 'not-paired' })
  await within(refused, 'the stream is closed')
  assert.equal(reads, 0)
  assert.notEqual(inbound.status, 'open')
})

test('a revoked peer is told so without a byte of what it sends being read; what is not authentic says no more than that it is not known', async () => {
  for (const isAuthentic of [true, false]) {
    const notice = randomBytes(32)
    const { dialerPeer, toListener, inbound } = await ends()
    const refused = refuseDevice(inbound, notice)
    const heard: Uint8Array[] = []
    const revokedBy = (_peer: unknown, said: Uint8Array): boolean => {
      heard.push(said)
      return isAuthentic
    }
    const offers: unknown[] = []
    const disowned = (_peer: unknown, offered: unknown): void => void offers.push(offered)
    await assert.rejects(openSession(toListener, sessionOptions(dialerPeer, { revokedBy, disowned })), {
      code: 'not-paired',
      message: isAuthentic
        ? 'The other device has revoked this one.'
        : 'The other device does not know this one.',
    })
    assert.deepEqual(offers, isAuthentic ? [] : [[settledKey]])
    await within(refused, 'the stream is closed')
    assert.deepEqual(
      heard.map((said) => Buffer.from(said)),
      [notice],
    )
  }
})

test('a refusal of an earlier key does not end a pairing that was agreed meanwhile', async () => {
  const { dialerPeer, toListener, inbound } = await ends()
  const keys: PairKey[] = [settledKey]
  const refused = refuseDevice(inbound, undefined)
  const disowned = (): void => void keys.unshift({ key: new Uint8Array(32).fill(9), slot: 'provisional' })
  const opening = openSession(toListener, sessionOptions(dialerPeer, { keysOf: () => keys, disowned }))
  await assert.rejects(opening, { code: 'interrupted' })
  await refused
})

test('a peer with an earlier key is told its revocation notice, also while another pairing is not finished', async () => {
  const notice = randomBytes(64)
  const heard: Uint8Array[] = []
  const { outcome } = await attempt({
    dialer: { revokedBy: (_peer, said) => heard.push(said) > 0 },
    listener: {
      keysOf: () => [{ key: new Uint8Array(32).fill(9), slot: 'provisional' }],
      noticeTo: () => notice,
    },
  })
  assert.deepEqual(outcome, { dialer: 'not-paired', listener: 'interrupted' })
  assert.deepEqual(
    heard.map((said) => Buffer.from(said)),
    [notice],
  )
})

test('an unpaired peer that floods instead of leaving is reset', async () => {
  const { outbound, inbound } = await ends()
  const refused = refuseDevice(inbound, undefined)
  while (outbound.status === 'open') {
    outbound.send(new Uint8Array(1_000))
    assert.ok(inbound.readBufferLength <= 5_000)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await within(refused, 'the stream is reset')
  assert.equal(inbound.readBufferLength, 0)
})

test('slowloris: a hello that is not finished in five seconds is given up, by either side', async () => {
  for (const side of ['dialer', 'listener'] as const) {
    const clock = virtualClock()
    const { dialerPeer, listenerPeer, toListener, toDialer, outbound, inbound } = await ends()
    const opening: Promise<Session> =
      side === 'dialer'
        ? openSession(toListener, sessionOptions(dialerPeer, { clock }))
        : acceptSession(inbound, toDialer, sessionOptions(listenerPeer, { clock }))
    let failed: unknown
    opening.catch((error: unknown) => (failed = error))
    const peer = side === 'dialer' ? inbound : outbound
    for (let second = 0; second < 5; second++) {
      assert.equal(failed, undefined)
      peer.send(Uint8Array.of(0))
      await clock.pass(999)
    }
    await clock.pass(10)
    assert.ok(failed instanceof SpacedockError && failed.code === 'timed-out', String(failed))
    await until(() => peer.status !== 'open', 'the peer sees the reset')
    assert.equal(clock.pending(), 0)
  }
})

test('a hello of nonsense is reset', async () => {
  const nonsense: Uint8Array[] = [
    encodeFrames([{ type: 'ping', more: false, channel: 0, payload: new Uint8Array(8) }]),
    encodeFrames([{ type: 'dialerHello', more: false, channel: 0, payload: new Uint8Array(65) }]),
    encodeFrames([{ type: 'dialerProof', more: false, channel: 0, payload: new Uint8Array(32) }]),
    Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0),
    new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n'),
  ]
  for (const bytes of nonsense) {
    const { listenerPeer, toDialer, outbound, inbound } = await ends()
    outbound.send(bytes)
    await assert.rejects(acceptSession(inbound, toDialer, sessionOptions(listenerPeer)), SpacedockError)
    assert.equal(inbound.status, 'aborted')
  }
})

async function attempt(overrides: {
  dialer?: SessionOverrides
  listener?: SessionOverrides
}): Promise<{ outcome: { dialer: string; listener: string } }> {
  const { dialerPeer, listenerPeer, inbound, toListener, toDialer } = await ends()
  const [dialer, listener] = await Promise.all([
    outcomeOf(openSession(toListener, sessionOptions(dialerPeer, overrides.dialer))),
    outcomeOf(acceptSession(inbound, toDialer, sessionOptions(listenerPeer, overrides.listener))),
  ])
  return { outcome: { dialer, listener } }
}

/** `opened`, or the code or message of what it failed with. */
async function outcomeOf(opening: Promise<Session>): Promise<string> {
  try {
    const session = await opening
    await session.closed
    return 'opened'
  } catch (error) {
    if (error instanceof SpacedockError) return error.code
    return error instanceof Error ? error.message : String(error)
  }
}

function frame(type: Frame['type'], payload: Uint8Array): Uint8Array {
  return encodeFrames([{ type, more: false, channel: 0, payload }])
}
