//! The notation of PROTOCOL.md: `H`, `MAC`, `Extract`, `Expand` and `fields`.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

pub type Bytes32 = [u8; 32];

/// Every part behind its length as a 4-byte big-endian number.
pub fn fields(parts: &[&[u8]]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        // Parts are at most some kilobytes: everything that is read has a bound.
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        encoded.extend_from_slice(&length.to_be_bytes());
        encoded.extend_from_slice(part);
    }
    encoded
}

pub fn hash(input: &[u8]) -> Bytes32 {
    Sha256::digest(input).into()
}

pub fn mac(key: &[u8], input: &[u8]) -> Bytes32 {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    hmac.update(input);
    hmac.finalize().into_bytes().into()
}

pub fn extract(salt: &[u8], input: &[u8]) -> Bytes32 {
    Hkdf::<Sha256>::extract(Some(salt), input).0.into()
}

pub fn expand<const LENGTH: usize>(key: &Bytes32, info: &[u8]) -> [u8; LENGTH] {
    const { assert!(LENGTH <= 255 * 32) };
    let mut output = [0; LENGTH];
    Hkdf::<Sha256>::from_prk(key)
        .expect("32 bytes are a key of HKDF with SHA-256")
        .expand(info, &mut output)
        .expect("HKDF gives up to 255 times 32 bytes");
    output
}

/// Compares in constant time.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// The first bytes of a longer value.
pub fn first<const LENGTH: usize>(value: &Bytes32) -> [u8; LENGTH] {
    const { assert!(LENGTH <= 32) };
    std::array::from_fn(|index| value[index])
}

/// Fresh random bytes. A machine that has none cannot go on.
pub fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
