//! The hello: each side proves that it holds the pair key.

use std::io;

use futures::{AsyncRead, AsyncWrite, AsyncWriteExt};
use libp2p::PeerId;

use super::frame::{Frame, Kind, read_frame};
use super::seal::{SealKeys, seal_key};
use crate::pairing::fields::{Bytes32, expand, fields, first, mac, same};

const VERSION: u8 = 1;
/// Version, instance and nonce.
const HEAD: usize = 1 + 16 + 32;
const MAX_KEYS: usize = 2;

/// What a side brings to the hello.
#[derive(Clone)]
pub struct Credentials {
    pub me: PeerId,
    pub peer: PeerId,
    /// Random, made once at the start of the program.
    pub instance: [u8; 16],
    /// Fresh random bytes for each hello.
    pub nonce: Bytes32,
    /// The newest first, two at most.
    pub keys: Vec<Bytes32>,
}

/// What both sides know after it.
pub struct Greeted {
    pub pair_key: Bytes32,
    /// The other side's.
    pub instance: [u8; 16],
    pub seal: SealKeys,
}

#[derive(Debug)]
pub enum HelloError {
    Unknown,
    /// Notices, one after the other.
    Revoked(Vec<u8>),
    /// The versions that the other side speaks.
    OtherVersion(Vec<u8>),
    /// Nothing but a failed attempt.
    Broken(io::Error),
}

impl From<io::Error> for HelloError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

pub async fn greet_as_dialer<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    mine: &Credentials,
) -> Result<Greeted, HelloError> {
    let (dialer, listener) = (mine.me.to_bytes(), mine.peer.to_bytes());
    let mut hello = head(mine);
    for key in mine.keys.iter().take(MAX_KEYS) {
        hello.extend(key_id(key, &dialer, &listener, &mine.nonce));
    }
    write(stream, Kind::DialerHello, hello.clone()).await?;

    let answer = read(stream).await?;
    match answer.kind {
        Kind::ListenerHello => {}
        Kind::UnknownDevice => return Err(HelloError::Unknown),
        Kind::Revoked => return Err(HelloError::Revoked(answer.payload)),
        Kind::OtherVersion => return Err(part_with_other_version(stream, answer.payload).await?),
        _ => return Err(broken("no hello of a listener")),
    }
    let Some((head, proved)) = answer.payload.split_first_chunk::<HEAD>() else {
        return Err(broken("a hello that is too short"));
    };
    if head[0] != VERSION {
        return Err(broken("a hello of another version"));
    }
    let proof = |key: &Bytes32, role: &[u8]| {
        mac(&proof_key(key), &fields(&[role, &dialer, &listener, &hello, head.as_slice()]))
    };
    let pair_key = mine.keys.iter().find(|key| same(proved, &proof(key, b"listener")));
    let pair_key = *pair_key.ok_or_else(|| broken("a wrong proof of the listener"))?;
    write(stream, Kind::DialerProof, proof(&pair_key, b"dialer").to_vec()).await?;
    let seals = |role: &[u8]| {
        mac(&seal_key(&pair_key), &fields(&[role, &dialer, &listener, &hello, head.as_slice()]))
    };
    let seal = SealKeys { sends: seals(b"dialer"), receives: seals(b"listener") };
    Ok(Greeted { pair_key, instance: instance_of(head), seal })
}

pub async fn greet_as_listener<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    mine: &Credentials,
) -> Result<Greeted, HelloError> {
    let (dialer, listener) = (mine.peer.to_bytes(), mine.me.to_bytes());
    let hello = read(stream).await?;
    let payload = hello.payload.as_slice();
    if hello.kind == Kind::DialerHello && payload[0] != VERSION {
        return Err(part_with_other_version(stream, vec![payload[0]]).await?);
    }
    let Some((head_of_dialer, key_ids)) = payload.split_first_chunk::<HEAD>() else {
        return Err(broken("a hello that is too short"));
    };
    let offered: Vec<&[u8]> = key_ids.chunks(16).collect();
    let whole = key_ids.len() % 16 == 0 && (1..=MAX_KEYS).contains(&offered.len());
    if hello.kind != Kind::DialerHello || !whole {
        return Err(broken("no hello of a dialer"));
    }
    let nonce = &head_of_dialer[17..];
    let is_offered = |key: &&Bytes32| {
        let id = key_id(key, &dialer, &listener, nonce);
        offered.iter().any(|offered| same(offered, &id))
    };
    let Some(pair_key) = mine.keys.iter().find(is_offered) else {
        refuse(stream, &[]).await?;
        return Err(HelloError::Unknown);
    };
    let head = head(mine);
    let proof = |role: &[u8]| mac(&proof_key(pair_key), &fields(&[role, &dialer, &listener, payload, &head]));
    let answer = [head.as_slice(), &proof(b"listener")].concat();
    write(stream, Kind::ListenerHello, answer).await?;

    let last = read(stream).await?;
    if last.kind != Kind::DialerProof || !same(&last.payload, &proof(b"dialer")) {
        return Err(broken("a wrong proof of the dialer"));
    }
    let seals = |role: &[u8]| mac(&seal_key(pair_key), &fields(&[role, &dialer, &listener, payload, &head]));
    let seal = SealKeys { sends: seals(b"listener"), receives: seals(b"dialer") };
    Ok(Greeted { pair_key: *pair_key, instance: instance_of(head_of_dialer), seal })
}

/// Tells a peer that it is not known, or with notices that it was revoked, and closes.
pub async fn refuse<S: AsyncWrite + Unpin>(stream: &mut S, notices: &[u8]) -> io::Result<()> {
    let kind = if notices.is_empty() { Kind::UnknownDevice } else { Kind::Revoked };
    write(stream, kind, notices.to_vec()).await?;
    stream.close().await
}

/// Says which version this side speaks, and closes; `theirs` are those of the other side.
async fn part_with_other_version<S: AsyncWrite + Unpin>(
    stream: &mut S,
    theirs: Vec<u8>,
) -> io::Result<HelloError> {
    write(stream, Kind::OtherVersion, vec![VERSION]).await?;
    stream.close().await?;
    Ok(HelloError::OtherVersion(theirs))
}

fn head(mine: &Credentials) -> Vec<u8> {
    [[VERSION].as_slice(), &mine.instance, &mine.nonce].concat()
}

fn instance_of(head: &[u8; HEAD]) -> [u8; 16] {
    std::array::from_fn(|index| head[1 + index])
}

fn key_id(key: &Bytes32, dialer: &[u8], listener: &[u8], nonce: &[u8]) -> [u8; 16] {
    first(&mac(&id_key(key), &fields(&[dialer, listener, nonce])))
}

/// What the ids of a pair key are made with.
pub fn id_key(key: &Bytes32) -> Bytes32 {
    expand(key, b"spacedock/session/1 key-id")
}

/// What the proofs of a pair key are made with.
pub fn proof_key(key: &Bytes32) -> Bytes32 {
    expand(key, b"spacedock/session/1 proof")
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, kind: Kind, payload: Vec<u8>) -> io::Result<()> {
    stream.write_all(&Frame::new(kind, 0, payload).encode()).await?;
    stream.flush().await
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Frame> {
    read_frame(stream).await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn broken(what: &str) -> HelloError {
    HelloError::Broken(io::Error::new(io::ErrorKind::InvalidData, what))
}
