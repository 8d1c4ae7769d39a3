import type { PeerId } from '../../pairing/peer-id.ts'
import { sameMac } from '../../pairing/proofs.ts'
import { LimitedClient } from '../dht/limited-client.ts'
import { PeerPresence, type FollowedPeer, type PresenceKeySource } from './peer-presence.ts'
import { PresenceEpochs } from './presence-epochs.ts'
import type { RecordParts } from './record-parts.ts'

export interface PresenceOptions {
  records: RecordParts
  /** All devices; those that are trusted have a key. */
  peers: ReadonlyMap<PeerId, FollowedPeer>
  /** Called when the keys have changed: the public network may take a new identity then, so that nobody can link the two. */
  onEpoch: () => void
  keys: PresenceKeySource
}

/**
 * Lets paired devices find each other again after both have moved: each keeps a record in the DHT for each other one, under keys
 * that only the two can compute and that change every six hours. PROTOCOL.md, "Presence". What is known of one device's record
 * lies in its `PeerPresence`.
 */
export class PresenceRecords {
  readonly #records: RecordParts
  readonly #peers: ReadonlyMap<PeerId, FollowedPeer>
  readonly #epochs: PresenceEpochs
  readonly #keys: PresenceKeySource
  #isRunning = false
  #stopNodes: () => void = () => {}

  constructor({ records, peers, onEpoch, keys }: PresenceOptions) {
    this.#keys = keys
    this.#records = { ...records, client: new LimitedClient(records.client, maxQueries) }
    this.#peers = peers
    this.#epochs = new PresenceEpochs(records.clock, onEpoch)
  }

  start(): void {
    this.#isRunning = true
    this.#epochs.start()
    this.#stopNodes = this.#records.client.onNode(() => {
      for (const { presence } of this.#peers.values()) presence?.nodeCame()
    })
    this.peersChanged()
  }

  async stop(): Promise<void> {
    this.#isRunning = false
    this.#epochs.stop()
    this.#stopNodes()
    await Promise.all([...this.#peers.values()].map(unfollow))
  }

  /** Follows a change of the set of devices, or of their keys. */
  peersChanged(): void {
    if (!this.#isRunning) return
    for (const peer of this.#peers.values()) {
      const { presence, pairKey } = peer
      if (presence !== null && (pairKey === null || !sameMac(pairKey, presence.pairKey))) void unfollow(peer)
      if (pairKey === null || peer.presence !== null) continue
      peer.presence = this.#follow(peer, pairKey)
    }
  }

  /** Starts over with a device whose keys have changed. */
  keysChanged(id: PeerId): void {
    const peer = this.#peers.get(id)
    if (!this.#isRunning || peer === undefined || peer.pairKey === null) return
    void unfollow(peer)
    peer.presence = this.#follow(peer, peer.pairKey)
  }

  #follow(peer: FollowedPeer, pairKey: Uint8Array): PeerPresence {
    const parts = { records: this.#records, epochs: this.#epochs, keys: this.#keys }
    return new PeerPresence(peer, pairKey, parts)
  }

  /** Looks at once for every device, since this one may have changed networks. */
  look(): void {
    this.#epochs.check()
    for (const { presence } of this.#peers.values()) presence?.look()
  }
}

async function unfollow(peer: FollowedPeer): Promise<void> {
  const { presence } = peer
  peer.presence = null
  await presence?.stop()
}

/** Limit of concurrent queries: devices behind one network ask one DHT, and not all at once. */
const maxQueries = 4
