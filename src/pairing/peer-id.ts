declare const kind: unique symbol

/**
 * A peer's id as text: base58btc of the multihash of its public key
 * (https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md#string-representation). Only what was checked is one.
 */
export type PeerId = string & { readonly [kind]: 'PeerId' }
