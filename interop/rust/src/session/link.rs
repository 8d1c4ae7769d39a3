//! One session after its hello: a task that reads and writes frames, and nobody else touches its stream.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::call::{Call, MAX_TEXT, Reply, answer_frames, frames, read_failure, read_text};
use super::frame::{Frame, Kind, MAX_PAYLOAD, read_frame};
use super::seal::{Records, SealKeys, opened};
use super::streams::{Broken, Streams};
use crate::interface::{Failure, Outcome};
use crate::pairing::fields::random;

const SILENCE: Duration = Duration::from_secs(3);
const PING_ANSWER: Duration = Duration::from_secs(6);
const ANSWER: Duration = Duration::from_secs(30);
const NOTICE: Duration = Duration::from_millis(500);
/// Name, version and text.
const MAX_REQUEST: usize = MAX_TEXT + 69;
/// More requests at once end the session.
const MAX_REQUESTS: usize = 544;
/// Frames that wait to be written. Who reads none of so many is gone.
const MAX_UNWRITTEN: usize = 1024;
const EVENT_WINDOW: usize = 262_144;
const EVENT_COST: usize = 256;
/// Events of one window that wait for credit.
const MAX_WAITING_EVENTS: usize = 256;

/// What the device wants of a session.
pub enum Order {
    Ask {
        call: Call,
        reply: oneshot::Sender<Reply>,
    },
    Answer {
        channel: u32,
        reply: Reply,
    },
    Stream {
        call: Call,
        bytes: u64,
        reply: oneshot::Sender<Outcome>,
    },
    Emit {
        call: Call,
        reply: oneshot::Sender<Outcome>,
    },
    Ping {
        reply: oneshot::Sender<Duration>,
    },
    /// Ends it when nothing is under way any more; in a hurry, after a second.
    Goodbye {
        hurry: bool,
    },
    Revoke(Vec<u8>),
    Abort,
}

/// What a session tells the device.
pub enum Report {
    Request {
        channel: u32,
        name: String,
        version: u32,
        body: Option<Value>,
    },
    Event {
        name: String,
        version: u32,
        body: Option<Value>,
    },
    /// The other side asks nothing new.
    Goodbye,
    /// Notices, one after the other.
    Revoked(Vec<u8>),
    Closed,
}

pub struct Ends {
    pub orders: mpsc::UnboundedReceiver<Order>,
    pub reports: mpsc::Sender<Report>,
}

struct Link {
    dialer: bool,
    unwritten: mpsc::Sender<Frame>,
    reports: mpsc::Sender<Report>,
    next_channel: u32,
    asked: HashMap<u32, Asked>,
    /// Requests by channel: what has come of those that are still read, and nothing of those that are answered.
    serving: HashMap<u32, Option<Vec<u8>>>,
    streams: Streams,
    pings: HashMap<[u8; 8], (Instant, Option<oneshot::Sender<Duration>>)>,
    /// Of events of applications, and of those of the protocol itself.
    events: [EventWindow; 2],
    heard_at: Instant,
    sent_at: Instant,
    /// When this side, and when the other side, has said goodbye.
    goodbye_said: Option<Instant>,
    goodbye_heard: bool,
    /// Whether this side began to close, and whether what is under way has a second only.
    closing: bool,
    hurry: bool,
}

struct EventWindow {
    credit: usize,
    /// In the order in which they are sent once there is credit.
    waiting: VecDeque<(Vec<u8>, oneshot::Sender<Outcome>)>,
}

impl Default for EventWindow {
    fn default() -> Self {
        Self { credit: EVENT_WINDOW, waiting: VecDeque::new() }
    }
}

impl EventWindow {
    /// The next event that there is credit for.
    fn next(&mut self) -> Option<(Vec<u8>, oneshot::Sender<Outcome>)> {
        let cost = self.waiting.front()?.0.len() + EVENT_COST;
        self.credit = self.credit.checked_sub(cost)?;
        self.waiting.pop_front()
    }
}

struct Asked {
    reply: oneshot::Sender<Reply>,
    answer: Vec<u8>,
    deadline: Instant,
}

/// Runs until the session is over, and says so.
pub async fn run<S>(stream: S, dialer: bool, seal: SealKeys, mut ends: Ends)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (reader, writer) = stream.split();
    let (frames, mut arriving) = mpsc::channel(16);
    let (unwritten, written) = mpsc::channel(MAX_UNWRITTEN);
    let reading = tokio::spawn(read_all(opened(reader, &seal.receives), frames));
    let writing = tokio::spawn(write_all(writer, Records::new(&seal.sends), written));
    let mut link = Link::new(dialer, unwritten, ends.reports.clone());
    if let Err(Broken(rule)) = link.serve(&mut arriving, &mut ends.orders).await {
        eprintln!("The session is over: {rule}");
        writing.abort();
    }
    reading.abort();
    drop(link);
    // The writer closes its side when it has written all.
    let _ = tokio::time::timeout(Duration::from_secs(1), writing).await;
    let _ = ends.reports.send(Report::Closed).await;
}

async fn read_all(mut reader: impl AsyncRead + Unpin, frames: mpsc::Sender<io::Result<Frame>>) {
    loop {
        let Some(frame) = read_frame(&mut reader).await.transpose() else { return };
        let is_error = frame.is_err();
        if frames.send(frame).await.is_err() || is_error {
            return;
        }
    }
}

async fn write_all(
    mut writer: impl AsyncWrite + Unpin,
    mut records: Records,
    mut frames: mpsc::Receiver<Frame>,
) -> io::Result<()> {
    while let Some(frame) = frames.recv().await {
        writer.write_all(&records.seal(&frame.encode())?).await?;
        if frames.is_empty() {
            writer.flush().await?;
        }
    }
    writer.close().await
}

impl Link {
    fn new(dialer: bool, unwritten: mpsc::Sender<Frame>, reports: mpsc::Sender<Report>) -> Self {
        let now = Instant::now();
        Self {
            dialer,
            unwritten,
            reports,
            next_channel: if dialer { 1 } else { 2 },
            asked: HashMap::new(),
            serving: HashMap::new(),
            streams: Streams::default(),
            pings: HashMap::new(),
            events: Default::default(),
            heard_at: now,
            sent_at: now,
            goodbye_said: None,
            goodbye_heard: false,
            closing: false,
            hurry: false,
        }
    }

    /// `Ok` when it ended in order.
    async fn serve(
        &mut self,
        arriving: &mut mpsc::Receiver<io::Result<Frame>>,
        orders: &mut mpsc::UnboundedReceiver<Order>,
    ) -> Result<(), Broken> {
        let mut ticks = tokio::time::interval(Duration::from_millis(250));
        loop {
            tokio::select! {
                frame = arriving.recv() => match frame {
                    Some(Ok(frame)) => self.received(frame).await?,
                    Some(Err(_)) => return Err(Broken("the stream broke, or a frame broke a rule")),
                    None => return Ok(()),
                },
                order = orders.recv() => match order {
                    Some(Order::Revoke(notices)) => {
                        self.send(Frame::new(Kind::Revoked, 0, notices))?;
                        return self.await_end(arriving).await;
                    }
                    Some(Order::Abort) | None => return Err(Broken("it was given up")),
                    Some(order) => self.obey(order)?,
                },
                _ = ticks.tick() => self.tick(Instant::now())?,
            }
            if self.is_done() {
                return Ok(());
            }
        }
    }

    /// Nothing is answered any more.
    async fn await_end(&mut self, arriving: &mut mpsc::Receiver<io::Result<Frame>>) -> Result<(), Broken> {
        let end = async { while let Some(Ok(_)) = arriving.recv().await {} };
        let _ = tokio::time::timeout(NOTICE, end).await;
        Ok(())
    }

    fn obey(&mut self, order: Order) -> Result<(), Broken> {
        match order {
            Order::Ask { call, reply } => return self.ask(&call, reply),
            Order::Answer { channel, reply } => {
                // A request that was cancelled needs no answer.
                if self.serving.remove(&channel).is_some() {
                    self.send_all(answer_frames(channel, &reply))?;
                }
            }
            Order::Stream { call, bytes, reply } => {
                let channel = self.take_channel();
                let frames = self.streams.open(channel, &call, bytes, reply);
                self.send_all(frames)?;
            }
            Order::Emit { call, reply } => return self.emit(&call, reply),
            Order::Ping { reply } => self.ping(Some(reply))?,
            Order::Goodbye { hurry } => {
                self.closing = true;
                self.hurry |= hurry;
                self.say_goodbye()?;
            }
            Order::Revoke(_) | Order::Abort => {}
        }
        Ok(())
    }

    fn ask(&mut self, call: &Call, reply: oneshot::Sender<Reply>) -> Result<(), Broken> {
        let payload = match call.encode() {
            Ok(payload) => payload,
            Err(failure) => {
                let _ = reply.send(Err(failure));
                return Ok(());
            }
        };
        let channel = self.take_channel();
        self.asked.insert(channel, Asked { reply, answer: Vec::new(), deadline: Instant::now() + ANSWER });
        self.send_all(frames(Kind::Request, channel, &payload))
    }

    fn emit(&mut self, call: &Call, reply: oneshot::Sender<Outcome>) -> Result<(), Broken> {
        let of = usize::from(is_system(&call.name));
        let waiting = &mut self.events[of].waiting;
        let refused = match call.encode() {
            Ok(payload) if payload.len() <= MAX_PAYLOAD && waiting.len() < MAX_WAITING_EVENTS => {
                waiting.push_back((payload, reply));
                return self.send_events(of);
            }
            Ok(_) => Failure::new("too-large", "The event is too large, or too many wait already."),
            Err(failure) => failure,
        };
        let _ = reply.send(Err(refused));
        Ok(())
    }

    fn send_events(&mut self, of: usize) -> Result<(), Broken> {
        while let Some((payload, reply)) = self.events[of].next() {
            self.send(Frame::new(Kind::Event, 0, payload))?;
            let _ = reply.send(Ok(Value::Object(serde_json::Map::new())));
        }
        Ok(())
    }

    async fn received(&mut self, frame: Frame) -> Result<(), Broken> {
        self.heard_at = Instant::now();
        match frame.kind {
            Kind::Request => self.requested(frame).await?,
            Kind::Response => self.answered(frame)?,
            Kind::Error => {
                if let Some(asked) = self.asked.remove(&frame.channel) {
                    let _ = asked.reply.send(Err(read_failure(&frame.payload)));
                }
            }
            Kind::Cancel => _ = self.serving.remove(&frame.channel),
            Kind::Ping => self.send(Frame::new(Kind::Pong, 0, frame.payload))?,
            Kind::Pong => self.ponged(&frame.payload),
            Kind::Goodbye => {
                self.goodbye_heard = true;
                self.report(Report::Goodbye).await?;
            }
            Kind::Revoked => self.report(Report::Revoked(frame.payload)).await?,
            Kind::Event => self.happened(&frame).await?,
            Kind::EventCredit => self.credited(0, &frame.payload)?,
            Kind::SystemEventCredit => self.credited(1, &frame.payload)?,
            Kind::Open | Kind::Accept | Kind::Data | Kind::End | Kind::Credit | Kind::Stop | Kind::Reset => {
                let theirs = self.is_theirs(frame.channel);
                let frames = self.streams.received(frame, theirs, streams_served)?;
                self.send_all(frames)?;
            }
            Kind::DialerHello
            | Kind::ListenerHello
            | Kind::DialerProof
            | Kind::UnknownDevice
            | Kind::OtherVersion => {
                return Err(Broken("a hello in a session"));
            }
        }
        Ok(())
    }

    async fn requested(&mut self, frame: Frame) -> Result<(), Broken> {
        let channel = frame.channel;
        if !self.is_theirs(channel) || self.serving.len() >= MAX_REQUESTS {
            return Err(Broken("a request that may not come"));
        }
        let entry = self.serving.entry(channel).or_insert_with(|| Some(Vec::new()));
        let text = entry.as_mut().ok_or(Broken("a channel that is in use"))?;
        if text.len() + frame.payload.len() > MAX_REQUEST {
            return Err(Broken("a request of more than 1 MiB"));
        }
        text.extend(frame.payload);
        if frame.more {
            return Ok(());
        }
        let (name, version, body) =
            entry.take().and_then(|text| Call::decode(&text)).ok_or(Broken("no name of a protocol"))?;
        match body {
            Ok(body) => self.report(Report::Request { channel, name, version, body }).await,
            Err(failure) => self.obey(Order::Answer { channel, reply: Err(failure) }),
        }
    }

    fn answered(&mut self, frame: Frame) -> Result<(), Broken> {
        // One that was given up is ignored.
        let Some(asked) = self.asked.get_mut(&frame.channel) else { return Ok(()) };
        if asked.answer.len() + frame.payload.len() > MAX_TEXT {
            return Err(Broken("an answer of more than 1 MiB"));
        }
        asked.answer.extend(frame.payload);
        if !frame.more
            && let Some(asked) = self.asked.remove(&frame.channel)
        {
            let _ = asked.reply.send(read_text(&asked.answer));
        }
        Ok(())
    }

    /// An event gives its credit back when it was taken: the device handles one after the other.
    async fn happened(&mut self, frame: &Frame) -> Result<(), Broken> {
        let (name, version, body) = Call::decode(&frame.payload).ok_or(Broken("no name of an event"))?;
        let kind = if is_system(&name) { Kind::SystemEventCredit } else { Kind::EventCredit };
        if let Ok(body) = body {
            self.report(Report::Event { name, version, body }).await?;
        }
        let cost = (frame.payload.len() + EVENT_COST) as u32;
        self.send(Frame::new(kind, 0, cost.to_be_bytes().to_vec()))
    }

    fn credited(&mut self, of: usize, payload: &[u8]) -> Result<(), Broken> {
        let bytes: [u8; 4] = payload.try_into().map_err(|_| Broken("a credit of four bytes"))?;
        let credit = self.events[of].credit.saturating_add(u32::from_be_bytes(bytes) as usize);
        if credit > EVENT_WINDOW {
            return Err(Broken("more credit for events than was used"));
        }
        self.events[of].credit = credit;
        self.send_events(of)
    }

    fn ping(&mut self, reply: Option<oneshot::Sender<Duration>>) -> Result<(), Broken> {
        let token = random();
        self.pings.insert(token, (Instant::now(), reply));
        self.send(Frame::new(Kind::Ping, 0, token.to_vec()))
    }

    fn ponged(&mut self, payload: &[u8]) {
        let Ok(token) = <[u8; 8]>::try_from(payload) else { return };
        if let Some((sent_at, Some(reply))) = self.pings.remove(&token) {
            let _ = reply.send(sent_at.elapsed());
        }
    }

    fn tick(&mut self, now: Instant) -> Result<(), Broken> {
        let late: Vec<u32> = self
            .asked
            .iter()
            .filter(|(_, asked)| asked.deadline <= now)
            .map(|(channel, _)| *channel)
            .collect();
        for channel in late {
            self.asked.remove(&channel);
            self.send(Frame::new(Kind::Cancel, channel, Vec::new()))?;
        }
        let oldest_ping = self.pings.values().map(|(sent_at, _)| *sent_at).min();
        match oldest_ping {
            Some(sent_at) if now - sent_at >= PING_ANSWER && self.heard_at < sent_at => {
                Err(Broken("the other device is silent"))
            }
            None if now - self.heard_at >= SILENCE || now - self.sent_at >= SILENCE => self.ping(None),
            _ => Ok(()),
        }
    }

    fn say_goodbye(&mut self) -> Result<(), Broken> {
        if self.goodbye_said.is_none() {
            self.goodbye_said = Some(Instant::now());
            self.send(Frame::new(Kind::Goodbye, 0, Vec::new()))?;
        }
        Ok(())
    }

    /// Whether this side has to close: it began to, both have said goodbye and nothing is under way. The other side waits for that.
    fn is_done(&mut self) -> bool {
        let emits = self.events.iter().any(|window| !window.waiting.is_empty());
        let asks = !self.asked.is_empty() || emits || self.streams.has_own();
        if self.goodbye_heard && !asks && self.say_goodbye().is_err() {
            return true;
        }
        let Some(said_at) = self.goodbye_said else { return false };
        let idle = !asks && self.serving.is_empty() && self.streams.is_empty();
        self.closing && self.goodbye_heard && idle
            || self.hurry && said_at.elapsed() >= Duration::from_secs(1)
    }

    fn send_all(&mut self, frames: Vec<Frame>) -> Result<(), Broken> {
        frames.into_iter().try_for_each(|frame| self.send(frame))
    }

    fn send(&mut self, frame: Frame) -> Result<(), Broken> {
        self.sent_at = Instant::now();
        self.unwritten.try_send(frame).map_err(|_| Broken("the other device reads nothing"))
    }

    async fn report(&self, report: Report) -> Result<(), Broken> {
        self.reports.send(report).await.map_err(|_| Broken("the program ends"))
    }

    fn take_channel(&mut self) -> u32 {
        let channel = self.next_channel;
        self.next_channel += 2;
        channel
    }

    /// Whether the other side chooses such channels: odd ones are the dialer's.
    fn is_theirs(&self, channel: u32) -> bool {
        (channel % 2 == 1) != self.dialer
    }
}

fn is_system(name: &str) -> bool {
    name.starts_with("spacedock-")
}

fn streams_served(name: &str) -> Option<&'static [u32]> {
    (name == "interop-mirror").then_some(&[1])
}
