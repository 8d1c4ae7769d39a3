//! The vectors of sessions in docs/vectors, hellos, frames and notices, and of access to relays.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::executor::block_on;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite};
use libp2p::PeerId;
use serde_json::Value;
use spacedock::device::access::{access_proof, read_secret};
use spacedock::session::frame::read_frame;
use spacedock::session::hello::{Credentials, greet_as_dialer, greet_as_listener, id_key, proof_key};
use spacedock::session::notice::{notice, notice_key};
use spacedock::session::seal::{Records, opened, seal_key};

fn vectors(file: &str) -> Value {
    let path = format!("{}/../../docs/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read(path).expect("the file is there");
    serde_json::from_slice(&text).expect("JSON")
}

fn list(value: &Value) -> &[Value] {
    let list = value.as_array().expect("an array");
    assert!(!list.is_empty());
    list
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(text(value)).expect("hexadecimal")
}

fn fixed<const LENGTH: usize>(value: &Value) -> [u8; LENGTH] {
    bytes(value).try_into().expect("of this length")
}

fn peer(value: &Value) -> PeerId {
    text(value).parse().expect("a peer id")
}

/// A stream on which the other side says what was written down before, and which keeps what is said to it.
struct Script {
    said: io::Cursor<Vec<u8>>,
    heard: Vec<u8>,
}

impl Script {
    fn new(said: Vec<u8>) -> Self {
        Self { said: io::Cursor::new(said), heard: Vec::new() }
    }
}

impl AsyncRead for Script {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(io::Read::read(&mut self.get_mut().said, buffer))
    }
}

impl AsyncWrite for Script {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().heard.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn credentials(mine: &Value, other: &Value) -> Credentials {
    Credentials {
        me: peer(&mine["peerId"]),
        peer: peer(&other["peerId"]),
        instance: fixed(&mine["instance"]),
        nonce: fixed(&mine["nonce"]),
        keys: list(&mine["pairKeys"]).iter().map(fixed).collect(),
    }
}

fn check_records(vector: &Value, key: [u8; 32]) {
    assert_eq!(key, fixed(&vector["key"]));
    let mut sealing = Records::new(&key);
    let (mut all, mut sealed) = (Vec::new(), Vec::new());
    for record in list(&vector["records"]) {
        let plain = bytes(&record["bytes"]);
        assert_eq!(sealing.seal(&plain).expect("a record"), bytes(&record["record"]));
        all.extend(plain);
        sealed.extend(bytes(&record["record"]));
    }
    let mut read = Vec::new();
    let mut reader = opened(futures::io::Cursor::new(sealed), &key);
    block_on(AsyncReadExt::read_to_end(&mut reader, &mut read)).expect("records that open");
    assert_eq!(read, all);
}

#[test]
fn hellos_of_both_sides() {
    for vector in list(&vectors("hello")) {
        let (dialer, listener, frames) = (&vector["dialer"], &vector["listener"], &vector["frames"]);
        let [hello, answer, proof] =
            ["dialerHello", "listenerHello", "dialerProof"].map(|name| bytes(&frames[name]));

        assert_eq!(id_key(&fixed(&vector["chosen"])), fixed(&vector["derived"]["keyIdKey"]));
        assert_eq!(proof_key(&fixed(&vector["chosen"])), fixed(&vector["derived"]["proofKey"]));
        assert_eq!(seal_key(&fixed(&vector["chosen"])), fixed(&vector["derived"]["sealKey"]));
        assert_eq!(peer(&dialer["peerId"]).to_bytes(), bytes(&dialer["peerIdBytes"]));
        assert_eq!(peer(&listener["peerId"]).to_bytes(), bytes(&listener["peerIdBytes"]));

        let mut stream = Script::new(answer.clone());
        let greeted =
            block_on(greet_as_dialer(&mut stream, &credentials(dialer, listener))).expect("a hello");
        assert_eq!(stream.heard, [hello.clone(), proof.clone()].concat(), "{}", vector["name"]);
        assert_eq!(greeted.pair_key, fixed(&vector["chosen"]));
        assert_eq!(greeted.instance, fixed(&listener["instance"]));
        check_records(&vector["sealed"]["dialer"], greeted.seal.sends);
        check_records(&vector["sealed"]["listener"], greeted.seal.receives);

        let mut stream = Script::new([hello, proof.clone()].concat());
        let greeted =
            block_on(greet_as_listener(&mut stream, &credentials(listener, dialer))).expect("a hello");
        assert_eq!(stream.heard, answer, "{}", vector["name"]);
        assert_eq!(greeted.pair_key, fixed(&vector["chosen"]));
        assert_eq!(greeted.instance, fixed(&dialer["instance"]));
        assert_eq!(greeted.seal.sends, fixed(&vector["sealed"]["listener"]["key"]));

        let mut damaged = answer;
        *damaged.last_mut().expect("a proof") ^= 1;
        let mut stream = Script::new(damaged);
        assert!(block_on(greet_as_dialer(&mut stream, &credentials(dialer, listener))).is_err());
    }
}

#[test]
fn frames() {
    let vectors = vectors("frames");
    for vector in list(&vectors["frames"]) {
        let written = bytes(&vector["frame"]);
        let frame = block_on(read_frame(&mut written.as_slice())).expect("it can be read").expect("a frame");
        assert_eq!(format!("{:?}", frame.kind).to_lowercase(), text(&vector["type"]).to_lowercase());
        assert_eq!(Some(frame.more), vector["more"].as_bool());
        assert_eq!(Some(u64::from(frame.channel)), vector["channel"].as_u64());
        assert_eq!(frame.payload, bytes(&vector["payload"]));
        assert_eq!(frame.encode(), written);
    }
    let known = bytes(&vectors["frames"][0]["frame"]);
    for vector in list(&vectors["skipped"]) {
        let skipped = bytes(&vector["frame"]);
        let both = [skipped.clone(), known.clone(), skipped].concat();
        let mut reader = both.as_slice();
        let frame = block_on(read_frame(&mut reader)).expect("it can be read").expect("a frame");
        assert_eq!(frame.encode(), known, "{}", vector["note"]);
        assert!(block_on(read_frame(&mut reader)).expect("it can be read").is_none());
    }
    for vector in list(&vectors["refused"]) {
        // Whatever payload follows: the header alone is refused.
        let mut header = bytes(&vector["bytes"]);
        header.resize(header.len() + 100_000, 0);
        assert!(block_on(read_frame(&mut header.as_slice())).is_err(), "{}", vector["why"]);
    }
}

#[test]
fn notices() {
    for vector in list(&vectors("revocations")) {
        assert_eq!(notice_key(&fixed(&vector["pairKey"])), fixed(&vector["noticeKey"]));
        let told = notice(&fixed(&vector["pairKey"]), &peer(&vector["from"]), &peer(&vector["to"]));
        assert_eq!(told, fixed(&vector["notice"]), "{}", vector["name"]);
    }
}

#[test]
fn relay_access() {
    for vector in list(&vectors("relay-access")) {
        let secret = fixed(&vector["secret"]);
        assert_eq!(text(&vector["suffix"]).strip_prefix('#').and_then(read_secret), Some(secret));
        let proof = access_proof(&secret, &peer(&vector["relay"]), &peer(&vector["device"]));
        assert_eq!(proof, fixed(&vector["proof"]));
    }
}
