import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { peerIdFromString } from '@libp2p/peer-id'
import { SpacedockError } from '../../errors.ts'
import type { CandidateSource } from './candidate-sources.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import { peerIdOf } from '../../peer-id.ts'

/** Peers whose addresses a person gave, by hand or inside a QR code. */
export function givenAddresses(addresses: readonly string[]): CandidateSource {
  const peers = groupByPeer(addresses)
  return {
    name: 'addresses',
    async find({ onCandidate, onStatus }) {
      if (peers.size === 0) return
      onStatus('addresses', 'ready', `${addresses.length} given`)
      for (const [peer, given] of peers) onCandidate({ peer, addresses: given, urgent: true, given: true })
    },
  }
}

function groupByPeer(addresses: readonly string[]): Map<PeerId, string[]> {
  const peers = new Map<PeerId, string[]>()
  for (const address of addresses) {
    const peer = parsePeerAddress(address).peer
    peers.set(peer, [...(peers.get(peer) ?? []), address])
  }
  return peers
}

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
