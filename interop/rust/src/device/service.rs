//! What a device serves and asks over its sessions.

use std::collections::{BTreeSet, HashMap};
use std::time::{SystemTime, UNIX_EPOCH};

use libp2p::PeerId;
use libp2p::swarm::dial_opts::DialOpts;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::Device;
use super::by_peer;
use super::commands::{Awaited, Waiting};
use crate::interface::{Command, Failure, Outcome, write_event, write_outcome};
use crate::pairing::fields::random;
use crate::session::call::{Call, Reply};
use crate::session::link::Order;
use crate::session::streams::unknown_protocol;

const MAX_TOPICS: usize = 256;
const MAX_TOPIC_BYTES: usize = 128;
const MAX_MESSAGES: usize = 256;
const MAX_BODY: usize = 256 * 1024;

/// Who subscribes to what.
#[derive(Default)]
pub struct Topics {
    own: BTreeSet<String>,
    others: HashMap<PeerId, BTreeSet<String>>,
}

impl Topics {
    pub fn forget(&mut self, peer: &PeerId) {
        self.others.remove(peer);
    }
}

#[derive(Deserialize)]
struct Messages {
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    id: String,
    kind: String,
    body: String,
    #[serde(rename = "at")]
    _at: f64,
}

impl Device {
    pub(super) fn devices(&self) -> Outcome {
        let state = |peer: &PeerId, row: &crate::store::Row| match () {
            () if self.sessions.path(peer).is_some() => "connected",
            () if !self.store.keys(peer).is_empty() => "paired",
            () if row.ended => "revoked",
            () => "unknown",
        };
        let devices = self.store.rows().map(
            |(peer, row)| json!({ "peerId": peer.to_base58(), "name": row.name, "state": state(&peer, row) }),
        );
        Ok(json!({ "devices": devices.collect::<Vec<_>>() }))
    }

    /// `None` when the answer comes later.
    pub(super) fn perform_over_session(
        &mut self,
        id: u64,
        command: Command,
    ) -> Result<Option<Outcome>, Failure> {
        match command {
            Command::Connect { peer_id, addresses } => self.connect(id, read_peer(&peer_id)?, &addresses),
            Command::Disconnect { peer_id } => {
                let peer = read_peer(&peer_id)?;
                self.sessions.path(&peer).ok_or_else(not_connected)?;
                self.wait(id, peer, Awaited::End);
                self.close_sessions(&peer);
                Ok(None)
            }
            Command::Send { peer_id, kind, body } => {
                let messages = json!({ "messages": [{
                    "id": hex_of(&random::<16>()), "kind": kind, "body": body, "at": now_in_milliseconds(),
                }] });
                let call = Call::new("spacedock-message", 1, Some(messages));
                self.ask_over(id, &peer_id, call, |_| json!({}))
            }
            Command::Request { peer_id, name, version, body } => {
                self.ask_over(id, &peer_id, Call::new(&name, version, body), with_body)
            }
            Command::Versions { peer_id, name } => {
                let call = Call::new("spacedock-versions", 1, Some(json!({ "name": name })));
                self.ask_over(id, &peer_id, call, |versions| json!({ "versions": versions }))
            }
            Command::Stream { peer_id, name, version, body, bytes } => {
                let (reply, answer) = oneshot::channel();
                let call = Call::new(&name, version, body);
                self.order(&peer_id, Order::Stream { call, bytes, reply })?;
                tokio::spawn(answer_later(id, answer, |result| result));
                Ok(None)
            }
            Command::Emit { peer_id, name, version, body } => {
                let (reply, answer) = oneshot::channel();
                self.order(&peer_id, Order::Emit { call: Call::new(&name, version, body), reply })?;
                tokio::spawn(answer_later(id, answer, |result| result));
                Ok(None)
            }
            Command::Ping { peer_id } => {
                let (reply, answer) = oneshot::channel();
                self.order(&peer_id, Order::Ping { reply })?;
                tokio::spawn(async move {
                    let outcome = answer.await.map(|took| json!({ "ms": took.as_secs_f64() * 1000.0 }));
                    write_outcome(id, outcome.map_err(|_| not_connected()));
                });
                Ok(None)
            }
            Command::Revoke { peer_id } => Ok(Some(self.revoke(&read_peer(&peer_id)?))),
            Command::Subscribe { topic } => self.subscribe(id, topic),
            Command::Publish { topic, body } => Ok(Some(self.publish_on(&topic, &body))),
            _ => Err(Failure::invalid("This command needs no session.")),
        }
    }

    fn connect(&mut self, id: u64, peer: PeerId, addresses: &[String]) -> Result<Option<Outcome>, Failure> {
        if self.store.keys(&peer).is_empty() {
            return Err(Failure::new("not-paired", "There is no such device: pair first."));
        }
        if let Some(path) = self.sessions.path(&peer) {
            return Ok(Some(Ok(json!({ "path": path.as_str() }))));
        }
        let read =
            |text: &String| text.parse().map_err(|_| Failure::invalid(format!("{text} is no address.")));
        let addresses = addresses.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        for (peer, addresses) in by_peer(addresses) {
            self.peers.learn(peer, &addresses);
        }
        self.wait(id, peer, Awaited::Session);
        if self.peers.path(&peer).is_some() {
            self.open_session(peer);
        } else if self.peers.addresses(&peer).is_empty() && self.has_rendezvous() {
            self.seek(&peer);
        } else {
            self.dial(peer);
        }
        Ok(None)
    }

    /// The session is opened when the connection is there.
    pub(super) fn dial(&mut self, peer: PeerId) {
        let dial = DialOpts::peer_id(peer).addresses(self.peers.addresses(&peer)).build();
        if let Err(error) = self.swarm.dial(dial) {
            eprintln!("{peer} cannot be dialled: {error}");
            self.unreachable(&peer);
        }
    }

    /// Whether a command waits for a session with this device.
    pub(super) fn wants_session(&self, peer: &PeerId) -> bool {
        let is_it = |waiting: &Waiting| waiting.peer == *peer && matches!(waiting.what, Awaited::Session);
        self.waiting.iter().any(is_it) && self.sessions.path(peer).is_none()
    }

    /// Opens the session that waits for a connection.
    pub(super) fn connection_is_there(&mut self, peer: PeerId) {
        if self.wants_session(&peer) {
            self.open_session(peer);
        }
    }

    fn order(&self, peer: &str, order: Order) -> Result<(), Failure> {
        self.sessions.order(&read_peer(peer)?, order).ok_or_else(not_connected)
    }

    fn ask_over(
        &self,
        id: u64,
        peer: &str,
        call: Call,
        result: impl FnOnce(Option<Value>) -> Value + Send + 'static,
    ) -> Result<Option<Outcome>, Failure> {
        let (reply, answer) = oneshot::channel();
        self.order(peer, Order::Ask { call, reply })?;
        tokio::spawn(answer_later(id, answer, result));
        Ok(None)
    }

    pub(super) fn serve_request(
        &mut self,
        peer: PeerId,
        name: &str,
        version: u32,
        body: Option<Value>,
    ) -> Reply {
        let Some(served) = requests_served(name) else { return Err(unknown_protocol(&[])) };
        if !served.contains(&version) {
            return Err(unknown_protocol(served));
        }
        match (name, version) {
            ("interop-echo", 1) => return Ok(body),
            ("interop-echo", _) => return Ok(Some(with_field("echo", body))),
            _ => {}
        }
        let body = body.unwrap_or_default();
        match name {
            "interop-fail" => {
                let mut failure = Failure::new("remote-failure", "There is no such thing.");
                let declared = json!({ "code": "no-such-thing", "data": { "asked": body } });
                failure.more.insert("declared".to_owned(), declared);
                Err(failure)
            }
            "spacedock-versions" => Ok(Some(json!(all_served(body["name"].as_str().unwrap_or_default())))),
            "spacedock-topics" => self.topics_told(peer, &body),
            _ => self.messages_received(&peer, body),
        }
    }

    pub(super) fn serve_event(&self, peer: &PeerId, name: &str, version: u32, body: Option<Value>) {
        let body = body.unwrap_or_default();
        match (name, version) {
            ("interop-shout", 1) => {
                write_event("event", json!({ "peerId": peer.to_base58(), "name": name, "body": body }));
            }
            ("spacedock-publish", 1) => {
                let topic = body["topic"].as_str().filter(|topic| self.sessions.topics.own.contains(*topic));
                if let Some(topic) = topic {
                    let fields = json!({ "peerId": peer.to_base58(), "topic": topic, "body": body["value"] });
                    write_event("publication", fields);
                }
            }
            // Not even an error answers an event that nobody serves.
            _ => {}
        }
    }

    fn messages_received(&mut self, peer: &PeerId, body: Value) -> Reply {
        let invalid = || Failure::new("invalid-message", "These are no messages.");
        let Messages { messages } = serde_json::from_value(body).map_err(|_| invalid())?;
        if !(1..=MAX_MESSAGES).contains(&messages.len()) || !messages.iter().all(is_message) {
            return Err(invalid());
        }
        let ids: Vec<String> = messages.iter().map(|message| message.id.clone()).collect();
        let stored = self.store.receive(peer, &ids);
        let new = stored.map_err(|error| Failure::new("remote-failure", error.to_string()))?;
        for (message, _) in messages.iter().zip(new).filter(|(_, new)| *new) {
            let fields = json!({ "peerId": peer.to_base58(), "kind": message.kind, "body": message.body });
            write_event("message", fields);
        }
        Ok(Some(json!({ "stored": true })))
    }

    fn topics_told(&mut self, peer: PeerId, body: &Value) -> Reply {
        let topics = body["topics"].as_array().filter(|topics| topics.len() <= MAX_TOPICS);
        let topics = topics.and_then(|topics| topics.iter().map(read_topic).collect::<Option<BTreeSet<_>>>());
        let topics = topics.ok_or_else(|| Failure::new("invalid-message", "These are no topics."))?;
        self.sessions.topics.others.insert(peer, topics);
        Ok(Some(json!({ "told": true })))
    }

    /// Answered when every connected device was told.
    fn subscribe(&mut self, id: u64, topic: String) -> Result<Option<Outcome>, Failure> {
        if !is_topic(&topic) || self.sessions.topics.own.len() >= MAX_TOPICS {
            return Err(Failure::invalid("This is no topic, or one too many."));
        }
        self.sessions.topics.own.insert(topic);
        let told: Vec<_> =
            self.sessions.connected().iter().filter_map(|peer| self.tell_topics(peer)).collect();
        tokio::spawn(async move {
            for answer in told {
                // Who is gone hears it when it is back.
                let _ = answer.await;
            }
            write_outcome(id, Ok(json!({})));
        });
        Ok(None)
    }

    pub(super) fn tell_topics(&self, peer: &PeerId) -> Option<oneshot::Receiver<Reply>> {
        let own = &self.sessions.topics.own;
        if own.is_empty() {
            return None;
        }
        let (reply, answer) = oneshot::channel();
        let call = Call::new("spacedock-topics", 1, Some(json!({ "topics": own })));
        self.sessions.order(peer, Order::Ask { call, reply })?;
        Some(answer)
    }

    fn publish_on(&self, topic: &str, value: &Value) -> Outcome {
        let call = Call::new("spacedock-publish", 1, Some(json!({ "topic": topic, "value": value })));
        let is_subscriber = |peer: &PeerId| {
            self.sessions.topics.others.get(peer).is_some_and(|topics| topics.contains(topic))
        };
        let mut to = Vec::new();
        for peer in self.sessions.connected().into_iter().filter(is_subscriber) {
            let (reply, _) = oneshot::channel();
            if self.sessions.order(&peer, Order::Emit { call: call.clone(), reply }).is_some() {
                to.push(peer.to_base58());
            }
        }
        Ok(json!({ "to": to }))
    }
}

async fn answer_later<T>(
    id: u64,
    answer: oneshot::Receiver<Result<T, Failure>>,
    result: impl FnOnce(T) -> Value + Send + 'static,
) {
    let outcome = answer.await.unwrap_or_else(|_| Err(Failure::new("timeout", "There was no answer.")));
    write_outcome(id, outcome.map(result));
}

fn with_body(body: Option<Value>) -> Value {
    with_field("body", body)
}

/// An object that lacks the field when there is no value.
fn with_field(key: &str, value: Option<Value>) -> Value {
    Value::Object(value.map(|value| (key.to_owned(), value)).into_iter().collect())
}

fn requests_served(name: &str) -> Option<&'static [u32]> {
    match name {
        "interop-echo" => Some(&[2, 1]),
        "interop-fail" | "spacedock-versions" | "spacedock-topics" | "spacedock-message" => Some(&[1]),
        _ => None,
    }
}

/// Requests, streams and events share the names.
fn all_served(name: &str) -> &'static [u32] {
    match name {
        "interop-mirror" | "interop-shout" | "spacedock-publish" => &[1],
        _ => requests_served(name).unwrap_or_default(),
    }
}

fn is_message(message: &Message) -> bool {
    let is_id_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (16..=64).contains(&message.id.len())
        && message.id.bytes().all(is_id_byte)
        && matches!(message.kind.as_str(), "text" | "json")
        && message.body.len() <= MAX_BODY
}

fn read_topic(value: &Value) -> Option<String> {
    value.as_str().filter(|topic| is_topic(topic)).map(str::to_owned)
}

fn is_topic(topic: &str) -> bool {
    (1..=MAX_TOPIC_BYTES).contains(&topic.len()) && !topic.chars().any(char::is_control)
}

fn read_peer(text: &str) -> Result<PeerId, Failure> {
    text.parse().map_err(|_| Failure::invalid(format!("{text} is no peer id.")))
}

fn not_connected() -> Failure {
    Failure::new("not-connected", "There is no session with this device.")
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now_in_milliseconds() -> u64 {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
}
