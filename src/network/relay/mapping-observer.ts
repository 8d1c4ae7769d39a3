import { identify, type Identify } from '@libp2p/identify'
import type { Transport, Upgrader } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'

import { createLibp2p } from 'libp2p'
import { startDeadline } from '../deadline.ts'
import { lazyEncryption } from '../transport/lazy-negotiation.ts'
import { streamMuxer } from '../transport/stream-muxer.ts'
import { withoutPeer } from '../addresses/mapped-ports.ts'
import type { MappingObserver } from './nat-kind.ts'

/**
 * Runs with an observer that gives each connection a fresh identity and closes it afterwards: to a relay, a second connection of the
 * device itself would be a reason to give it another reservation.
 */
export async function withMappingObserver<Result>(
  run: (observe: MappingObserver) => Promise<Result>,
): Promise<Result> {
  let transport: Transport | undefined
  let upgrader: Upgrader | undefined
  const identity = identify({ runOnConnectionOpen: false })
  let identifier: Identify | undefined
  const host = await createLibp2p({
    transports: [
      (components) => {
        upgrader = components.upgrader
        return (transport = tcp()(components))
      },
    ],
    connectionEncrypters: [noise()],
    streamMuxers: [streamMuxer()],
    services: {
      identify: (components: Parameters<typeof identity>[0]) => (identifier = identity(components)),
      lazyEncryption: lazyEncryption(),
    },
    nodeInfo: { userAgent: 'js-libp2p' },
    connectionMonitor: { enabled: false },
  })
  const observe: MappingObserver = async (localPort, to, { signal }) => {
    const deadline = startDeadline(observationMs, () => new Error('no answer that tells an address'), {
      signal,
    })
    try {
      if (transport === undefined || upgrader === undefined || identifier === undefined) return null
      // The transport spreads these options over those of `net.connect`.
      const options = { localPort, upgrader, signal: deadline.signal }
      const connection = await transport.dial(to, options)
      const { observedAddr } = await identifier.identify(connection, { signal: deadline.signal })
      return observedAddr === undefined ? null : withoutPeer(observedAddr)
    } catch {
      signal.throwIfAborted()
      return null
    } finally {
      deadline.stop()
    }
  }
  try {
    return await run(observe)
  } finally {
    await host.stop()
  }
}

const observationMs = 5_000
