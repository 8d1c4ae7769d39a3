//! Lines of JSON on standard input and output, as interop/README.md says.

use std::io::Write;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

#[derive(Deserialize)]
pub struct Line {
    pub id: u64,
    #[serde(flatten)]
    pub command: Command,
}

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Command {
    Invite {
        #[serde(default)]
        ask: bool,
    },
    Join {
        words: String,
        #[serde(default)]
        ask: bool,
        #[serde(default)]
        peers: Vec<String>,
        timeout_ms: Option<u64>,
    },
    Confirm {
        yes: bool,
    },
    Cancel,
    Devices,
    Connect {
        peer_id: String,
        #[serde(default)]
        addresses: Vec<String>,
    },
    Disconnect {
        peer_id: String,
    },
    Send {
        peer_id: String,
        kind: String,
        body: String,
    },
    Request {
        peer_id: String,
        name: String,
        version: u32,
        #[serde(default, deserialize_with = "some_value")]
        body: Option<Value>,
    },
    Stream {
        peer_id: String,
        name: String,
        version: u32,
        #[serde(default, deserialize_with = "some_value")]
        body: Option<Value>,
        bytes: u64,
    },
    Emit {
        peer_id: String,
        name: String,
        version: u32,
        #[serde(default, deserialize_with = "some_value")]
        body: Option<Value>,
    },
    Subscribe {
        topic: String,
    },
    Publish {
        topic: String,
        body: Value,
    },
    Versions {
        peer_id: String,
        name: String,
    },
    Ping {
        peer_id: String,
    },
    Revoke {
        peer_id: String,
    },
    #[serde(rename = "libp2pPing")]
    Libp2pPing {
        address: String,
    },
    Identify {
        address: String,
    },
    Probe {
        words: String,
        address: String,
        times: usize,
    },
}

/// A value that is there, be it null, is not the same as none.
fn some_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// How a command fails.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub code: String,
    pub message: String,
    /// What the protocol has beside the two.
    pub more: serde_json::Map<String, Value>,
}

impl Failure {
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), more: serde_json::Map::new() }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new("invalid-argument", message)
    }
}

pub type Outcome = Result<Value, Failure>;

pub fn write_outcome(id: u64, outcome: Outcome) {
    match outcome {
        Ok(result) => write_line(&json!({ "id": id, "result": result })),
        Err(Failure { code, message, mut more }) => {
            more.insert("code".to_owned(), code.into());
            more.insert("message".to_owned(), message.into());
            write_line(&json!({ "id": id, "error": more }));
        }
    }
}

pub fn write_event(event: &str, fields: Value) {
    let mut line = json!({ "event": event });
    if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), fields) {
        line.extend(fields);
    }
    write_line(&line);
}

fn write_line(line: &Value) {
    let mut output = std::io::stdout().lock();
    // Whoever drives this program and has hung up ends its input as well.
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}
