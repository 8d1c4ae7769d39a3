import { randomBytes } from 'node:crypto'
import type { Clock } from '../../../src/api.ts'
import { systemClock } from '../../../src/clock.ts'
import { createHost } from '../../../src/network/host/create-host.ts'
import type { NetworkHost } from '../../../src/network/host/host.ts'

/** Host on the loopback interface that uses any relay, and knows everybody. */
export function relayedHost(clock: Clock = systemClock): Promise<NetworkHost> {
  return createHost({
    seed: randomBytes(32),
    port: 0,
    interfaces: [process.platform === 'darwin' ? 'lo0' : 'lo'],
    agent: 'test',
    relay: {
      peers: { isRelay: () => true, isPaired: () => true, isPairing: () => false },
      secretOf: () => null,
      public: false,
      clock,
      log: () => {},
    },
  })
}
