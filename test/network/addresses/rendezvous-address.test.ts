import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { SpacedockError } from '../../../src/errors.ts'
import { parseRendezvousAddress, withRelaySecret } from '../../../src/network/addresses/rendezvous-address.ts'
import { fakePeerId } from '../../threats/fake-peer-id.ts'

const address = `/dns4/meet.example.org/tcp/4111/p2p/${fakePeerId()}`

test('a secret stands behind the address, or none does', () => {
  const secret = new Uint8Array(randomBytes(16))
  const text = withRelaySecret(address, secret)
  assert.match(text, /#[\w-]{22}$/u)
  const parsed = parseRendezvousAddress(text)
  assert.deepEqual([String(parsed.address), parsed.secret], [address, secret])
  assert.equal(parseRendezvousAddress(address).secret, null)
})

test('threat 35: what is wrong about an address is said without its secret', () => {
  const secret = 'AAECAwQFBgcICQoLDA0ODw'
  for (const text of [
    `${address}#${secret}A`,
    `${address}#`,
    `${address}#${secret}#${secret}`,
    `/ip4/20.3.4.5/tcp/4111#${secret}`,
    `nonsense#${secret}`,
  ]) {
    assert.throws(
      () => parseRendezvousAddress(text),
      (error) =>
        error instanceof SpacedockError &&
        error.code === 'invalid-argument' &&
        !`${error.message} ${error.hint} ${String(error.cause)}`.includes(secret),
      text,
    )
  }
})
