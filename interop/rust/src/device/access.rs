//! The secret of a rendezvous node's relay, and how a device proves that it has it.

use std::io;
use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{PeerId, StreamProtocol};
use libp2p_stream::{Control, OpenStreamError};
use serde_json::{Value, json};

use crate::pairing::fields::{Bytes32, fields, mac};

pub type Secret = [u8; 16];

const RELAY_ACCESS: StreamProtocol = StreamProtocol::new("/spacedock/relay-access/1.0.0");
const MAX_ANSWER_BYTES: u64 = 256;
const PROVING: Duration = Duration::from_secs(10);

/// What stands behind `#` in a rendezvous node's address.
pub fn read_secret(text: &str) -> Option<Secret> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// Of use to this device at this relay, and to nobody else.
pub fn access_proof(secret: &Secret, relay: &PeerId, me: &PeerId) -> Bytes32 {
    let (relay, me) = (relay.to_base58(), me.to_base58());
    mac(secret, &fields(&[b"spacedock/relay-access/1", relay.as_bytes(), me.as_bytes()]))
}

/// Whether the relay gives this device a place. One that does not ask for a proof gives it to anybody.
pub async fn prove(mut control: Control, relay: PeerId, me: PeerId, secret: Secret) -> io::Result<bool> {
    let exchange = async {
        let mut stream = match control.open_stream(relay, RELAY_ACCESS).await {
            Err(OpenStreamError::UnsupportedProtocol(_)) => return Ok(true),
            opened => opened.map_err(io::Error::other)?,
        };
        let proof = URL_SAFE_NO_PAD.encode(access_proof(&secret, &relay, &me));
        stream.write_all(json!({ "proof": proof }).to_string().as_bytes()).await?;
        stream.close().await?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await?;
        let answer: Value = serde_json::from_slice(&answer)?;
        Ok(answer["granted"] == true)
    };
    tokio::time::timeout(PROVING, exchange).await?
}
