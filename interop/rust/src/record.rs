//! The address record: an IPNS record, version 2, whose value only holders of a key can read.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use libp2p::identity::{Keypair, PublicKey};
use libp2p::{Multiaddr, PeerId};
use minicbor::{Decoder, Encoder};
use serde::{Deserialize, Serialize};

use crate::pairing::description::{open, seal};
use crate::pairing::fields::{Bytes32, expand, fields, same};
use crate::pairing::keys::CodeKeys;

const MAX_RECORD_BYTES: usize = 2048;
const CONTENT_BYTES: usize = 1024;
const MAX_ADDRESSES: usize = 12;
const MAX_ADDRESS_CHARACTERS: usize = 512;
const TIME_TO_LIVE_NS: u64 = 60_000_000_000;
const RECORD_VERSION: u8 = 1;
const SIGNATURE_FIELD: u8 = 8 << 3 | 2;
const DATA_FIELD: u8 = 9 << 3 | 2;

/// Who may write a record, and who may read it.
#[derive(Clone)]
pub struct RecordKeys {
    identity: Keypair,
    record_key: Bytes32,
}

impl PartialEq for RecordKeys {
    fn eq(&self, other: &Self) -> bool {
        self.identity.public() == other.identity.public() && same(&self.record_key, &other.record_key)
    }
}

/// What a record says.
#[derive(Debug, PartialEq, Eq)]
pub struct Whereabouts {
    pub peer: PeerId,
    pub addresses: Vec<Multiaddr>,
    pub sequence: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    peer: String,
    addresses: Vec<String>,
}

impl RecordKeys {
    pub fn new(signing_seed: &Bytes32, record_key: &Bytes32) -> Option<Self> {
        let identity = Keypair::ed25519_from_bytes(*signing_seed).ok()?;
        Some(Self { identity, record_key: *record_key })
    }

    /// Of the record that the one who shows the code leaves.
    pub fn initiators(code: &CodeKeys) -> Option<Self> {
        Self::new(&code.signing_key, &code.record_key)
    }

    /// Of the record that the one who types the code leaves.
    pub fn joiners(code: &CodeKeys) -> Option<Self> {
        Self::new(&code.joiner_signing_key, &code.joiner_record_key)
    }

    /// Of the record that `writer` leaves in an epoch for the device with which it has the pair key.
    pub fn presence(pair_key: &Bytes32, writer: &PeerId, epoch: u64) -> Option<Self> {
        let (writer, epoch) = (writer.to_base58(), epoch.to_string());
        let derive = |label: &[u8]| expand(pair_key, &fields(&[label, writer.as_bytes(), epoch.as_bytes()]));
        Self::new(&derive(b"presence-signing-seed"), &derive(b"presence-record-key"))
    }

    /// Where the DHT keeps the record.
    pub fn routing_key(&self) -> Vec<u8> {
        let mut key = b"/ipns/".to_vec();
        key.extend(self.identity.public().to_peer_id().to_bytes());
        key
    }

    /// A record with the first addresses that fit. `validity` is RFC 3339 with nine decimals.
    pub fn write(&self, whereabouts: &Whereabouts, validity: &str, nonce: &Bytes32) -> Option<Vec<u8>> {
        let sequence = whereabouts.sequence;
        let sealed = seal(&self.sealing_key(nonce), &associated(sequence), &content_of(whereabouts)?);
        let mut value = vec![RECORD_VERSION];
        value.extend_from_slice(nonce);
        value.extend(sealed);
        let value = format!("/{}", URL_SAFE_NO_PAD.encode(value));
        let data = write_data(value.as_bytes(), validity.as_bytes(), sequence)?;
        let signature = self.identity.sign(&signed(&data)).ok()?;
        let mut record = Vec::new();
        write_field(&mut record, SIGNATURE_FIELD, &signature);
        write_field(&mut record, DATA_FIELD, &data);
        (record.len() <= MAX_RECORD_BYTES).then_some(record)
    }

    /// `None` for everything that is not exactly a record under these keys.
    pub fn read(&self, record: &[u8]) -> Option<Whereabouts> {
        if record.len() > MAX_RECORD_BYTES {
            return None;
        }
        let (signature, rest) = read_field(record, SIGNATURE_FIELD)?;
        let (data, rest) = read_field(rest, DATA_FIELD)?;
        let (value, sequence) =
            rest.is_empty().then(|| read_signed(&self.identity.public(), signature, data))??;
        let value = URL_SAFE_NO_PAD.decode(value.strip_prefix(b"/")?).ok()?;
        let (version, rest) = value.split_first()?;
        let (nonce, sealed) = rest.split_first_chunk::<32>()?;
        if *version != RECORD_VERSION {
            return None;
        }
        let content = open(&self.sealing_key(nonce), &associated(sequence), sealed)?;
        read_content(&content, sequence)
    }

    fn sealing_key(&self, nonce: &Bytes32) -> Bytes32 {
        expand(&self.record_key, &fields(&[b"rendezvous-record", nonce]))
    }
}

fn associated(sequence: u64) -> Vec<u8> {
    fields(&[b"rendezvous-record", sequence.to_string().as_bytes()])
}

/// As many addresses as fit into the content, which always has the same length.
fn content_of(whereabouts: &Whereabouts) -> Option<Vec<u8>> {
    let mut addresses: Vec<String> =
        whereabouts.addresses.iter().take(MAX_ADDRESSES).map(Multiaddr::to_string).collect();
    loop {
        let content = Content { peer: whereabouts.peer.to_base58(), addresses };
        let mut text = serde_json::to_vec(&content).ok()?;
        if text.len() <= CONTENT_BYTES {
            text.resize(CONTENT_BYTES, b' ');
            return Some(text);
        }
        addresses = content.addresses;
        addresses.pop()?;
    }
}

fn read_content(text: &[u8], sequence: u64) -> Option<Whereabouts> {
    let content: Content = (text.len() == CONTENT_BYTES).then(|| serde_json::from_slice(text).ok())??;
    let fits = |address: &String| {
        address.len() <= MAX_ADDRESS_CHARACTERS && address.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if content.addresses.len() > MAX_ADDRESSES || !content.addresses.iter().all(fits) {
        return None;
    }
    // An address of a kind that this device does not know is no fault of the record.
    let addresses = content.addresses.iter().filter_map(|address| address.parse().ok()).collect();
    Some(Whereabouts { peer: content.peer.parse().ok()?, addresses, sequence })
}

fn signed(data: &[u8]) -> Vec<u8> {
    [b"ipns-signature:", data].concat()
}

/// DAG-CBOR: keys by length, then by bytes.
fn write_data(value: &[u8], validity: &[u8], sequence: u64) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    let mut encoder = Encoder::new(&mut data);
    encoder.map(5).ok()?.str("TTL").ok()?.u64(TIME_TO_LIVE_NS).ok()?;
    encoder.str("Value").ok()?.bytes(value).ok()?;
    encoder.str("Sequence").ok()?.u64(sequence).ok()?;
    encoder.str("Validity").ok()?.bytes(validity).ok()?;
    encoder.str("ValidityType").ok()?.u8(0).ok()?;
    Some(data)
}

fn read_signed<'a>(writer: &PublicKey, signature: &[u8], data: &'a [u8]) -> Option<(&'a [u8], u64)> {
    if !writer.verify(&signed(data), signature) {
        return None;
    }
    let mut decoder = Decoder::new(data);
    let fields = decoder.map().ok()??;
    let (mut value, mut sequence, mut seen) = (None, None, 0);
    for _ in 0..fields.min(5) {
        match decoder.str().ok()? {
            "Value" => value = Some(decoder.bytes().ok()?),
            "Sequence" => sequence = Some(decoder.u64().ok()?),
            "Validity" => _ = decoder.bytes().ok()?,
            "ValidityType" if decoder.u64().ok()? == 0 => {}
            "TTL" => _ = decoder.u64().ok()?,
            _ => return None,
        }
        seen += 1;
    }
    let whole = seen == 5 && fields == 5 && decoder.position() == data.len();
    whole.then_some((value?, sequence?))
}

/// A protobuf field of bytes, of less than 2^14 bytes.
fn write_field(output: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    output.push(tag);
    let length = bytes.len();
    if length >= 0x80 {
        output.push((length & 0x7f) as u8 | 0x80);
        output.push((length >> 7) as u8);
    } else {
        output.push(length as u8);
    }
    output.extend_from_slice(bytes);
}

fn read_field(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let rest = input.strip_prefix(&[tag])?;
    let (low, rest) = rest.split_first()?;
    let (length, rest) = if *low < 0x80 {
        (usize::from(*low), rest)
    } else {
        let (high, rest) = rest.split_first()?;
        // Shortest form only, in at most two bytes.
        let short = (1..0x80).contains(high);
        (short.then(|| usize::from(*low & 0x7f) | usize::from(*high) << 7)?, rest)
    };
    rest.split_at_checked(length)
}
