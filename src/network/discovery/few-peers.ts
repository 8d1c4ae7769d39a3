import type { CandidateSource } from './candidate-sources.ts'
import type { PeerId } from '../../pairing/peer-id.ts'

/** Limits a source to its first peers: anybody who may write into it could name new ones without end. */
export function fewPeers(source: CandidateSource, maxPeers: number): CandidateSource {
  return {
    name: source.name,
    find: async (search) => {
      const peers = new Set<PeerId>()
      await source.find({
        ...search,
        onCandidate(candidate) {
          if (peers.size < maxPeers) peers.add(candidate.peer)
          if (peers.has(candidate.peer)) search.onCandidate(candidate)
        },
      })
    },
  }
}
