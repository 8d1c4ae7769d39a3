import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import type { TestDevice } from '../device.ts'
import type { CableOptions, Lan, NatKind, Unsolicited } from './lab.ts'
import { RendezvousNode } from './rendezvous-node.ts'
import type { Stage } from './scene.ts'

export interface HomesOptions {
  nats?: [NatKind, NatKind]
  /** How many rendezvous nodes. @default 1 */
  rendezvous?: number
  /** Whether these carry connections; without, they are nothing but a DHT. @default true */
  relay?: boolean
  /** At both routers. @default 'drop' */
  unsolicited?: Unsolicited
  /** Between each router and the public segment. @default short ones */
  uplink?: CableOptions
  /** The public segment, when it is there already. */
  internet?: Lan
  /** Addresses of other rendezvous nodes that the devices are given, too. */
  more?: readonly string[]
  /** Whether the devices log all that they do. @default false */
  debug?: boolean
}

/** Homes with a router each at a public segment, on which there are rendezvous nodes. */
export async function twoHomes(
  { lab, device }: Pick<Stage, 'lab' | 'device'>,
  {
    nats: [natAtHome, natAtWork] = ['port-preserving', 'port-preserving'],
    rendezvous = 1,
    relay = true,
    unsolicited = 'drop',
    uplink,
    internet,
    more = [],
    debug = false,
  }: HomesOptions = {},
) {
  internet ??= await lab.internet()
  const nodes: RendezvousNode[] = []
  for (let index = 0; index < rendezvous; index++) {
    const host = await lab.host(`meet${index}`, [internet])
    nodes.push(
      await RendezvousNode.start(host, [
        ...(relay ? [] : ['--max-devices', '0']),
        ...nodes.flatMap(({ address }) => ['--rendezvous', address]),
      ]),
    )
  }
  const known = [...more, ...nodes.map(({ address }) => address)]
  const args = [
    ...known.flatMap((address) => ['--rendezvous', address]),
    ...(debug ? ['--log-level', 'debug'] : []),
  ]
  const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
  const work = await lab.lan('work', { ipv4: '10.2.0.0/24' })
  const alice = await device('alice', [home], { args })
  const bob = await device('bob', [work], { args })
  const atHome = await lab.router('router-home', {
    inside: home,
    outside: internet,
    nat: natAtHome,
    unsolicited,
    uplink,
  })
  const atWork = await lab.router('router-work', {
    inside: work,
    outside: internet,
    nat: natAtWork,
    unsolicited,
    uplink,
  })
  return { internet, nodes, home, work, alice, bob, routers: { home: atHome, work: atWork } }
}

/** Waits until both say, with `devices --json`, that they are connected like this. */
export async function onPath(
  one: TestDevice,
  other: TestDevice,
  path: 'direct' | 'relayed',
  { deadlineMs = 60_000 } = {},
): Promise<void> {
  const deadline = performance.now() + deadlineMs
  for (;;) {
    const seen = [
      await one.waitForState(other.name, 'connected', { deadlineMs }),
      await other.waitForState(one.name, 'connected', { deadlineMs }),
    ]
    if (seen.every((device) => device.path === path)) return
    assert.ok(performance.now() < deadline, `not ${path}: ${JSON.stringify(seen)}`)
    await wait(200)
  }
}

/** How the sessions of a device went, one after the other, by its log. */
export function sessionPaths(device: TestDevice): ('direct' | 'relayed')[] {
  return sessionsOf(device).map(({ path }) => path)
}

/** How long after the first of its sessions the first direct one began, by its log; in milliseconds. */
export function untilDirectMs(device: TestDevice): number {
  const sessions = sessionsOf(device)
  const direct = sessions.find(({ path }) => path === 'direct')
  assert.ok(direct !== undefined, `${device.name} has had no direct session`)
  return direct.atMs - (sessions[0]?.atMs ?? 0)
}

function sessionsOf(device: TestDevice): { path: 'direct' | 'relayed'; atMs: number }[] {
  return device.events('session.started').map(({ address, atMs }) => ({
    path: String(address).includes('/p2p-circuit') ? 'relayed' : 'direct',
    atMs,
  }))
}
