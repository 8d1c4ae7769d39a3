import { withZones } from '../addresses/link-local-addresses.ts'
import { parsePeerAddress } from '../addresses/peer-address.ts'
import { usableInterfaces } from '../interfaces.ts'
import type { CandidateSource } from './candidate-sources.ts'
import type { PeerId } from '../../pairing/peer-id.ts'

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
    const zoned = withZones(address, usableInterfaces)
    peers.set(peer, [...(peers.get(peer) ?? []), ...zoned])
  }
  return peers
}
