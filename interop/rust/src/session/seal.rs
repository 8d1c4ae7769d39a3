//! Sealed records: what is said after the hello, under keys that follow from the pair key.

use std::io;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use futures::stream::{TryStreamExt, try_unfold};
use futures::{AsyncRead, AsyncReadExt, StreamExt};

use crate::pairing::fields::{Bytes32, expand};

const MAX_RECORD: usize = 65_536;
const TAG: usize = 16;

/// What seals this side's records, and the other side's.
#[derive(Clone, Copy, Debug)]
pub struct SealKeys {
    pub sends: Bytes32,
    pub receives: Bytes32,
}

/// What the keys of a pair key that seal are made with.
pub fn seal_key(key: &Bytes32) -> Bytes32 {
    expand(key, b"spacedock/session/1 seal")
}

/// The records of one direction.
pub struct Records {
    cipher: Aes256Gcm,
    number: u32,
}

impl Records {
    pub fn new(key: &Bytes32) -> Self {
        Self { cipher: Aes256Gcm::new(key.into()), number: 0 }
    }

    /// Seals any number of bytes. Fails when the key is used up.
    pub fn seal(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut records = Vec::new();
        for piece in bytes.chunks(MAX_RECORD) {
            let length = u32::try_from(piece.len() + TAG).map_err(io::Error::other)?.to_be_bytes();
            let nonce = self.nonce()?;
            let payload = Payload { msg: piece, aad: &length };
            let sealed = self.cipher.encrypt((&nonce).into(), payload).map_err(|_| broken())?;
            records.extend_from_slice(&length);
            records.extend(sealed);
        }
        Ok(records)
    }

    /// Reads what is in the next record; `None` at the end.
    pub async fn read(&mut self, reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
        let mut length = [0; 4];
        if reader.read(&mut length[..1]).await? == 0 {
            return Ok(None);
        }
        reader.read_exact(&mut length[1..]).await?;
        let size = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
        if size <= TAG || size > MAX_RECORD + TAG {
            return Err(broken());
        }
        let mut sealed = vec![0; size];
        reader.read_exact(&mut sealed).await?;
        let nonce = self.nonce()?;
        let payload = Payload { msg: &sealed, aad: &length };
        self.cipher.decrypt((&nonce).into(), payload).map(Some).map_err(|_| broken())
    }

    fn nonce(&mut self) -> io::Result<[u8; 12]> {
        let mut nonce = [0; 12];
        nonce[8..].copy_from_slice(&self.number.to_be_bytes());
        self.number = self.number.checked_add(1).ok_or_else(broken)?;
        Ok(nonce)
    }
}

/// Reads what is in the records.
pub fn opened<R: AsyncRead + Send + Unpin + 'static>(
    reader: R,
    key: &Bytes32,
) -> impl AsyncRead + Send + Unpin + use<R> {
    let next = |(mut reader, mut records): (_, Records)| async move {
        let opened = records.read(&mut reader).await?;
        Ok::<_, io::Error>(opened.map(|opened| (opened, (reader, records))))
    };
    try_unfold((reader, Records::new(key)), next).boxed().into_async_read()
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a record that does not open")
}
