import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NetworkInterfaceInfo } from 'node:os'
import { isOnLink } from '../../../src/network/addresses/on-link.ts'

const list = () => ({
  eth0: [
    info('IPv4', '20.3.4.5', '20.3.4.5/24'),
    info('IPv6', '2001:db8:1:2::5', '2001:db8:1:2::5/128'),
    info('IPv6', 'fe80::1', 'fe80::1/64'),
  ],
  lo: [{ ...info('IPv4', '127.0.0.1', '127.0.0.1/8'), internal: true }],
})

test('threat 45: neighbours are whoever is in the network of an interface, in IPv6 in its /64', () => {
  for (const ip of ['20.3.4.1', '20.3.4.255', '2001:db8:1:2::9', '2001:db8:1:2:ffff::1', 'fe80::2'])
    assert.equal(isOnLink(ip, list), true, ip)
  for (const ip of ['20.3.5.1', '8.8.8.8', '2001:db8:1:3::5', '::1', '127.0.0.1'])
    assert.equal(isOnLink(ip, list), false, ip)
})

function info(family: 'IPv4' | 'IPv6', address: string, cidr: string): NetworkInterfaceInfo {
  const common = { address, netmask: '', mac: '00:00:00:00:00:00', internal: false, cidr }
  return family === 'IPv4' ? { ...common, family } : { ...common, family, scopeid: 0 }
}
