//! The transcript and the proofs over it. Names are those of PROTOCOL.md.

use libp2p::PeerId;

use super::fields::{Bytes32, fields, first, hash, mac};
use super::keys::{AgreedKeys, CodeKeys};
use super::message::Reason;

pub const SUITE: &str = "x25519-chacha20poly1305-sha256";

pub fn step(label: &str, parts: &[&[u8]]) -> Bytes32 {
    let label = format!("spacedock/pairing/1/{label}");
    let mut all = vec![label.as_bytes()];
    all.extend_from_slice(parts);
    hash(&fields(&all))
}

pub fn start(initiator: &PeerId, joiner: &PeerId) -> Bytes32 {
    let (initiator, joiner) = (initiator.to_base58(), joiner.to_base58());
    step("start", &[SUITE.as_bytes(), initiator.as_bytes(), joiner.as_bytes()])
}

pub fn commitment(nonce: &Bytes32, share: &Bytes32) -> Bytes32 {
    step("commitment", &[nonce, share])
}

pub fn request_probe(keys: &CodeKeys, start: &Bytes32, commitment: &Bytes32) -> [u8; 16] {
    first(&mac(&keys.probe_key, &fields(&[b"request", start, commitment])))
}

pub fn request(start: &Bytes32, commitment: &Bytes32, probe: &[u8; 16]) -> Bytes32 {
    step("request", &[start, commitment, probe])
}

pub fn challenge_probe(keys: &CodeKeys, request: &Bytes32, nonce: &Bytes32, share: &Bytes32) -> [u8; 16] {
    first(&mac(&keys.probe_key, &fields(&[b"challenge", request, nonce, share])))
}

pub fn challenge(request: &Bytes32, nonce: &Bytes32, share: &Bytes32) -> Bytes32 {
    step("challenge", &[request, nonce, share])
}

pub fn opening(challenge: &Bytes32, nonce: &Bytes32, share: &Bytes32) -> Bytes32 {
    step("opening", &[challenge, nonce, share])
}

pub fn response(opening: &Bytes32, sealed: &[u8]) -> Bytes32 {
    step("response", &[opening, sealed])
}

pub fn proved(response: &Bytes32, proof: &Bytes32) -> Bytes32 {
    step("proved", &[response, proof])
}

pub fn complete(response: &Bytes32, proof: &Bytes32, sealed: &[u8]) -> Bytes32 {
    step("complete", &[response, proof, sealed])
}

pub fn acknowledgement(keys: &AgreedKeys, complete: &Bytes32, proof: &Bytes32) -> Bytes32 {
    mac(&keys.acknowledgement, &fields(&[b"acknowledgement", complete, proof]))
}

/// Authenticates a refusal of a PairingRequest.
pub fn request_refusal(keys: &CodeKeys, request: &Bytes32, reason: Reason) -> Bytes32 {
    mac(&keys.probe_key, &fields(&[b"refused", request, reason.as_str().as_bytes()]))
}

/// Authenticates a refusal of a Response or a Confirmed.
pub fn response_refusal(keys: &AgreedKeys, response: &Bytes32, proof: &Bytes32, reason: Reason) -> Bytes32 {
    let refused = step("refused", &[response, proof, reason.as_str().as_bytes()]);
    mac(&keys.initiator_proof, &refused)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Initiator,
    Joiner,
}

pub fn cancel(keys: &CodeKeys, sender: Role, request: &Bytes32) -> Bytes32 {
    let sender: &[u8] = match sender {
        Role::Initiator => b"initiator",
        Role::Joiner => b"joiner",
    };
    mac(&keys.probe_key, &fields(&[b"cancel", sender, request]))
}
