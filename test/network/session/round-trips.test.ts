import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { multiaddr } from '@multiformats/multiaddr'
import { acceptTlsSession, openSession, type Session } from '../../../src/network/session/session.ts'
import { TlsConnection } from '../../../src/network/transport/tls-connection.ts'
import { secureAsDialer, tlsServer } from '../../../src/network/transport/tls-handshake.ts'
import { within } from '../real-hosts.ts'
import { call } from './calls.ts'
import { newPeerId, sessionOptions } from './session-pair.ts'

test('a device that is dialled has answered a request after four round trips, that of TCP among them', async () => {
  const [dialer, listener] = await Promise.all([newPeerId(), newPeerId()])
  const psk = randomBytes(32)
  const remoteAddr = multiaddr('/ip4/127.0.0.1/tcp/1')
  const link = new SlowLink()

  const server = tlsServer(() => psk, 60_000)
  const accepted = new Promise<TLSSocket>((resolve) => server.once('secureConnection', resolve))
  server.emit('connection', link.far)
  const accepting = accepted.then((socket) =>
    acceptTlsSession(
      new TlsConnection({ socket, remotePeer: dialer, remoteAddr, direction: 'inbound' }),
      sessionOptions(listener),
    ),
  )
  const dial = async (): Promise<{ session: Session; answer: unknown }> => {
    const signal = AbortSignal.timeout(60_000)
    const socket = await secureAsDialer(link.near, { psk, identity: 'test' }, { signal })
    const session = await openSession(
      new TlsConnection({ socket, remotePeer: listener, remoteAddr, direction: 'outbound' }),
      sessionOptions(dialer),
    )
    return { session, answer: await session.request(call('echo', 1, 'hello')) }
  }
  const { session, answer } = await link.during(dial())
  assert.equal(answer, 'hello')
  // TLS; the hello, with the end of the handshake; the request, with the proof.
  assert.equal(link.roundTrips, 3)
  for (const { connection } of [session, await accepting]) connection.abort(new Error('the end'))
})

/**
 * Link on which what both ends have said is delivered at once, when neither has any more to say: each delivery is half a round trip,
 * however fast the machine.
 */
class SlowLink {
  readonly near: Duplex
  readonly far: Duplex
  #halves = 0
  readonly #onTheWay: { to: Duplex; bytes: Buffer | null }[] = []

  constructor() {
    this.near = this.#end(() => this.far)
    this.far = this.#end(() => this.near)
  }

  get roundTrips(): number {
    return this.#halves / 2
  }

  /** Delivers until the work is done. */
  async during<Result>(work: Promise<Result>): Promise<Result> {
    let isDone = false
    const done = work.finally(() => (isDone = true))
    done.catch(() => {})
    const deliver = async (): Promise<void> => {
      for (;;) {
        await silence()
        if (isDone) return
        const delivered = this.#onTheWay.splice(0)
        if (delivered.length > 0) this.#halves++
        for (const { to, bytes } of delivered) to.push(bytes)
      }
    }
    await within(deliver(), 'the end of the work')
    return done
  }

  #end(other: () => Duplex): Duplex {
    return new Duplex({
      read: () => {},
      write: (bytes: Buffer, _encoding, taken) => {
        this.#onTheWay.push({ to: other(), bytes })
        taken()
      },
      final: (taken) => {
        this.#onTheWay.push({ to: other(), bytes: null })
        taken()
      },
    })
  }
}

/** Resolves when what was delivered has been worked on: nothing on this link needs more than a few turns of the event loop. */
async function silence(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise<void>((resolve) => void setImmediate(resolve))
}
