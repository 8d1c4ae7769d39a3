import { randomBytes } from 'node:crypto'
import { libp2pPeer } from '../../libp2p-peer.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import {
  decodeTlsIdentity,
  deriveTlsKeys,
  encodeTlsIdentity,
  identityNonceBytes,
  isTlsIdentityOf,
  type TlsEnds,
  type TlsKeys,
} from './tls-identity.ts'

/** Pair keys of this device, as they are just now. */
export interface PairKeys {
  /** Every key by which a device may prove that it is paired: two at most of a device, the newest first. */
  pairKeys(): readonly { peer: PeerId; key: Uint8Array }[]
  /** Calls back when they have changed. */
  onPairKeysChanged(listener: () => void): void
}

/** Pre-shared key of a TLS handshake, with the name by which the dialling side says which it is. */
export interface TlsSecret {
  psk: Uint8Array
  identity: string
}

interface KnownKeys extends TlsKeys {
  peer: PeerId
  remotePeer: Uint8Array
  pairKey: Uint8Array
}

/** Identities that are remembered, so that none is answered twice: the oldest is forgotten. Some 2 MiB. */
const maxUsed = 16_384

/** Secrets of TLS connections with the devices that are paired now. */
export class TlsSecrets {
  readonly #localPeer: Uint8Array
  readonly #pairKeys: PairKeys
  /** Undefined when the pair keys have changed since they were derived. */
  #known: readonly KnownKeys[] | undefined
  /** Identities that were answered, the oldest first. */
  readonly #used = new Set<string>()

  constructor(localPeer: PeerId, pairKeys: PairKeys) {
    this.#localPeer = idBytes(localPeer)
    this.#pairKeys = pairKeys
    pairKeys.onPairKeysChanged(() => (this.#known = undefined))
  }

  /** Makes the secret for a connection to this device, never twice the same; null when it is not paired. `key`: which pair key it is. */
  toDial(peer: PeerId): (TlsSecret & { key: Uint8Array }) | null {
    const keys = this.#all().find((each) => each.peer === peer)
    if (keys === undefined) return null
    const ends: TlsEnds = { dialer: this.#localPeer, listener: keys.remotePeer }
    const identity = encodeTlsIdentity(keys.identityKey, ends, randomBytes(identityNonceBytes))
    return { psk: keys.psk, identity, key: keys.pairKey }
  }

  /**
   * Finds the device that this identity is of, at the cost of one MAC for each pair key; null when it is of none that is paired now,
   * or was answered before.
   */
  dialledBy(identity: string): { peer: PeerId; psk: Uint8Array } | null {
    const decoded = decodeTlsIdentity(identity)
    if (decoded === null || this.#used.has(identity)) return null
    const found = this.#all().find(({ identityKey, remotePeer }) =>
      isTlsIdentityOf(identityKey, { dialer: remotePeer, listener: this.#localPeer }, decoded),
    )
    if (found === undefined) return null
    this.#used.add(identity)
    const [oldest] = this.#used
    if (this.#used.size > maxUsed && oldest !== undefined) this.#used.delete(oldest)
    return { peer: found.peer, psk: found.psk }
  }

  #all(): readonly KnownKeys[] {
    return (this.#known ??= this.#pairKeys.pairKeys().map(({ peer, key }) => ({
      ...deriveTlsKeys(key),
      peer,
      remotePeer: idBytes(peer),
      pairKey: key,
    })))
  }
}

function idBytes(peer: PeerId): Uint8Array {
  return libp2pPeer(peer).toMultihash().bytes
}
