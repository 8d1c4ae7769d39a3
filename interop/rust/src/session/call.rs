//! What requests, streams and events begin with, and their texts.

use serde_json::{Value, json};

use super::frame::{Frame, Kind, MAX_PAYLOAD};
use crate::interface::Failure;

pub const MAX_TEXT: usize = 1 << 20;
const MAX_LEVELS: usize = 64;
const MAX_NAME: usize = 64;
const MAX_ERROR: usize = 8192;
const MAX_ERROR_MESSAGE: usize = 1024;

/// What a request is answered: a value, or none, or a failure.
pub type Reply = Result<Option<Value>, Failure>;

/// A protocol's name and version, and a value for it; no text at all is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub name: String,
    pub version: u32,
    pub body: Option<Value>,
}

impl Call {
    pub fn new(name: &str, version: u32, body: Option<Value>) -> Self {
        Self { name: name.to_owned(), version, body }
    }

    /// `Err` when it cannot be said.
    pub fn encode(&self) -> Result<Vec<u8>, Failure> {
        if !is_name(&self.name) || self.version == 0 {
            return Err(Failure::invalid(format!("{} {} is no protocol.", self.name, self.version)));
        }
        let mut payload = vec![self.name.len() as u8];
        payload.extend_from_slice(self.name.as_bytes());
        payload.extend_from_slice(&self.version.to_be_bytes());
        payload.extend(write_text(self.body.as_ref())?);
        Ok(payload)
    }

    /// `None` when this is no call, and a rule is broken; `Some(Err)` when its text cannot be read.
    pub fn decode(payload: &[u8]) -> Option<(String, u32, Reply)> {
        let (length, rest) = payload.split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        let (version, text) = rest.split_first_chunk::<4>()?;
        let name = std::str::from_utf8(name).ok().filter(|name| is_name(name))?;
        let version = u32::from_be_bytes(*version);
        (version > 0).then(|| (name.to_owned(), version, read_text(text)))
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.starts_with(|character: char| character.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn write_text(body: Option<&Value>) -> Result<Vec<u8>, Failure> {
    let Some(body) = body else { return Ok(Vec::new()) };
    let text = body.to_string().into_bytes();
    if text.len() > MAX_TEXT {
        return Err(Failure::new("too-large", "The text has more than 1 MiB."));
    }
    Ok(text)
}

pub fn read_text(text: &[u8]) -> Reply {
    if text.is_empty() {
        return Ok(None);
    }
    let invalid = || Failure::new("invalid-message", "This is no JSON text that can be taken.");
    let value: Value = serde_json::from_slice(text).map_err(|_| invalid())?;
    if is_plain(&value, MAX_LEVELS) { Ok(Some(value)) } else { Err(invalid()) }
}

fn is_plain(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(values) => levels > 0 && values.iter().all(|value| is_plain(value, levels - 1)),
        Value::Object(fields) => {
            levels > 0 && fields.iter().all(|(key, value)| key != "__proto__" && is_plain(value, levels - 1))
        }
        _ => true,
    }
}

/// The frames of a message that may have several.
pub fn frames(kind: Kind, channel: u32, payload: &[u8]) -> Vec<Frame> {
    if payload.is_empty() {
        return vec![Frame::new(kind, channel, Vec::new())];
    }
    let mut frames: Vec<Frame> = payload
        .chunks(MAX_PAYLOAD)
        .map(|chunk| Frame { kind, more: true, channel, payload: chunk.to_vec() })
        .collect();
    if let Some(last) = frames.last_mut() {
        last.more = false;
    }
    frames
}

pub fn answer_frames(channel: u32, reply: &Reply) -> Vec<Frame> {
    match reply.as_ref().map_err(Clone::clone).and_then(|value| write_text(value.as_ref())) {
        Ok(text) => frames(Kind::Response, channel, &text),
        Err(failure) => vec![Frame::new(Kind::Error, channel, write_failure(&failure))],
    }
}

pub fn write_failure(failure: &Failure) -> Vec<u8> {
    let message: String = failure.message.chars().take(MAX_ERROR_MESSAGE).collect();
    let mut error = json!({ "code": failure.code, "message": message });
    if let Some(error) = error.as_object_mut() {
        error.extend(failure.more.clone());
    }
    let text = error.to_string().into_bytes();
    if text.len() <= MAX_ERROR { text } else { b"{\"code\":\"remote-failure\",\"message\":\"\"}".to_vec() }
}

pub fn read_failure(payload: &[u8]) -> Failure {
    let Ok(Some(Value::Object(mut fields))) = read_text(payload) else {
        return Failure::new("remote-failure", "The other device has failed without a reason.");
    };
    let mut text = |key: &str| match fields.remove(key) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let (code, message) = (text("code"), text("message"));
    const CODES: [&str; 5] =
        ["unknown-protocol", "invalid-message", "too-large", "not-paired", "remote-failure"];
    let code = if CODES.contains(&code.as_str()) { code } else { "remote-failure".to_owned() };
    fields.retain(|key, _| key == "versions" || key == "declared");
    Failure { code, message, more: fields }
}
