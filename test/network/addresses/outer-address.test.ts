import assert from 'node:assert/strict'
import { test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { behindOuterAddress, outerAddresses } from '../../../src/network/addresses/outer-address.ts'

const mapped = (port: number, seenAs: string) => ({ port, seenAs: multiaddr(seenAs) })

for (const [what, ports, expected] of [
  ['one that sees the port kept', [mapped(2001, '/ip4/20.3.4.5/tcp/2001')], ['/ip4/20.3.4.5/tcp/9/tcp/9']],
  ['one that sees another port', [mapped(2001, '/ip4/20.3.4.5/tcp/40000')], []],
  [
    'as many that see it kept as not',
    [mapped(2001, '/ip4/20.3.4.5/tcp/2001'), mapped(2002, '/ip4/20.3.4.5/tcp/40000')],
    [],
  ],
  ['a private address', [mapped(2001, '/ip4/10.0.0.5/tcp/2001')], []],
  ['a carrier’s shared address', [mapped(2001, '/ip4/100.64.0.5/tcp/2001')], []],
  ['a global IPv6 address', [mapped(2001, '/ip6/2a02:1::5/tcp/2001')], ['/ip6/2a02:1::5/tcp/9/tcp/9']],
  [
    'two liars, and two who agree',
    [
      mapped(2001, '/ip4/45.67.89.1/tcp/2001'),
      mapped(2002, '/ip4/45.67.89.2/tcp/2002'),
      mapped(2003, '/ip4/20.3.4.5/tcp/2003'),
      mapped(2004, '/ip4/20.3.4.5/tcp/2004'),
    ],
    ['/ip4/20.3.4.5/tcp/9/tcp/9', '/ip4/45.67.89.1/tcp/9/tcp/9'],
  ],
  ['nobody', [], []],
] as const) {
  test(`outer addresses, as seen by ${what}`, () => {
    assert.deepEqual(outerAddresses(ports, 9).map(String), expected)
  })
}

for (const [address, plain] of [
  ['/ip4/20.3.4.5/tcp/9/tcp/9', '/ip4/20.3.4.5/tcp/9'],
  ['/ip4/20.3.4.5/tcp/9', null],
  ['/ip4/20.3.4.5/tcp/9/tcp/10', null],
  ['/ip4/10.0.0.5/tcp/9/tcp/9', null],
  ['/ip4/169.254.169.254/tcp/80/tcp/80', null],
  ['/ip4/20.3.4.5/tcp/9/tcp/9/http', null],
  ['/dns4/example.org/tcp/9/tcp/9', null],
] as const) {
  test(`behind ${address} is ${plain ?? 'nothing to dial'}`, () => {
    const found = behindOuterAddress(multiaddr(address))
    assert.equal(found === null ? null : found.toString(), plain)
  })
}
