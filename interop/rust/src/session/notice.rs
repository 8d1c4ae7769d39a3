//! What proves to a device that it was revoked.

use libp2p::PeerId;

use crate::pairing::fields::{Bytes32, expand, fields, mac};

pub fn notice(pair_key: &Bytes32, revoker: &PeerId, revoked: &PeerId) -> Bytes32 {
    mac(&notice_key(pair_key), &fields(&[revoker.to_base58().as_bytes(), revoked.to_base58().as_bytes()]))
}

pub fn notice_key(pair_key: &Bytes32) -> Bytes32 {
    expand(pair_key, b"spacedock/session/1 farewell")
}
