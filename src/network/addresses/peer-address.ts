import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { peerIdFromString } from '@libp2p/peer-id'
import { SpacedockError } from '../../errors.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import { peerIdOf } from '../../libp2p-peer.ts'

/** Option in which an address was given. */
type AddressOption = 'peers' | 'rendezvous' | 'dhtBootstrap'

/** Parses a multiaddr that names its peer, so that nobody else can answer there. Throws `invalid-argument`. */
export function parsePeerAddress(
  text: string,
  option: AddressOption = 'peers',
): { address: Multiaddr; peer: PeerId } {
  const bad = (problem: string, cause?: unknown): SpacedockError =>
    badAddress(text, problem, { option, cause })
  try {
    const address = multiaddr(text)
    const components = address.getComponents()
    const last = components.at(-1)
    if (last?.name !== 'p2p' || last.value === undefined) throw bad('does not say whose it is')
    if (!components.some(({ name }) => name === 'tcp' || name === 'dnsaddr')) {
      throw bad('names no TCP port')
    }
    return { address, peer: peerIdOf(peerIdFromString(last.value)) }
  } catch (error) {
    throw error instanceof SpacedockError ? error : bad('is not one of a device', error)
  }
}

function badAddress(
  text: string,
  problem: string,
  details: { option: AddressOption; cause: unknown },
): SpacedockError {
  const shown = text.length > 100 ? `${text.slice(0, 100)}…` : text
  return new SpacedockError('invalid-argument', `The address "${shown}" ${problem}.`, {
    hint: 'It looks like /ip4/192.168.1.20/tcp/40123/p2p/12D3KooW...',
    ...details,
  })
}
