import assert from 'node:assert/strict'
import { pairDevices } from '../../device.ts'
import { connectedBothWays } from '../meeting.ts'
import { udpPackets } from '../pcap.ts'
import { scene, timed } from '../scene.ts'

const crowd = 20
/**
 * mDNS packets of a device in so many seconds, over IPv4 and IPv6 together. On average a dozen (two announcements, the first questions and
 * answers, for each family) and one a second, of the two that everybody would send who answers everybody. None more than its pace lets
 * it: for each family, of questions and of answers, three at once and one a second.
 */
const mostOnAverage = (seconds: number): number => 12 + seconds
const mostOfOne = (seconds: number): number => 4 * (3 + seconds)

scene(
  `${crowd} devices are on one LAN, two of them pair, and nobody is loud`,
  async ({ lab, device, saw }) => {
    const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const stopCapture = await lab.capture(home)
    const startedAtMs = performance.now()
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
    const captured = await stopCapture()
    const seconds = (performance.now() - startedAtMs) / 1000
    for (const { sender, destinationPort } of udpPackets(captured)) {
      if (destinationPort === 5353) counts.set(sender, (counts.get(sender) ?? 0) + 1)
    }
    assert.equal(counts.size, crowd, 'every device was heard')
    const most = Math.max(...counts.values())
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
    saw(`${crowd} daemons up in ${started.took}; paired in ${paired.took}`)
    saw(`${total} mDNS packets in ${seconds.toFixed(0)} s, ${most} from the loudest`)
    assert.ok(total <= crowd * mostOnAverage(seconds), `${total} packets`)
    assert.ok(most <= mostOfOne(seconds), `${most} packets from one device`)
  },
)
