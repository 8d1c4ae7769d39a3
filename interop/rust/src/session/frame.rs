//! Frames: a header of nine bytes, checked before a byte of payload is kept, and the payload.

use std::io;

use futures::{AsyncRead, AsyncReadExt};

pub const HEADER_BYTES: usize = 9;
pub const MAX_PAYLOAD: usize = 65_536;
const MORE: u8 = 0x80;
/// From here on, what is not known is passed over.
const FIRST_OPTIONAL: u8 = 0x60;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    DialerHello,
    ListenerHello,
    DialerProof,
    UnknownDevice,
    Revoked,
    OtherVersion,
    Request,
    Response,
    Error,
    Cancel,
    Ping,
    Pong,
    Goodbye,
    Open,
    Accept,
    Data,
    End,
    Credit,
    Stop,
    Reset,
    Event,
    EventCredit,
    SystemEventCredit,
}

/// One row of the table of frames.
struct Rule {
    kind: Kind,
    code: u8,
    min: usize,
    max: usize,
    channel: bool,
    continued: bool,
}

const fn rule(kind: Kind, code: u8, min: usize, max: usize, channel: bool, continued: bool) -> Rule {
    Rule { kind, code, min, max, channel, continued }
}

const RULES: [Rule; 23] = [
    rule(Kind::DialerHello, 0x01, 1, 256, false, false),
    rule(Kind::ListenerHello, 0x02, 1, 256, false, false),
    rule(Kind::DialerProof, 0x03, 1, 256, false, false),
    rule(Kind::UnknownDevice, 0x04, 0, 0, false, false),
    rule(Kind::Revoked, 0x05, 32, 64, false, false),
    rule(Kind::OtherVersion, 0x06, 1, 16, false, false),
    rule(Kind::Request, 0x10, 1, MAX_PAYLOAD, true, true),
    rule(Kind::Response, 0x11, 0, MAX_PAYLOAD, true, true),
    rule(Kind::Error, 0x12, 2, 8192, true, false),
    rule(Kind::Cancel, 0x13, 0, 0, true, false),
    rule(Kind::Ping, 0x14, 8, 8, false, false),
    rule(Kind::Pong, 0x15, 8, 8, false, false),
    rule(Kind::Goodbye, 0x16, 0, 64, false, false),
    rule(Kind::Open, 0x20, 1, MAX_PAYLOAD, true, false),
    rule(Kind::Accept, 0x21, 0, 0, true, false),
    rule(Kind::Data, 0x22, 1, MAX_PAYLOAD, true, false),
    rule(Kind::End, 0x23, 0, 0, true, false),
    rule(Kind::Credit, 0x24, 4, 4, true, false),
    rule(Kind::Stop, 0x25, 2, 8192, true, false),
    rule(Kind::Reset, 0x26, 2, 8192, true, false),
    rule(Kind::Event, 0x28, 1, MAX_PAYLOAD, false, false),
    rule(Kind::EventCredit, 0x29, 4, 4, false, false),
    rule(Kind::SystemEventCredit, 0x2a, 4, 4, false, false),
];

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    pub kind: Kind,
    /// Whether more frames of the same message follow.
    pub more: bool,
    /// 0 where there is none.
    pub channel: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn new(kind: Kind, channel: u32, payload: Vec<u8>) -> Self {
        Self { kind, more: false, channel, payload }
    }

    pub fn encode(&self) -> Vec<u8> {
        let code = RULES.iter().find(|rule| rule.kind == self.kind).map_or(0, |rule| rule.code);
        // Payloads have at most MAX_PAYLOAD bytes.
        let length = self.payload.len() as u32;
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.payload.len());
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.push(if self.more { code | MORE } else { code });
        bytes.extend_from_slice(&self.channel.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }
}

/// The next frame that is known; `None` when the other side has closed between two frames.
pub async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let mut header = [0; HEADER_BYTES];
    loop {
        if stream.read(&mut header[..1]).await? == 0 {
            return Ok(None);
        }
        stream.read_exact(&mut header[1..]).await?;
        let Some(length) = optional_length(&header) else { break };
        if length > MAX_PAYLOAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        stream.read_exact(&mut vec![0; length]).await?;
    }
    let (mut frame, length) = read_header(&header).ok_or(io::ErrorKind::InvalidData)?;
    frame.payload = vec![0; length];
    stream.read_exact(&mut frame.payload).await?;
    Ok(Some(frame))
}

/// How long the payload of a frame is that may be passed over; `None` for every other frame.
fn optional_length(header: &[u8; HEADER_BYTES]) -> Option<usize> {
    let [l0, l1, l2, l3, code, ..] = *header;
    let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
    (code & !MORE >= FIRST_OPTIONAL).then_some(length)
}

/// A frame without its payload, and the length of that; `None` when a rule is broken.
fn read_header(header: &[u8; HEADER_BYTES]) -> Option<(Frame, usize)> {
    let [l0, l1, l2, l3, code, c0, c1, c2, c3] = *header;
    let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).ok()?;
    let channel = u32::from_be_bytes([c0, c1, c2, c3]);
    let more = code & MORE != 0;
    let rule = RULES.iter().find(|rule| rule.code == code & !MORE)?;
    let fits = (rule.min..=rule.max).contains(&length)
        && rule.channel == (channel != 0)
        && (!more || (rule.continued && length > 0))
        && (rule.kind != Kind::Revoked || length % 32 == 0);
    fits.then(|| (Frame { kind: rule.kind, more, channel, payload: Vec::new() }, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(length: u32, code: u8, channel: u32) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..4].copy_from_slice(&length.to_be_bytes());
        header[4] = code;
        header[5..].copy_from_slice(&channel.to_be_bytes());
        header
    }

    #[test]
    fn every_kind_is_read_as_it_was_written() {
        for rule in &RULES {
            let frame = Frame::new(rule.kind, u32::from(rule.channel), vec![7; rule.min]);
            let bytes = frame.encode();
            let read = futures::executor::block_on(read_frame(&mut bytes.as_slice()));
            assert_eq!(read.expect("it can be read"), Some(frame));
        }
    }

    #[test]
    fn what_breaks_a_rule_is_refused() {
        let broken = [
            (9, 0x14, 0),
            (0, 0x14, 0),
            (8, 0x14, 1),
            (4, 0x10, 0),
            (65_537, 0x10, 1),
            (0, 0x91, 1),
            (8, 0x94, 0),
            (4, 0x27, 1),
            (33, 0x05, 0),
            (0, 0x00, 0),
        ];
        for (length, code, channel) in broken {
            assert!(read_header(&header(length, code, channel)).is_none(), "{length} {code:#x} {channel}");
        }
    }
}
