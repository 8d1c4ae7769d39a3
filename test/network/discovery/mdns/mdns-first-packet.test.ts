import assert from 'node:assert/strict'
import { test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import fc from 'fast-check'
import { announcedAddresses } from '../../../../src/network/discovery/mdns/mdns-addresses.ts'
import { encodeAnnouncement } from '../../../../src/network/discovery/mdns/mdns-packets.ts'
import type { UsableInterface } from '../../../../src/network/interfaces.ts'
import { wire } from './simulated-lan.ts'
import { asPeer } from '../../../peers.ts'

/** Programs that keep what a name's first packet said, go-libp2p's among them, must be able to do with that. */

const peerId = asPeer('12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5')
const listening = ['/ip4/0.0.0.0/tcp/4001', '/ip6/::/tcp/4001'].map((address) => multiaddr(address))
const name = `${'a'.repeat(32)}._p2p._udp.local`

const cards = fc.record({
  ipv4: fc.boolean(),
  global: fc.boolean(),
  linkLocal: fc.boolean(),
})

/** A machine with as many network interfaces, in the order in which they get their turn. */
const machines = fc.array(cards, { minLength: 1, maxLength: 6 }).map((list) =>
  list.map(({ ipv4, global, linkLocal }, at): UsableInterface => ({
    name: `eth${at}`,
    ipv4: ipv4 ? [`10.${at}.0.2`] : [],
    ipv6: [...(linkLocal ? [`fe80::${at + 1}%eth${at}`] : []), ...(global ? [`2a02:${at}::2`] : [])],
    subnets: [],
    zone: `eth${at}`,
    loopback: false,
    virtual: false,
  })),
)

test('whichever packet of a start comes first, it names what its reader can dial, if the host has any such address', () => {
  fc.assert(
    fc.property(machines, (machine) => {
      const hasUsable = machine.some(({ ipv4, ipv6 }) => ipv4.length > 0 || ipv6.some(isGlobal))
      for (const network of machine) {
        const heard = readAsOthers(network, machine)
        if (heard === null) {
          assert.equal(network.ipv4.length + network.ipv6.length, 0)
          continue
        }
        assert.equal(heard.some(isGlobal), hasUsable, `${network.name}: ${heard.join()}`)
        if (hasUsable) assert.ok(isGlobal(heard[0] ?? ''), 'the usable come first')
        for (const own of [...network.ipv4, ...network.ipv6.map((each) => each.split('%')[0] ?? '')])
          assert.ok(
            heard.some((text) => text.includes(`/${own}/tcp/`)),
            `${own} of ${network.name} is told there`,
          )
      }
    }),
    { numRuns: 1_000 },
  )
})

function isGlobal(text: string): boolean {
  return !/fe80/u.test(text)
}

/** The strings of the last TXT record among the additionals; null when nothing is sent. */
function readAsOthers(network: UsableInterface, machine: readonly UsableInterface[]): string[] | null {
  const packet = encodeAnnouncement(name, announcedAddresses(listening, network, machine, peerId))
  if (packet === undefined) return null
  const { additionals } = wire.decode(wire.encode(packet))
  const text = additionals.findLast(({ type }) => type === 'TXT')
  return text?.type === 'TXT' ? [text.data].flat().map(String) : null
}
