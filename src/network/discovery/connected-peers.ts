import { addAbortListener } from 'node:events'
import type { PeerId as Libp2pPeerId } from '@libp2p/interface'
import type { Libp2p } from 'libp2p'
import type { CandidateSource } from './candidate-sources.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import { peerIdOf } from '../../libp2p-peer.ts'

/** Yields peers that are connected already, by libp2p or `otherwise`, except those known to be no device. */
export function connectedPeers(
  libp2p: Pick<Libp2p, 'getPeers' | 'addEventListener' | 'removeEventListener'>,
  isNoDevice: (peer: PeerId) => boolean = () => false,
  otherwise: readonly PeerId[] = [],
): CandidateSource {
  return {
    name: 'connected-peers',
    async find({ signal, onCandidate, onStatus }) {
      const found = (peer: PeerId, urgent: boolean): void => {
        if (!isNoDevice(peer)) onCandidate({ peer, addresses: [], urgent })
      }
      // The connection may have come because this device cannot dial the peer: then this is its first chance to ask.
      const onConnect = (event: CustomEvent<Libp2pPeerId>): void => found(peerIdOf(event.detail), true)
      libp2p.addEventListener('peer:connect', onConnect)
      addAbortListener(signal, () => libp2p.removeEventListener('peer:connect', onConnect))
      const all = new Set([...libp2p.getPeers().map(peerIdOf), ...otherwise])
      const peers = [...all].filter((peer) => !isNoDevice(peer))
      onStatus('connected-peers', 'ready', peers.length === 0 ? 'none yet' : String(peers.length))
      for (const peer of peers) found(peer, false)
    },
  }
}
