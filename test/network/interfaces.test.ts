import assert from 'node:assert/strict'
import { platform } from 'node:os'
import type { NetworkInterfaceInfo } from 'node:os'
import { test } from 'node:test'
import { usableInterfaces, watchInterfaces, onLink } from '../../src/network/interfaces.ts'
import type { UsableInterface } from '../../src/network/interfaces.ts'

const mac = '00:00:00:00:00:00'

function ipv4(address: string, { internal = false } = {}): NetworkInterfaceInfo {
  return { address, netmask: '255.255.255.0', family: 'IPv4', mac, internal, cidr: `${address}/24` }
}

function ipv6(address: string, { internal = false, scopeid = 0 } = {}): NetworkInterfaceInfo {
  return { address, netmask: 'ffff::', family: 'IPv6', mac, internal, cidr: `${address}/64`, scopeid }
}

const lo = [ipv4('127.0.0.1', { internal: true }), ipv6('::1', { internal: true })]
const names = (found: UsableInterface[]): string[] => found.map(({ name }) => name)

test('loopback is left out when there is another interface', () => {
  assert.deepEqual(names(usableInterfaces({}, () => ({ lo, eth0: [ipv4('10.0.0.2')] }))), ['eth0'])
})

test('loopback is used when there is no other interface', () => {
  assert.deepEqual(names(usableInterfaces({}, () => ({ lo }))), ['lo'])
})

const two = () => ({ lo, eth0: [ipv4('10.0.0.2')], eth1: [ipv4('10.1.0.2')] })
const linkLocal = () => ({ eth0: [ipv6('fd00::2'), ipv6('fe80::1', { scopeid: 7 })] })

test('exactly the named interfaces are used, loopback too, as far as they exist', () => {
  assert.deepEqual(names(usableInterfaces({ names: ['lo', 'eth1', 'eth7'] }, two)), ['eth1', 'lo'])
  assert.deepEqual(usableInterfaces({ names: ['eth7'] }, two), [])
})

test('interfaces of VPNs, containers and virtual machines come last', () => {
  const virtual = 'tun0 wg0 docker0 br-8c1 veth12 virbr0 tailscale0 ztabc utun3'.split(' ')
  const physical = ['eth0', 'enp3s0', 'wlan0', 'en0', 'br0', 'Ethernet', 'WLAN']
  const list = () => Object.fromEntries([...virtual, ...physical].map((name) => [name, [ipv4('10.0.0.2')]]))
  const found = usableInterfaces({}, list)
  assert.deepEqual(names(found), [...physical, ...virtual])
  assert.deepEqual(names(found.filter((each) => each.virtual)), virtual)
})

test('link-local IPv6 addresses keep the zone that they are good in', () => {
  const zone = platform() === 'win32' ? '7' : 'eth0'
  assert.deepEqual(usableInterfaces({}, linkLocal), [
    {
      name: 'eth0',
      ipv4: [],
      ipv6: ['fd00::2', `fe80::1%${zone}`],
      subnets: ['fd00::2/64', 'fe80::1/64'],
      zone,
      loopback: false,
      virtual: false,
    },
  ])
})

test('what is on the link of an interface without a network is what is in no other one', () => {
  const list = {
    eth0: [{ ...ipv4('10.9.0.1'), cidr: '10.9.0.1/32' }],
    eth1: [ipv4('10.1.0.2')],
    wg0: [{ ...ipv4('10.8.0.3'), cidr: '10.8.0.3/32' }],
  }
  const [eth1, eth0, wg0] = ['eth1', 'eth0', 'wg0'].map((name) =>
    usableInterfaces({ names: [name] }, () => list)
      .map((each) => onLink(each))
      .at(0),
  )
  for (const { address, on } of [
    { address: '10.9.0.1', on: [eth0] },
    { address: '10.9.0.2', on: [eth0, wg0] },
    { address: '10.1.0.9', on: [eth1] },
  ]) {
    for (const link of [eth0, eth1, wg0]) assert.equal(link?.includes(address), on.includes(link), address)
  }
  assert.equal(eth0?.includes('2001:db8::1'), false)
})

test('an interface without addresses is not usable', () => {
  assert.deepEqual(
    usableInterfaces({}, () => ({ eth0: [], eth1: undefined })),
    [],
  )
})

test('this machine has a usable interface', () => {
  assert.notEqual(usableInterfaces().length, 0)
})

test('a watcher is told of each change, and not after it stopped', async () => {
  let addresses = [ipv4('10.0.0.2')]
  let looked = 0
  const list = () => {
    looked++
    return { lo, eth0: addresses }
  }
  const changes: string[][] = []
  const next = { resolve: () => {} }
  const changed = () => new Promise<void>((resolve) => (next.resolve = resolve))
  const stop = watchInterfaces(
    (interfaces) => {
      changes.push(interfaces.flatMap((each) => each.ipv4))
      next.resolve()
    },
    { intervalMs: 1, list },
  )
  const keepAlive = setInterval(() => {}, 1_000) // the watcher does not
  try {
    const first = changed()
    addresses = [ipv4('10.0.0.3')]
    await first
    const second = changed()
    addresses = []
    await second
    assert.deepEqual(changes, [['10.0.0.3'], ['127.0.0.1']])
    stop()
    const before = looked
    await new Promise((resolve) => setTimeout(resolve, 20))
    assert.equal(looked, before)
  } finally {
    stop()
    clearInterval(keepAlive)
  }
})
