//! The key schedule: what the code gives, and what the key agreement gives.

use x25519_dalek::{PublicKey, StaticSecret};

use super::code::Entropy;
use super::fields::{Bytes32, expand, extract, fields};

/// What everybody who holds the code can compute.
#[derive(Clone)]
pub struct CodeKeys {
    /// What all others are expanded from.
    pub prk: Bytes32,
    pub session_id: [u8; 16],
    pub signing_key: Bytes32,
    pub record_key: Bytes32,
    pub joiner_signing_key: Bytes32,
    pub joiner_record_key: Bytes32,
    pub probe_key: Bytes32,
    /// Marks announcements on the local network.
    pub announcement_key: Bytes32,
    pub auth_key: Bytes32,
}

impl CodeKeys {
    pub fn new(entropy: &Entropy) -> Self {
        let prk = extract(b"spacedock/pairing/1", entropy);
        Self {
            prk,
            session_id: expand(&prk, b"session-id"),
            signing_key: expand(&prk, b"rendezvous-key"),
            record_key: expand(&prk, b"record-key"),
            joiner_signing_key: expand(&prk, b"joiner-rendezvous-key"),
            joiner_record_key: expand(&prk, b"joiner-record-key"),
            probe_key: expand(&prk, b"probe-key"),
            announcement_key: expand(&prk, b"announcement-key"),
            auth_key: expand(&prk, b"auth-key"),
        }
    }
}

pub fn share_of(secret: &Bytes32) -> Bytes32 {
    PublicKey::from(&StaticSecret::from(*secret)).to_bytes()
}

/// What the two sides of one attempt, and nobody else, can compute.
#[derive(Clone)]
pub struct AgreedKeys {
    pub shared_secret: Bytes32,
    pub root: Bytes32,
    pub joiner_proof: Bytes32,
    pub initiator_proof: Bytes32,
    pub acknowledgement: Bytes32,
    pub joiner_seal: Bytes32,
    pub initiator_seal: Bytes32,
}

impl AgreedKeys {
    /// `None` for a share of low order.
    pub fn agree(code: &CodeKeys, secret: &Bytes32, other_share: &Bytes32) -> Option<Self> {
        let shared = StaticSecret::from(*secret).diffie_hellman(&PublicKey::from(*other_share));
        if !shared.was_contributory() {
            return None;
        }
        let root = extract(&code.auth_key, shared.as_bytes());
        Some(Self {
            shared_secret: shared.to_bytes(),
            joiner_proof: expand(&root, b"joiner-proof"),
            initiator_proof: expand(&root, b"initiator-proof"),
            acknowledgement: expand(&root, b"acknowledgement"),
            joiner_seal: expand(&root, b"joiner-seal"),
            initiator_seal: expand(&root, b"initiator-seal"),
            root,
        })
    }

    /// The six digits that people compare.
    pub fn digits(&self, opening: &Bytes32) -> String {
        let number = u64::from_be_bytes(expand(&self.root, &fields(&[b"sas", opening])));
        format!("{:06}", number % 1_000_000)
    }

    pub fn pair_key(&self, complete: &Bytes32) -> Bytes32 {
        expand(&self.root, &fields(&[b"pair-key", complete]))
    }
}
