/**
 * Id of a peer as text: base58btc of the multihash of its public key
 * (https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md#string-representation). Only a checked text is one; the
 * property is there for the compiler alone.
 */
export type PeerId = string & { readonly '~kind': 'PeerId' }
