import assert from 'node:assert/strict'
import { test } from 'node:test'
import { acceptTlsSession, openSession } from '../../../src/network/session/session.ts'
import { within } from '../real-hosts.ts'
import { call } from './calls.ts'
import { carryPairs, sessionOptions, sessionPair, type SessionOverrides } from './session-pair.ts'
import { pairOverTls, socketPair, tlsEnds, type TlsEnds } from './tls-pair.ts'

// The same tests as over a libp2p stream, as far as they do not look at the stream.
carryPairs(pairOverTls)
await import('./session-close.test.ts')
await import('./events.test.ts')
await import('./byte-streams.test.ts')

const otherKey = { key: new Uint8Array(32).fill(8), slot: 'settled' } as const

test('a session over TLS ends with its connection, and the connection with it', async () => {
  const lost = await sessionPair()
  lost.dialer.connection.abort(new Error('the cable'))
  const ends = await within(Promise.all([lost.dialer.closed, lost.listener.closed]), 'the ends')
  assert.deepEqual(
    ends.map(({ reason }) => reason),
    ['interrupted', 'interrupted'],
  )
  const closed = await sessionPair()
  await within(closed.dialer.close(), 'the close')
  await within(closed.listener.closed, 'the other end')
  assert.deepEqual([closed.dialer.connection.status, closed.listener.connection.status], ['closed', 'closed'])
})

test('half a megabyte each way, beside pings', async () => {
  const { dialer, listener } = await sessionPair()
  const text = 'x'.repeat(500_000)
  const answers = Promise.all([
    dialer.request(call('echo', 1, text)),
    listener.request(call('echo', 1, text)),
  ])
  await Promise.all([dialer.ping(), listener.ping()])
  assert.deepEqual(await within(answers, 'the answers'), [text, text])
})

test('a wrong key, a device that is not known, one that was revoked: both sides hear what they hear over Noise', async () => {
  const notice = new Uint8Array(32)
  const cases: [SessionOverrides, dialer: string][] = [
    [{ keysOf: () => [otherKey] }, 'not-paired'],
    [{ keysOf: () => [] }, 'not-paired'],
    [{ keysOf: () => [], noticeTo: () => notice }, 'not-paired'],
  ]
  for (const [listener, expected] of cases) {
    const outcome = await outcomesOf(await tlsEnds(await socketPair()), { listener })
    assert.deepEqual(outcome, [expected, 'interrupted'])
  }
})

test('threat 54: a hello that is passed on from one TLS connection to another proves nothing', async () => {
  const [one, other] = [await tlsEnds(await socketPair()), await tlsEnds()]
  // Somebody who had both connections, each with one of the two: they do not have the same secret.
  const spliced = { ...one, toDialer: one.toDialer }
  Object.defineProperty(spliced.toDialer, 'binding', { value: other.toDialer.binding })
  assert.deepEqual(await outcomesOf(spliced), ['interrupted', 'interrupted'])
})

async function outcomesOf(
  { dialerPeer, listenerPeer, toListener, toDialer }: TlsEnds,
  overrides: { dialer?: SessionOverrides; listener?: SessionOverrides } = {},
): Promise<string[]> {
  const outcomes = await within(
    Promise.allSettled([
      openSession(toListener, sessionOptions(dialerPeer, overrides.dialer)),
      acceptTlsSession(toDialer, sessionOptions(listenerPeer, overrides.listener)),
    ]),
    'both ends',
  )
  return outcomes.map((each) =>
    each.status === 'fulfilled' ? 'opened' : ((each.reason as NodeJS.ErrnoException).code ?? 'unknown'),
  )
}
