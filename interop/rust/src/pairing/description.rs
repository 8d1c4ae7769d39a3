//! What a device tells about itself, sealed.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use serde::{Deserialize, Serialize};

use super::fields::Bytes32;
use super::message::{Fixed, SEALED_BYTES, Sealed};
use super::name::clean_name;

const PLAIN_BYTES: usize = SEALED_BYTES - 16;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    name: String,
}

/// Seals the name. Every sealing key seals one plaintext only, so the nonce may be zero.
pub fn seal_description(key: &Bytes32, associated: &Bytes32, name: &str) -> Sealed {
    let description = Description { name: clean_name(name) };
    let mut plain = serde_json::to_vec(&description).expect("a name is JSON");
    // A clean name of 48 UTF-16 units has at most 144 bytes, and 48 more for escapes.
    plain.resize(PLAIN_BYTES, b' ');
    let sealed = seal(key, associated, &plain);
    Fixed(sealed.try_into().expect("256 bytes and a tag of 16"))
}

/// The cleaned name; `None` when the seal is broken or the text is not exactly a description.
pub fn open_description(key: &Bytes32, associated: &Bytes32, sealed: &Sealed) -> Option<String> {
    let plain = open(key, associated, &sealed.0)?;
    let description: Description = serde_json::from_slice(&plain).ok()?;
    Some(clean_name(&description.name))
}

pub fn seal(key: &Bytes32, associated: &[u8], plain: &[u8]) -> Vec<u8> {
    let payload = Payload { msg: plain, aad: associated };
    ChaCha20Poly1305::new(key.into())
        .encrypt(&Nonce::default(), payload)
        .expect("ChaCha20-Poly1305 seals texts of this size")
}

pub fn open(key: &Bytes32, associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let payload = Payload { msg: sealed, aad: associated };
    ChaCha20Poly1305::new(key.into()).decrypt(&Nonce::default(), payload).ok()
}
