import type { PeerId } from '../../pairing/peer-id.ts'
/**
 * Finds the initiator for a joiner: every source is asked at the same time, and each peer that any of them yields is a candidate.
 * Being found proves nothing, the pairing protocol does that; so it does not matter which source was first, and none can delay or
 * fail another.
 */
export function findCandidates(sources: readonly CandidateSource[], search: CandidateSearch): void {
  for (const source of sources) {
    source.find(search).catch((error: unknown) => {
      if (search.signal.aborted) return
      search.onStatus(source.name, 'unavailable', error instanceof Error ? error.message : String(error))
    })
  }
}

export type SourceName = 'local-network' | 'internet' | 'connected-peers' | 'addresses'

export interface CandidateSource {
  readonly name: SourceName
  /** Yields candidates, also the same one again when there is a reason to ask it again, until the signal aborts. */
  find(search: CandidateSearch): Promise<void>
}

export interface CandidateSearch {
  signal: AbortSignal
  onCandidate: (candidate: FoundPeer) => void
  onStatus: (source: SourceName, status: 'ready' | 'unavailable', detail: string) => void
}

export interface FoundPeer {
  /** Peer id, base58btc; the dialled host must prove to be it. */
  peer: PeerId
  /** Multiaddrs; empty when it is connected already. */
  addresses: readonly string[]
  /** Whether the sighting is news, such as an invitation just opened at that peer: then it is asked now. */
  urgent: boolean
  /** Whether a person gave its address. */
  given?: boolean
  /** Who says so, where anybody may: the IP address of a packet's sender. The peers of one sender have their turns together. */
  sender?: string
  /** Whether only a holder of the code can have said so. Other addresses of the peer count for nothing then. */
  marked?: boolean
}
