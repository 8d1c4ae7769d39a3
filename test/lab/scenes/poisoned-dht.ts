import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import type { TestDevice } from '../../device.ts'
import { twoHomes } from '../homes.ts'
import { connectedBothWays, talkBothWays } from '../meeting.ts'
import { tcpOpens } from '../pcap.ts'
import { Poisoner, poisons } from '../poisoner.ts'
import { scene, timed } from '../scene.ts'

/** A device dials 48 invented peers in a minute at most, at one address each; the rest is for a slow machine. */
const maxDials = 2 * 48 * 3
/** Without its bounds a daemon grows by a few hundred MiB within the scene. */
const maxMemoryMiB = 250

scene(
  `of ${poisons.length + 1} rendezvous nodes one is honest, and the words still lead to the right device`,
  async (stage) => {
    const { lab, saw } = stage
    const internet = await lab.internet()
    const silent = await lab.host('silent', [internet])
    await silent.firewall({ dropInbound: true })
    const victim = silent.address(internet)
    const hostile = await Promise.all(
      poisons.map(async (poison, index) => {
        const host = await lab.host(`mallory${index}`, [internet])
        return Poisoner.start(host, { poison, listen: `/ip4/${host.address(internet)}/tcp/4111`, victim })
      }),
    )
    const { alice, bob, home, nodes } = await twoHomes(stage, {
      internet,
      more: hostile.map(({ address }) => address),
    })
    // Whoever asks and writes needs no secret of its relay.
    const honest = nodes[0]?.address.split('#')[0] ?? ''
    const stopCapture = await lab.capture(internet)
    await Promise.all([alice.device.up(), bob.device.up()])

    const pairing = alice.device.spawnCli(['pair', '--yes'])
    const { words } = await pairing.waitForEvent('code')
    await pairing.progress(
      ({ source, message }) => source === 'internet' && /published to [1-9]/u.test(String(message)),
    )
    // It moves, within its network, and writes a newer record: the one before is good for a rollback now.
    await alice.host.changeAddress(home, '10.1.0.77')
    await Promise.all(hostile.map((each) => each.hasOldRecord()))
    const flooding = performance.now()
    await Promise.all(hostile.map((each) => each.flood(honest)))
    const minutes = Math.ceil((performance.now() - flooding) / 60_000) + 1
    const joined = await timed(() =>
      bob.device.cli(['join', '-', '--yes'], { input: `${String(words)}\n`, deadlineMs: 120_000 }),
    )
    assert.equal(joined.result.code, 0, joined.result.stderr)
    assert.equal((await pairing.waitForEvent('paired')).device?.name, 'bob')
    await connectedBothWays(alice.device, bob.device)
    await talkBothWays(alice.device, bob.device)

    const counts = await Promise.all(hostile.map((each) => each.count()))
    const sum = (of: (count: (typeof counts)[number]) => number): number =>
      counts.reduce((total, count) => total + of(count), 0)
    for (const [index, { served }] of counts.entries()) assert.ok(served > 0, `${poisons[index]} was served`)
    assert.ok(sum(({ put }) => put) >= poisons.length * 1_000)
    const taken = sum((count) => count.taken)
    assert.ok(taken <= poisons.length * 60 * minutes, 'a peer has 60 writes in a minute at an honest server')
    const [named, dialled] = [sum((count) => count.named), tcpOpens(await stopCapture(), victim)]
    assert.ok(named > maxDials * 2, `${named} peers were invented`)
    assert.ok(dialled <= maxDials, `${dialled} connections to invented peers`)
    const memory = await Promise.all([alice.device, bob.device].map(memoryMiB))
    for (const each of memory) assert.ok(each < maxMemoryMiB, `${each} MiB`)
    saw(`joined in ${joined.took}; ${named} invented peers, ${dialled} dials; ${memory.join(' and ')} MiB`)
    saw(`${sum(({ put }) => put)} records sent to the honest node, ${taken} taken`)
  },
  { timeoutMs: 600_000 },
)

/** Resident memory of its daemon. */
async function memoryMiB(device: TestDevice): Promise<number> {
  const { pid } = await device.status()
  const status = await readFile(`/proc/${String(pid)}/status`, 'utf8')
  return Math.round(Number(/^VmRSS:\s+(\d+) kB/mu.exec(status)?.[1]) / 1_024)
}
