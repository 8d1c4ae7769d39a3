//! Sessions with paired devices: which there are, and which one new work goes to.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use libp2p::{PeerId, Stream, Swarm};
use libp2p_stream::{Control, IncomingStreams};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::Device;
use super::commands::{Awaited, Waiting};
use super::peers::Path;
use crate::interface::{Failure, Outcome, write_event};
use crate::network::{Behaviour, SESSION};
use crate::pairing::fields::{Bytes32, random, same};
use crate::session::call::Reply;
use crate::session::hello::{Credentials, Greeted, HelloError, greet_as_dialer, greet_as_listener, refuse};
use crate::session::link::{self, Ends, Order, Report};
use crate::session::notice::notice;

const HELLO: Duration = Duration::from_secs(5);
/// Hellos at a time, of strangers as well.
const MAX_HELLOS: usize = 64;
const MAX_BESIDE: usize = 16;
const CLOSING: Duration = Duration::from_millis(1500);

pub struct Sessions {
    control: Control,
    incoming: IncomingStreams,
    instance: [u8; 16],
    hellos: Arc<Semaphore>,
    sender: mpsc::Sender<Arrived>,
    arrived: mpsc::Receiver<Arrived>,
    /// The sessions with each device, the newest last.
    live: HashMap<PeerId, Vec<Live>>,
    last_number: u64,
    pub(super) topics: super::service::Topics,
}

struct Live {
    number: u64,
    orders: mpsc::UnboundedSender<Order>,
    instance: [u8; 16],
    path: Path,
    goodbye_heard: bool,
    goodbye_said: bool,
}

/// What happens to sessions.
pub enum Arrived {
    Stream(PeerId, Stream),
    Greeted {
        peer: PeerId,
        dialer: bool,
        stream: Stream,
        greeted: Greeted,
    },
    NotGreeted {
        peer: PeerId,
        dialer: bool,
        keys: Vec<Bytes32>,
        error: HelloError,
    },
    Reported {
        peer: PeerId,
        number: u64,
        report: Report,
    },
    /// A ping over the session was answered.
    Carries {
        peer: PeerId,
        number: u64,
    },
}

impl Sessions {
    pub fn new(swarm: &Swarm<Behaviour>) -> io::Result<Self> {
        let mut control = swarm.behaviour().streams.new_control();
        let incoming = control.accept(SESSION).map_err(io::Error::other)?;
        let (sender, arrived) = mpsc::channel(256);
        Ok(Self {
            control,
            incoming,
            instance: random(),
            hellos: Arc::new(Semaphore::new(MAX_HELLOS)),
            sender,
            arrived,
            live: HashMap::new(),
            last_number: 0,
            topics: super::service::Topics::default(),
        })
    }

    pub async fn next(&mut self) -> Arrived {
        tokio::select! {
            Some((peer, stream)) = self.incoming.next() => Arrived::Stream(peer, stream),
            Some(arrived) = self.arrived.recv() => arrived,
        }
    }

    /// The one that new work goes to: direct before relayed, the newest of these.
    fn in_use(&self, peer: &PeerId) -> Option<&Live> {
        let usable = self.live.get(peer)?.iter().filter(|live| !live.goodbye_heard && !live.goodbye_said);
        usable.max_by_key(|live| (live.path == Path::Direct, live.number))
    }

    pub(super) fn path(&self, peer: &PeerId) -> Option<Path> {
        self.in_use(peer).map(|live| live.path)
    }

    pub(super) fn connected(&self) -> Vec<PeerId> {
        self.live.keys().copied().filter(|peer| self.in_use(peer).is_some()).collect()
    }

    /// `None` when there is no session.
    pub(super) fn order(&self, peer: &PeerId, order: Order) -> Option<()> {
        self.in_use(peer)?.orders.send(order).ok()
    }

    pub(super) fn answer(&self, peer: &PeerId, number: u64, channel: u32, reply: Reply) {
        let live = self.live.get(peer).and_then(|live| live.iter().find(|live| live.number == number));
        if let Some(live) = live {
            // One that has ended needs no answer.
            let _ = live.orders.send(Order::Answer { channel, reply });
        }
    }

    pub(super) fn order_all(&self, peer: &PeerId, order: impl Fn() -> Order) {
        for live in self.live.get(peer).into_iter().flatten() {
            let _ = live.orders.send(order());
        }
    }
}

impl Device {
    pub(super) fn session_event(&mut self, arrived: Arrived) {
        match arrived {
            Arrived::Stream(peer, stream) => self.greet(peer, stream),
            Arrived::Greeted { peer, dialer, stream, greeted } => {
                self.greeted(peer, dialer, stream, &greeted)
            }
            Arrived::NotGreeted { peer, dialer, keys, error } => {
                self.not_greeted(&peer, dialer, &keys, error)
            }
            Arrived::Reported { peer, number, report } => self.reported(peer, number, report),
            Arrived::Carries { peer, number } => self.part_from_others(&peer, number),
        }
    }

    /// Opens a session; the command that waits for it is answered when it is there.
    pub(super) fn open_session(&self, peer: PeerId) {
        let mut control = self.sessions.control.clone();
        let credentials = self.credentials(peer);
        let sender = self.sessions.sender.clone();
        tokio::spawn(async move {
            let keys = credentials.keys.clone();
            let hello = async {
                let mut stream = control.open_stream(peer, SESSION).await.map_err(io::Error::other)?;
                let greeted = greet_as_dialer(&mut stream, &credentials).await?;
                Ok((stream, greeted))
            };
            let _ = sender.send(outcome_of(tokio::time::timeout(HELLO, hello).await, peer, true, keys)).await;
        });
    }

    fn greet(&self, peer: PeerId, mut stream: Stream) {
        // A stream that is dropped is reset.
        let Ok(permit) = self.sessions.hellos.clone().try_acquire_owned() else { return };
        let credentials = self.credentials(peer);
        let notices = self.store.notices(&peer);
        let sender = self.sessions.sender.clone();
        tokio::spawn(async move {
            let _permit = permit;
            let keys = credentials.keys.clone();
            if keys.is_empty() {
                let _ = tokio::time::timeout(HELLO, refuse(&mut stream, &notices)).await;
                return;
            }
            let hello = async {
                let greeted = greet_as_listener(&mut stream, &credentials).await?;
                Ok((stream, greeted))
            };
            let _ =
                sender.send(outcome_of(tokio::time::timeout(HELLO, hello).await, peer, false, keys)).await;
        });
    }

    fn credentials(&self, peer: PeerId) -> Credentials {
        let instance = self.sessions.instance;
        Credentials { me: self.me(), peer, instance, nonce: random(), keys: self.store.keys(&peer) }
    }

    fn greeted(&mut self, peer: PeerId, dialer: bool, stream: Stream, greeted: &Greeted) {
        // A device that was revoked meanwhile has no key any more.
        if !self.store.keys(&peer).contains(&greeted.pair_key) {
            return;
        }
        match self.store.prove(&peer, &greeted.pair_key) {
            Ok(true) => self.tell_paired(&peer),
            Ok(false) => {}
            Err(error) => return eprintln!("A pairing could not be finished: {error}"),
        }
        let path = self.peers.path(&peer).unwrap_or(Path::Direct);
        let number = self.start_link(peer, dialer, stream, greeted, path);
        let role = if dialer { "dialer" } else { "listener" };
        let fields = json!({ "peerId": peer.to_base58(), "role": role, "path": path.as_str() });
        write_event("connected", fields);
        let outcome = Ok(json!({ "path": path.as_str() }));
        self.arrived(|waiting| is_session(waiting, &peer), &outcome);
        self.tell_topics(&peer);
        self.ping_over(peer, number);
    }

    fn start_link(
        &mut self,
        peer: PeerId,
        dialer: bool,
        stream: Stream,
        greeted: &Greeted,
        path: Path,
    ) -> u64 {
        let instance = greeted.instance;
        self.sessions.last_number += 1;
        let number = self.sessions.last_number;
        let (orders, ordered) = mpsc::unbounded_channel();
        let (reports, reported) = mpsc::channel(16);
        tokio::spawn(link::run(stream, dialer, greeted.seal, Ends { orders: ordered, reports }));
        tokio::spawn(forward(peer, number, reported, self.sessions.sender.clone()));
        let live = self.sessions.live.entry(peer).or_default();
        // Another instance: the process that the older ones led to is gone.
        for older in live.iter().filter(|older| older.instance != instance) {
            let _ = older.orders.send(Order::Abort);
        }
        if live.len() > MAX_BESIDE {
            let _ = live[0].orders.send(Order::Abort);
        }
        live.push(Live { number, orders, instance, path, goodbye_heard: false, goodbye_said: false });
        number
    }

    fn not_greeted(&mut self, peer: &PeerId, dialer: bool, keys: &[Bytes32], error: HelloError) {
        let failure = match error {
            HelloError::Unknown if dialer => {
                write_event("unknown", json!({ "peerId": peer.to_base58() }));
                Failure::new("not-paired", "The other device does not know this one: pair again.")
            }
            HelloError::Revoked(notices) if dialer => {
                if !self.end_pairing(peer, keys, &notices) {
                    write_event("unknown", json!({ "peerId": peer.to_base58() }));
                }
                Failure::new("not-paired", "The other device has ended the pairing: pair again.")
            }
            HelloError::OtherVersion(theirs) => {
                let message = format!(
                    "It speaks the versions {theirs:?} of the session: one of the two has to be updated."
                );
                Failure::new("unreachable", message)
            }
            error => Failure::new("unreachable", format!("No session: {error:?}")),
        };
        if dialer {
            self.arrived(|waiting| is_session(waiting, peer), &Err(failure));
        }
    }

    /// Deletes the keys that the notices are about; whether there was one.
    fn end_pairing(&mut self, peer: &PeerId, keys: &[Bytes32], notices: &[u8]) -> bool {
        let me = self.me();
        let is_ended = |key: &&Bytes32| notices.chunks(32).any(|told| same(told, &notice(key, peer, &me)));
        let ended: Vec<&Bytes32> = keys.iter().filter(is_ended).collect();
        for key in &ended {
            if let Err(error) = self.store.end(peer, key) {
                eprintln!("The end of a pairing could not be stored: {error}");
            }
        }
        if !ended.is_empty() {
            write_event("revoked", json!({ "peerId": peer.to_base58() }));
        }
        !ended.is_empty()
    }

    fn reported(&mut self, peer: PeerId, number: u64, report: Report) {
        match report {
            Report::Request { channel, name, version, body } => {
                let reply = self.serve_request(peer, &name, version, body);
                self.sessions.answer(&peer, number, channel, reply);
            }
            Report::Event { name, version, body } => self.serve_event(&peer, &name, version, body),
            Report::Goodbye => self.change(&peer, number, |live| live.goodbye_heard = true),
            Report::Revoked(notices) => {
                let keys = self.store.keys(&peer);
                self.leave(&peer, || Order::Abort);
                self.end_pairing(&peer, &keys, &notices);
            }
            Report::Closed => self.closed(&peer, number),
        }
    }

    fn change(&mut self, peer: &PeerId, number: u64, change: impl FnOnce(&mut Live)) {
        let was_there = self.sessions.in_use(peer).is_some();
        let live = self
            .sessions
            .live
            .get_mut(peer)
            .and_then(|live| live.iter_mut().find(|live| live.number == number));
        if let Some(live) = live {
            change(live);
        }
        self.tell_if_gone(peer, was_there);
    }

    fn closed(&mut self, peer: &PeerId, number: u64) {
        let was_there = self.sessions.in_use(peer).is_some();
        if let Some(live) = self.sessions.live.get_mut(peer) {
            live.retain(|live| live.number != number);
            if live.is_empty() {
                self.sessions.live.remove(peer);
                let is_it = |waiting: &Waiting| waiting.peer == *peer && matches!(waiting.what, Awaited::End);
                self.arrived(is_it, &Ok(json!({})));
            }
        }
        self.tell_if_gone(peer, was_there);
    }

    fn tell_if_gone(&mut self, peer: &PeerId, was_there: bool) {
        if was_there && self.sessions.in_use(peer).is_none() {
            self.sessions.topics.forget(peer);
            write_event("disconnected", json!({ "peerId": peer.to_base58() }));
        }
    }

    fn ping_over(&self, peer: PeerId, number: u64) {
        let (reply, answered) = oneshot::channel();
        let sender = self.sessions.sender.clone();
        if self.sessions.order(&peer, Order::Ping { reply }).is_some() {
            tokio::spawn(async move {
                if answered.await.is_ok() {
                    let _ = sender.send(Arrived::Carries { peer, number }).await;
                }
            });
        }
    }

    /// The device with the smaller peer id says which session stays, when the other side has it too.
    fn part_from_others(&mut self, peer: &PeerId, number: u64) {
        let decides = self.me().to_base58() < peer.to_base58();
        if !decides || self.sessions.in_use(peer).is_none_or(|live| live.number != number) {
            return;
        }
        for other in self.sessions.live.get_mut(peer).into_iter().flatten() {
            if other.number != number && !other.goodbye_said {
                other.goodbye_said = true;
                let _ = other.orders.send(Order::Goodbye { hurry: false });
            }
        }
    }

    /// Ends all sessions with a device, in order.
    pub(super) fn close_sessions(&mut self, peer: &PeerId) {
        self.sessions.order_all(peer, || Order::Goodbye { hurry: true });
    }

    /// Ends the pairing: the device is told, now or when it comes back.
    pub(super) fn revoke(&mut self, peer: &PeerId) -> Outcome {
        let me = self.me();
        let notices: Vec<Bytes32> = self.store.keys(peer).iter().map(|key| notice(key, &me, peer)).collect();
        if notices.is_empty() {
            return Err(Failure::new("not-paired", "There is no such device."));
        }
        let told = notices.concat();
        let stored = self.store.revoke(peer, notices);
        stored.map_err(|error| Failure::new("remote-failure", error.to_string()))?;
        self.leave(peer, || Order::Revoke(told.clone()));
        Ok(json!({}))
    }

    /// Nothing new goes over the sessions with a device from now on.
    fn leave(&mut self, peer: &PeerId, order: impl Fn() -> Order) {
        self.sessions.order_all(peer, order);
        let was_there = self.sessions.in_use(peer).is_some();
        for live in self.sessions.live.get_mut(peer).into_iter().flatten() {
            live.goodbye_said = true;
        }
        self.tell_if_gone(peer, was_there);
    }

    pub(super) async fn say_goodbye(&mut self) {
        for peer in self.sessions.connected() {
            self.close_sessions(&peer);
        }
        let all_closed = async {
            while !self.sessions.live.is_empty() {
                tokio::select! {
                    Some(arrived) = self.sessions.arrived.recv() => {
                        if let Arrived::Reported { peer, number, report: Report::Closed } = arrived {
                            self.closed(&peer, number);
                        }
                    }
                    // The network carries what is left to be said.
                    _ = self.swarm.select_next_some() => {}
                }
            }
        };
        let _ = tokio::time::timeout(CLOSING, all_closed).await;
    }
}

fn is_session(waiting: &Waiting, peer: &PeerId) -> bool {
    waiting.peer == *peer && matches!(waiting.what, Awaited::Session)
}

type Hello = Result<(Stream, Greeted), HelloError>;

fn outcome_of(
    hello: Result<Hello, tokio::time::error::Elapsed>,
    peer: PeerId,
    dialer: bool,
    keys: Vec<Bytes32>,
) -> Arrived {
    match hello {
        Ok(Ok((stream, greeted))) => Arrived::Greeted { peer, dialer, stream, greeted },
        Ok(Err(error)) => Arrived::NotGreeted { peer, dialer, keys, error },
        Err(_) => Arrived::NotGreeted {
            peer,
            dialer,
            keys,
            error: HelloError::Broken(io::ErrorKind::TimedOut.into()),
        },
    }
}

async fn forward(
    peer: PeerId,
    number: u64,
    mut reports: mpsc::Receiver<Report>,
    sender: mpsc::Sender<Arrived>,
) {
    while let Some(report) = reports.recv().await {
        if sender.send(Arrived::Reported { peer, number, report }).await.is_err() {
            return;
        }
    }
}
