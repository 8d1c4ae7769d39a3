import * as v from 'valibot'
import { encodeFrames, type Frame } from '../../src/network/session/frames.ts'
import { encodeRequest } from '../../src/network/session/request-header.ts'
import type { RawSession } from '../network/session/raw-session.ts'
import { HandJoiner } from './hand-joiner.ts'
import { openRawSession } from './hand-session.ts'
import { pause, until, type Scene } from './scene.ts'
import { unless, type Threat, type Verdict } from './threat.ts'

/** Threats 24 and 36 by a device that is paired: streams that are never read, and very many of whatever. */
export const threats: Threat[] = [
  {
    row: 24,
    title: 'of 1,000 streams that a paired device opens at once, no more than it may have get a handler',
    attack: manyByteStreams,
    without: [
      {
        what: 'the bounds on streams and handlers',
        patches: [
          {
            file: 'src/network/session/byte-streams.ts',
            find: `if (this.#theirs.size >= maxStreams) {`,
            replace: `if (this.#theirs.size >= 10_000_000) {`,
          },
          {
            file: 'src/network/session/byte-streams.ts',
            find: `if (this.#handlers >= maxHandlers) return`,
            replace: `if (this.#handlers >= 10_000_000) return`,
          },
        ],
      },
    ],
  },
  {
    row: 36,
    title:
      'of 2,000 requests that a paired device calls off at once, no more than it may have get a handler that hangs',
    attack: manyHangingRequests,
    without: [
      {
        what: 'the places that handlers keep when they are called off',
        patches: [
          {
            file: 'src/network/session/inbound-requests.ts',
            find: `void this.#abandon(known)`,
            replace: `known.release()`,
          },
        ],
      },
    ],
  },
  {
    row: 36,
    title: 'data that a paired device sends without credit is not kept',
    attack: dataWithoutCredit,
    without: [
      {
        what: 'the check of the credit',
        patches: [
          {
            file: 'src/network/session/byte-receiver.ts',
            find: `if (payload.byteLength > this.#allowedBytes) {`,
            replace: `if (payload.byteLength < 0) {`,
          },
        ],
      },
    ],
  },
  {
    row: 36,
    title: 'events that a paired device sends without credit are not kept',
    attack: eventsWithoutCredit,
    without: [
      {
        what: 'the check of the credit',
        patches: [
          {
            file: 'src/network/session/event-window.ts',
            find: `if (cost > this.#allowedBytes) {`,
            replace: `if (cost < 0) {`,
          },
        ],
      },
    ],
  },
]

async function manyByteStreams(scene: Scene): Promise<Verdict> {
  const { session, handlers } = await pairedPhone(scene)
  const opening = encodeRequest('hoard', 1, new Uint8Array(0))
  const frames = Array.from({ length: 1_000 }, (_, index) => frame('open', 1 + 2 * index, opening))
  send(session, frames)
  const begun = await mostOf(handlers)
  return unless({ [`${begun} handlers run`]: begun > 128 }, `${begun} handlers were begun`)
}

async function manyHangingRequests(scene: Scene): Promise<Verdict> {
  const { session, handlers } = await pairedPhone(scene)
  const asking = encodeRequest('ask', 1, new TextEncoder().encode('1'))
  for (let index = 0; index < 2_000; index++) {
    const channel = 1 + 2 * index
    send(session, [frame('request', channel, asking), frame('cancel', channel, new Uint8Array(0))])
    if (index % 100 === 99) await pause(1)
  }
  const begun = await mostOf(handlers)
  return unless({ [`${begun} handlers run`]: begun > 128 }, `${begun} handlers were begun`)
}

/** Counts handlers until there are too many: at once without the bound, on a slow machine after a while. */
async function mostOf(handlers: () => number): Promise<number> {
  await until(() => handlers() > 128, 'too many handlers', 5_000).catch(() => undefined)
  return handlers()
}

async function dataWithoutCredit(scene: Scene): Promise<Verdict> {
  const { session } = await pairedPhone(scene)
  session.send(encodeFrames([frame('open', 1, encodeRequest('hoard', 1, new Uint8Array(0)))]))
  await until(() => session.frames.some(({ type }) => type === 'accept'), 'the stream')
  return flood(session, frame('data', 1, new Uint8Array(60_000)))
}

async function eventsWithoutCredit(scene: Scene): Promise<Verdict> {
  const { session } = await pairedPhone(scene)
  const body = new TextEncoder().encode(`"${'x'.repeat(60_000)}"`)
  return flood(session, frame('event', 0, encodeRequest('stuck', 1, body)))
}

/** 30 MB of it, of which a quarter of a megabyte is allowed. */
async function flood(session: RawSession, piece: Frame): Promise<Verdict> {
  let sentBytes = 0
  for (let round = 0; round < 500 && send(session, [piece]); round++) {
    sentBytes += piece.payload.byteLength
    await pause(1)
  }
  const ended = await Promise.race([session.ended.then(() => true), pause(20_000).then(() => false)])
  return unless(
    { [`${sentBytes} bytes were taken, and the session goes on`]: !ended },
    `the session was ended after ${sentBytes} bytes or fewer`,
  )
}

async function pairedPhone(scene: Scene): Promise<{ session: RawSession; handlers: () => number }> {
  const { defineEvent, defineProtocol, defineStream } = await import('../../src/index.ts')
  const alice = await scene.node('alice')
  let begun = 0
  const handler = (): Promise<void> => {
    begun++
    return new Promise(() => {})
  }
  alice.handle(defineStream({ name: 'hoard', version: 1, request: v.any(), handler }))
  alice.handle(defineProtocol({ name: 'ask', version: 1, request: v.any(), response: v.any(), handler }))
  alice.handle(defineEvent({ name: 'stuck', version: 1, event: v.any(), handler }))
  const invitation = await alice.pair()
  const phone = await HandJoiner.start(scene, alice, invitation.words)
  const { pair } = await phone.pair()
  await invitation.paired
  const session = await openRawSession(phone.raw, phone.address, pair.pairKey)
  return { session, handlers: () => begun }
}

/** False when the session has ended. */
function send(session: RawSession, frames: readonly Frame[]): boolean {
  session.send(encodeFrames(frames))
  return session.status === 'open'
}

function frame(type: Frame['type'], channel: number, payload: Uint8Array): Frame {
  return { type, more: false, channel, payload }
}
