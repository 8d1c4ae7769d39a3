import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { peerIdFromString } from '@libp2p/peer-id'
import { SpacedockError } from '../../errors.ts'
import type { CandidateSource } from './rendezvous.ts'

/** Peers whose addresses a person gave, by hand or inside a QR code. */
export function givenAddresses(addresses: readonly string[]): CandidateSource {
  const peers = groupByPeer(addresses)
  return {
    name: 'addresses',
    async find({ onCandidate, onStatus }) {
      if (peers.size === 0) return
      onStatus('addresses', 'ready', `${addresses.length} given`)
      for (const [peer, given] of peers) onCandidate({ peer, addresses: given, urgent: true })
    },
  }
}

function groupByPeer(addresses: readonly string[]): Map<string, string[]> {
  const peers = new Map<string, string[]>()
  for (const address of addresses) {
    const peer = parsePeerAddress(address).peer
    peers.set(peer, [...(peers.get(peer) ?? []), address])
  }
  return peers
}

/** A multiaddr that names the peer it leads to, so that nobody else can answer there. */
export function parsePeerAddress(text: string): { address: Multiaddr; peer: string } {
  const hint =
    'An address looks like /ip4/192.168.1.20/tcp/40123/p2p/12D3KooW...: `spacedock status` on the other device prints it.'
  try {
    const address = multiaddr(text)
    const last = address.getComponents().at(-1)
    if (last?.name === 'p2p' && last.value !== undefined) {
      return { address, peer: peerIdFromString(last.value).toString() }
    }
  } catch (error) {
    throw new SpacedockError('invalid-argument', `"${text.slice(0, 100)}" is not an address`, {
      hint,
      cause: error,
    })
  }
  throw new SpacedockError('invalid-argument', `the address ${text} does not say whose it is`, { hint })
}
