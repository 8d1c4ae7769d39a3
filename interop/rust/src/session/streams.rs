//! Byte streams inside a session: the mirror that is served, and the check of another's mirror.

use std::collections::{HashMap, VecDeque};

use serde_json::json;
use tokio::sync::oneshot;

use super::call::{Call, read_failure, write_failure};
use super::frame::{Frame, Kind, MAX_PAYLOAD};
use crate::interface::{Failure, Outcome};

const WINDOW: u32 = 262_144;
const MAX_CREDIT: u32 = i32::MAX as u32;
const MAX_STREAMS: usize = 64;
/// The n-th byte of a check is n mod this.
const PATTERN: u64 = 251;

/// A rule was broken: the session is over.
#[derive(Debug)]
pub struct Broken(pub &'static str);

#[derive(Default)]
pub struct Streams {
    open: HashMap<u32, ByteStream>,
}

struct ByteStream {
    work: Work,
    inbound: bool,
    accepted: bool,
    /// What may be sent, and what may still come.
    credit: u32,
    window: u32,
    end_sent: bool,
    end_received: bool,
    reset_sent: bool,
}

enum Work {
    /// Writes back what it reads.
    Mirror { unsent: VecDeque<u8> },
    /// Writes a pattern, and reads what should be the same.
    Check { total: u64, sent: u64, received: u64, intact: bool, reply: Option<oneshot::Sender<Outcome>> },
    /// Was stopped or reset: what still comes is dropped.
    Dropped,
}

impl Streams {
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub fn has_own(&self) -> bool {
        self.open.values().any(|stream| !stream.inbound)
    }

    pub fn open(
        &mut self,
        channel: u32,
        call: &Call,
        total: u64,
        reply: oneshot::Sender<Outcome>,
    ) -> Vec<Frame> {
        let payload = match call.encode() {
            Ok(payload) if payload.len() <= MAX_PAYLOAD => payload,
            Ok(_) => {
                let _ = reply.send(Err(Failure::new("too-large", "The text has more than 65,000 bytes.")));
                return Vec::new();
            }
            Err(failure) => {
                let _ = reply.send(Err(failure));
                return Vec::new();
            }
        };
        let work = Work::Check { total, sent: 0, received: 0, intact: true, reply: Some(reply) };
        self.open.insert(channel, ByteStream::new(work, false));
        vec![Frame::new(Kind::Open, channel, payload)]
    }

    /// Takes a frame of a stream; what is to be sent comes back. `versions` are those that are served of a name.
    pub fn received(
        &mut self,
        frame: Frame,
        is_theirs: bool,
        versions: impl Fn(&str) -> Option<&'static [u32]>,
    ) -> Result<Vec<Frame>, Broken> {
        let channel = frame.channel;
        if frame.kind == Kind::Open {
            return self.opened(&frame, is_theirs, versions);
        }
        let Some(stream) = self.open.get_mut(&channel) else {
            // They may cross with the end of the stream.
            let ignored = matches!(frame.kind, Kind::Credit | Kind::Stop | Kind::Reset);
            return if ignored {
                Ok(Vec::new())
            } else {
                Err(Broken("a frame of a stream that is not open"))
            };
        };
        let mut frames = stream.take(frame)?;
        stream.pump(channel, &mut frames);
        if stream.is_over() {
            stream.finish();
            self.open.remove(&channel);
        }
        Ok(frames)
    }

    fn opened(
        &mut self,
        frame: &Frame,
        is_theirs: bool,
        versions: impl Fn(&str) -> Option<&'static [u32]>,
    ) -> Result<Vec<Frame>, Broken> {
        let channel = frame.channel;
        let inbound = self.open.values().filter(|stream| stream.inbound).count();
        if !is_theirs || self.open.contains_key(&channel) || inbound >= MAX_STREAMS {
            return Err(Broken("a stream that may not be opened"));
        }
        let (name, version, text) = Call::decode(&frame.payload).ok_or(Broken("no name of a stream"))?;
        let failure = match (versions(&name), text) {
            (Some(served), Ok(_)) if served.contains(&version) => None,
            (served, Ok(_)) => Some(unknown_protocol(served.unwrap_or_default())),
            (_, Err(failure)) => Some(failure),
        };
        let mut stream = ByteStream::new(Work::Mirror { unsent: VecDeque::new() }, true);
        let answer = match failure {
            None => {
                stream.accepted = true;
                Frame::new(Kind::Accept, channel, Vec::new())
            }
            Some(failure) => {
                stream.work = Work::Dropped;
                stream.reset_sent = true;
                Frame::new(Kind::Reset, channel, write_failure(&failure))
            }
        };
        self.open.insert(channel, stream);
        Ok(vec![answer])
    }
}

impl ByteStream {
    fn new(work: Work, inbound: bool) -> Self {
        Self {
            work,
            inbound,
            accepted: false,
            credit: WINDOW,
            window: WINDOW,
            end_sent: false,
            end_received: false,
            reset_sent: false,
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.work, Work::Dropped) && !self.reset_sent || self.end_sent && self.end_received
    }

    /// What to answer to a frame.
    fn take(&mut self, frame: Frame) -> Result<Vec<Frame>, Broken> {
        let channel = frame.channel;
        match frame.kind {
            Kind::Accept if !self.inbound && !self.accepted => self.accepted = true,
            Kind::Accept => return Err(Broken("a stream is accepted twice")),
            Kind::Credit => self.credited(&frame.payload)?,
            Kind::Data => return self.data(channel, &frame.payload),
            Kind::End if !self.end_received && self.accepted => self.end_received = true,
            // What was under way when this side reset it.
            Kind::End if self.reset_sent => {}
            Kind::Stop => return Ok(self.stopped(channel)),
            Kind::Reset => return Ok(self.reset(channel, &frame.payload)),
            _ => return Err(Broken("an end that does not fit")),
        }
        Ok(Vec::new())
    }

    fn credited(&mut self, payload: &[u8]) -> Result<(), Broken> {
        let bytes: [u8; 4] = payload.try_into().map_err(|_| Broken("a credit of four bytes"))?;
        let more = u32::from_be_bytes(bytes);
        let credit = self.credit.checked_add(more).filter(|credit| *credit <= MAX_CREDIT && more > 0);
        self.credit = credit.ok_or(Broken("a credit of nothing, or of too much"))?;
        Ok(())
    }

    fn data(&mut self, channel: u32, payload: &[u8]) -> Result<Vec<Frame>, Broken> {
        if self.reset_sent {
            return Ok(Vec::new());
        }
        let length = payload.len() as u32;
        if !self.accepted || self.end_received || length > self.window {
            return Err(Broken("data that may not come"));
        }
        self.window -= length;
        match &mut self.work {
            // What cannot be written back any more is read and dropped.
            Work::Mirror { .. } if self.end_sent => {
                self.window += length;
                return Ok(vec![credit_frame(channel, length)]);
            }
            Work::Mirror { unsent } => unsent.extend(payload),
            Work::Check { received, intact, .. } => {
                *intact &= (*received..).zip(payload).all(|(at, byte)| at % PATTERN == u64::from(*byte));
                *received += u64::from(length);
                self.window += length;
                return Ok(vec![credit_frame(channel, length)]);
            }
            Work::Dropped => {}
        }
        Ok(Vec::new())
    }

    /// The other side reads no more.
    fn stopped(&mut self, channel: u32) -> Vec<Frame> {
        if self.end_sent || self.reset_sent {
            return Vec::new();
        }
        self.end_sent = true;
        if let Work::Mirror { unsent } = &mut self.work {
            unsent.clear();
        }
        vec![Frame::new(Kind::End, channel, Vec::new())]
    }

    fn reset(&mut self, channel: u32, payload: &[u8]) -> Vec<Frame> {
        if let Work::Check { reply, .. } = &mut self.work
            && let Some(reply) = reply.take()
        {
            let _ = reply.send(Err(read_failure(payload)));
        }
        self.work = Work::Dropped;
        if std::mem::take(&mut self.reset_sent) {
            return Vec::new();
        }
        vec![Frame::new(Kind::Reset, channel, b"{}".to_vec())]
    }

    /// Sends what credit allows, and the end when all is sent.
    fn pump(&mut self, channel: u32, frames: &mut Vec<Frame>) {
        if !self.accepted || self.end_sent {
            return;
        }
        loop {
            let room = MAX_PAYLOAD.min(self.credit as usize);
            let chunk: Vec<u8> = match &mut self.work {
                Work::Mirror { unsent } => unsent.drain(..room.min(unsent.len())).collect(),
                Work::Check { total, sent, .. } => {
                    let end = (*total).min(*sent + room as u64);
                    let chunk = (*sent..end).map(|at| (at % PATTERN) as u8).collect();
                    *sent = end;
                    chunk
                }
                Work::Dropped => return,
            };
            if chunk.is_empty() {
                break;
            }
            let length = chunk.len() as u32;
            self.credit -= length;
            frames.push(Frame::new(Kind::Data, channel, chunk));
            if let Work::Mirror { .. } = self.work
                && !self.end_received
            {
                self.window += length;
                frames.push(credit_frame(channel, length));
            }
        }
        let done = match &self.work {
            Work::Mirror { unsent } => self.end_received && unsent.is_empty(),
            Work::Check { total, sent, .. } => sent == total,
            Work::Dropped => false,
        };
        if done {
            self.end_sent = true;
            frames.push(Frame::new(Kind::End, channel, Vec::new()));
        }
    }

    fn finish(&mut self) {
        if let Work::Check { total, sent, received, intact, reply } = &mut self.work
            && let Some(reply) = reply.take()
        {
            let intact = *intact && sent == total && received == sent;
            let _ = reply.send(Ok(json!({ "sent": sent, "received": received, "intact": intact })));
        }
    }
}

fn credit_frame(channel: u32, bytes: u32) -> Frame {
    Frame::new(Kind::Credit, channel, bytes.to_be_bytes().to_vec())
}

pub fn unknown_protocol(versions: &[u32]) -> Failure {
    let mut failure = Failure::new("unknown-protocol", "Nobody here serves this.");
    failure.more.insert("versions".to_owned(), json!(versions));
    failure
}
