import type { TestContext } from 'node:test'
import { RELAY_V2_HOP_CODEC } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'

/** Relay that grants places with the end that a test wants, by a clock of its own. */
export interface HopRelay {
  address: string
  /** Requests for a place so far. */
  requests: number
  /** End of the places it grants, in seconds since 1970; null to refuse them. */
  expire: bigint | null
}

/** The relay's side of https://github.com/libp2p/specs/blob/master/relay/circuit-v2.md as far as RESERVE. */
export async function hopRelay(context: TestContext, expire: bigint | null): Promise<HopRelay> {
  const libp2p = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify(), ping: ping() },
  })
  context.after(() => libp2p.stop())
  const relay: HopRelay = { address: String(libp2p.getMultiaddrs()[0]), requests: 0, expire }
  await libp2p.handle(RELAY_V2_HOP_CODEC, (stream) => {
    stream.addEventListener(
      'message',
      () => {
        relay.requests++
        stream.send(statusMessage(relay.expire))
        void stream.close()
      },
      { once: true },
    )
  })
  return relay
}

/** HopMessage of type STATUS, length-prefixed: OK with a reservation, or RESERVATION_REFUSED. */
function statusMessage(expire: bigint | null): Uint8Array {
  const status = [0x28, ...varint(expire === null ? 200n : 100n)]
  const reservation = expire === null ? [] : [0x08, ...varint(expire)]
  const message = [
    0x08,
    0x02,
    ...(expire === null ? [] : [0x1a, reservation.length, ...reservation]),
    ...status,
  ]
  return Uint8Array.from([message.length, ...message])
}

function varint(value: bigint): number[] {
  return value < 128n ? [Number(value)] : [Number(value % 128n) + 128, ...varint(value / 128n)]
}
