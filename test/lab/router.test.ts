import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createLab } from './lab.ts'
import { answerUdp, mappedPorts, tcpOutcome } from './probes.ts'
import { whyNoLab } from './requirements.ts'

describe('a router', { skip: await whyNoLab() }, () => {
  for (const [unsolicited, outcome] of [
    ['drop', 'no answer'],
    ['reset', 'ECONNREFUSED'],
    ['icmp', 'ECONNREFUSED'],
  ] as const) {
    test(`meets TCP that nobody inside asked for with: ${unsolicited}`, async () => {
      await using lab = await createLab()
      const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
      const internet = await lab.lan('internet', { ipv4: '20.3.4.0/24' })
      const stranger = await lab.host('stranger', [internet])
      const router = await lab.router('router', { inside: home, outside: internet, unsolicited })
      const stop = await lab.capture(internet)
      assert.equal(await tcpOutcome(stranger, router.address(internet), 4000, 500), outcome)
      const answers = tcpdumpHas(await stop())
      assert.deepEqual(answers, { reset: unsolicited === 'reset', icmp: unsolicited === 'icmp' })
    })
  }

  test('whose NAT is sequential gives each destination the next port', async () => {
    await using lab = await createLab()
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const internet = await lab.lan('internet', { ipv4: '20.3.4.0/24' })
    const observers = [await lab.host('one', [internet]), await lab.host('two', [internet])]
    await lab.router('router', { inside: home, outside: internet, nat: 'sequential' })
    const alice = await lab.host('alice', [home])
    for (const observer of observers) await answerUdp(observer, observer.address(internet), 4000)
    const addresses = observers.map((observer) => observer.address(internet))
    const mappings = await mappedPorts(alice, addresses, 4000)
    const ports = mappings.flatMap(({ seen }) => seen.map(({ port }) => port)).sort((a, b) => a - b)
    assert.equal(ports.length, 16)
    assert.deepEqual(
      ports,
      ports.map((_, index) => (ports[0] ?? 0) + index),
    )
  })
})

/** Which IPv4 answers there are among the Ethernet frames of a pcap file. */
function tcpdumpHas(pcap: Buffer): { reset: boolean; icmp: boolean } {
  const found = { reset: false, icmp: false }
  for (let offset = 24; offset + 16 <= pcap.length;) {
    const length = pcap.readUInt32LE(offset + 8)
    const frame = pcap.subarray(offset + 16, offset + 16 + length)
    offset += 16 + length
    if (frame.length < 48 || frame.readUInt16BE(12) !== 0x0800) continue
    const protocol = frame[23]
    if (protocol === 1) found.icmp = true
    if (protocol === 6 && ((frame[47] ?? 0) & 0x04) !== 0) found.reset = true
  }
  return found
}
