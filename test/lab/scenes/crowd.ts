import assert from 'node:assert/strict'
import { pairDevices } from '../../device.ts'
import { connectedBothWays } from '../meeting.ts'
import { udpPackets } from '../pcap.ts'
import { scene, timed } from '../scene.ts'

const crowd = 20
/**
 * mDNS packets of a device from its start until the pairing is over, over IPv4 and IPv6 together. The schedule says about
 * six in the first minute for each family; the pairing adds a question to all, its answers, and two announcements.
 */
const maxPacketsOnAverage = 20
const maxPacketsOfOne = 40

scene(
  `${crowd} devices are on one LAN, two of them pair, and nobody is loud`,
  async ({ lab, device, saw }) => {
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const stopCapture = await lab.capture(home)
    const actors = await Promise.all(
      Array.from({ length: crowd }, (_, index) => device(`device${index + 1}`, [home])),
    )
    const started = await timed(() => Promise.all(actors.map((actor) => actor.device.up())))
    const [alice, bob] = actors
    assert.ok(alice && bob)
    const paired = await timed(() => pairDevices(alice.device, bob.device))
    await connectedBothWays(alice.device, bob.device)
    for (const other of actors.slice(2)) assert.deepEqual(await other.device.devices(), [])

    const counts = new Map<string, number>()
    for (const { sender, destinationPort } of udpPackets(await stopCapture())) {
      if (destinationPort === 5353) counts.set(sender, (counts.get(sender) ?? 0) + 1)
    }
    assert.equal(counts.size, crowd, 'every device was heard')
    const most = Math.max(...counts.values())
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
    saw(`${crowd} daemons up in ${started.took}; paired in ${paired.took}`)
    saw(`${total} mDNS packets in all, ${most} from the loudest`)
    assert.ok(total <= crowd * maxPacketsOnAverage, `${total} packets`)
    assert.ok(most <= maxPacketsOfOne, `${most} packets from one device`)
  },
)
