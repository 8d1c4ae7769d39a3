import { base64urlnopad } from '@scure/base'
import type { Multiaddr } from '@multiformats/multiaddr'
import { SpacedockError } from '../../errors.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import { parsePeerAddress } from './peer-address.ts'

/** Address of a rendezvous node as a person is given it: a multiaddr, and behind `#` the secret of its relay, if it has one. */
export interface RendezvousAddress {
  address: Multiaddr
  peer: PeerId
  /** 16 bytes. */
  secret: Uint8Array | null
}

export const relaySecretLength = 16

/** Parses `MULTIADDR/p2p/PEERID#SECRET`, or without the secret. Throws `invalid-argument`, whose text holds no secret. */
export function parseRendezvousAddress(text: string): RendezvousAddress {
  const [address = '', secret, ...more] = text.split('#')
  const parsed = parsePeerAddress(address, 'rendezvous')
  if (secret === undefined) return { ...parsed, secret: null }
  const bytes = more.length === 0 ? decodeRelaySecret(secret) : null
  if (bytes === null)
    throw new SpacedockError(
      'invalid-argument',
      'What stands behind # in a rendezvous address is no secret.',
      {
        hint: 'Copy the whole address as the rendezvous node shows it; what stands behind # has 22 characters.',
        option: 'rendezvous',
      },
    )
  return { ...parsed, secret: bytes }
}

/** Decodes 22 characters of base64url; null for anything else. */
export function decodeRelaySecret(text: string): Uint8Array | null {
  try {
    const bytes = base64urlnopad.decode(text)
    return bytes.length === relaySecretLength ? bytes : null
  } catch {
    return null
  }
}

export function withRelaySecret(address: string, secret: Uint8Array): string {
  return `${address}#${base64urlnopad.encode(Uint8Array.from(secret))}`
}
