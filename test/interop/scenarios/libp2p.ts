import assert from 'node:assert/strict'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { until } from '../../network/real-hosts.ts'
import type { ForeignProgram } from '../foreign-program.ts'
import { scenariosOf } from '../scenario.ts'
import { firstAddressOf } from './addresses.ts'

/** What every libp2p host answers, paired or not. */
export function libp2pScenarios(name: string, program: ForeignProgram | string): void {
  const scenario = scenariosOf(name, program)

  scenario('theirs identifies ours, and pings it with /ipfs/ping/1.0.0', async ({ ours, theirs, saw }) => {
    const [alice, bob] = await Promise.all([ours('alice'), theirs('bob')])
    const address = await firstAddressOf(alice)
    const { agent, protocols = [] } = await bob.call('identify', { address })
    for (const protocol of ['/ipfs/id/1.0.0', '/ipfs/ping/1.0.0', '/spacedock/pairing/1.0.0']) {
      assert.ok(protocols.includes(protocol), `${protocol} is not among ${protocols.join(', ')}`)
    }
    const { ms = NaN } = await bob.call('libp2pPing', { address })
    assert.ok(ms > 0)
    saw(`${ms.toFixed(1)} ms, agent ${agent}`)
  })

  scenario(
    'a js-libp2p host identifies theirs, and pings it with /ipfs/ping/1.0.0',
    async ({ theirs, saw }) => {
      const bob = await theirs('bob')
      const host = await createLibp2p({
        transports: [tcp()],
        connectionEncrypters: [noise()],
        streamMuxers: [yamux()],
        services: { identify: identify(), ping: ping() },
      })
      try {
        const address = multiaddr(bob.addresses[0])
        const { remotePeer } = await host.dial(address)
        const ms = await host.services.ping.ping(remotePeer)
        let protocols: string[] = []
        const look = async (): Promise<void> => {
          protocols = (await host.peerStore.get(remotePeer)).protocols
        }
        await look()
        await until(() => {
          void look()
          // That it pings is known since the ping.
          return ['/spacedock/pairing/1.0.0', '/spacedock/session/1.0.0'].every((each) =>
            protocols.includes(each),
          )
        }, 'identify has told the protocols')
        saw(`${ms} ms`)
      } finally {
        await host.stop()
      }
    },
  )
}
