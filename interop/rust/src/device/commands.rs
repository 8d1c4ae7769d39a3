//! The commands of the interface.

use std::time::{Duration, Instant};

use libp2p::request_response::OutboundRequestId;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::{Multiaddr, PeerId, identify, ping};
use serde_json::{Value, json};

use super::Device;
use crate::interface::{Command, Failure, Line, Outcome, write_outcome};
use crate::options::peer_of;
use crate::pairing::joiner::Joiner;
use crate::pairing::keys::CodeKeys;
use crate::pairing::message::Answer;
use crate::pairing::uri::read_code;

const COMMAND: Duration = Duration::from_secs(30);
const MAX_PROBES: usize = 64;

/// A command that the network has to answer.
pub struct Waiting {
    pub id: u64,
    pub peer: PeerId,
    pub what: Awaited,
    pub deadline: Instant,
}

pub enum Awaited {
    Ping,
    Identify,
    /// A session to be there, or all to be gone.
    Session,
    End,
    Probe {
        keys: Box<CodeKeys>,
        left: usize,
        under_way: OutboundRequestId,
        answers: Vec<&'static str>,
    },
}

impl Device {
    pub(super) fn command(&mut self, line: &str) {
        let Line { id, command } = match serde_json::from_str(line) {
            Ok(line) => line,
            Err(error) => {
                let id = serde_json::from_str::<Value>(line).ok().and_then(|line| line["id"].as_u64());
                return write_outcome(id.unwrap_or(0), Err(Failure::invalid(error.to_string())));
            }
        };
        if let Some(outcome) = self.perform(id, command).unwrap_or_else(|failure| Some(Err(failure))) {
            write_outcome(id, outcome);
        }
    }

    /// `None` when the answer comes later.
    fn perform(&mut self, id: u64, command: Command) -> Result<Option<Outcome>, Failure> {
        let outcome = match command {
            Command::Invite { ask } => self.invite(ask),
            Command::Join { words, ask, peers, timeout_ms } => {
                self.join(&words, ask, &peers, timeout_ms.map(Duration::from_millis))
            }
            Command::Confirm { yes } => self.confirm(yes),
            Command::Cancel => self.cancel_pairing(),
            Command::Devices => self.devices(),
            Command::Libp2pPing { address } => return self.await_at(id, &address, Awaited::Ping),
            Command::Identify { address } => return self.await_at(id, &address, Awaited::Identify),
            Command::Probe { words, address, times } => return self.probe(id, &words, &address, times),
            session => return self.perform_over_session(id, session),
        };
        Ok(Some(outcome))
    }

    /// Opens a new connection: what is asked happens on every one.
    fn await_at(&mut self, id: u64, address: &str, what: Awaited) -> Result<Option<Outcome>, Failure> {
        let (peer, address) = read_address(address)?;
        self.peers.learn(peer, std::slice::from_ref(&address));
        let dial = DialOpts::peer_id(peer)
            .addresses(vec![address])
            .condition(libp2p::swarm::dial_opts::PeerCondition::Always)
            .build();
        self.swarm.dial(dial).map_err(|error| Failure::new("unreachable", error.to_string()))?;
        self.wait(id, peer, what);
        Ok(None)
    }

    pub(super) fn wait(&mut self, id: u64, peer: PeerId, what: Awaited) {
        self.waiting.push(Waiting { id, peer, what, deadline: Instant::now() + COMMAND });
    }

    /// Answers the commands that wait for this.
    pub(super) fn arrived(&mut self, is_it: impl Fn(&Waiting) -> bool, outcome: &Outcome) {
        self.waiting.retain(|waiting| {
            let it = is_it(waiting);
            if it {
                write_outcome(waiting.id, outcome.clone());
            }
            !it
        });
    }

    pub(super) fn tick_commands(&mut self, now: Instant) {
        let late = Failure::new("timeout", "There was no answer in time.");
        self.arrived(|waiting| waiting.deadline <= now, &Err(late));
    }

    pub(super) fn unreachable(&mut self, peer: &PeerId) {
        if self.peers.path(peer).is_none() {
            let failure = Failure::new("unreachable", "No address of it answered.");
            let is_it =
                |waiting: &Waiting| waiting.peer == *peer && !matches!(waiting.what, Awaited::Probe { .. });
            self.arrived(is_it, &Err(failure));
        }
    }

    pub(super) fn ping_event(&mut self, event: &ping::Event) {
        let Ok(round_trip) = event.result else { return };
        let outcome = Ok(json!({ "ms": round_trip.as_secs_f64() * 1000.0 }));
        self.arrived(|waiting| waiting.peer == event.peer && matches!(waiting.what, Awaited::Ping), &outcome);
    }

    pub(super) fn identify_event(&mut self, event: identify::Event) {
        let identify::Event::Received { peer_id, info, .. } = event else { return };
        let protocols: Vec<&str> = info.protocols.iter().map(AsRef::as_ref).collect();
        let outcome = Ok(json!({ "agent": info.agent_version, "protocols": protocols }));
        self.arrived(
            |waiting| waiting.peer == peer_id && matches!(waiting.what, Awaited::Identify),
            &outcome,
        );
    }

    /// Does what a thief of the words may: unrelated questions, and nothing after the answers.
    fn probe(
        &mut self,
        id: u64,
        words: &str,
        address: &str,
        times: usize,
    ) -> Result<Option<Outcome>, Failure> {
        if !(1..=MAX_PROBES).contains(&times) {
            return Err(Failure::invalid(format!("times is 1 to {MAX_PROBES}.")));
        }
        let (peer, address) = read_address(address)?;
        let (entropy, _) = read_code(words).map_err(|error| Failure::invalid(error.to_string()))?;
        self.peers.learn(peer, &[address]);
        let keys = Box::new(CodeKeys::new(&entropy));
        let under_way = self.send_probe(&keys, peer)?;
        self.wait(id, peer, Awaited::Probe { keys, left: times - 1, under_way, answers: Vec::new() });
        Ok(None)
    }

    fn send_probe(&mut self, keys: &CodeKeys, peer: PeerId) -> Result<OutboundRequestId, Failure> {
        let joiner = Joiner::new(keys.clone(), self.me(), &self.name, Instant::now());
        let question =
            joiner.question_for(&peer).ok_or_else(|| Failure::invalid("This is the device itself."))?;
        Ok(self.send_question(peer, question))
    }

    pub(super) fn probe_answered(&mut self, id: OutboundRequestId, answer: Option<&Answer>) {
        let position = self.waiting.iter().position(
            |waiting| matches!(&waiting.what, Awaited::Probe { under_way, .. } if *under_way == id),
        );
        let Some(position) = position else { return };
        let waiting = self.waiting.swap_remove(position);
        let Awaited::Probe { keys, left, mut answers, .. } = waiting.what else { return };
        answers.push(answer.map_or("silence", Answer::name));
        if left == 0 {
            return write_outcome(waiting.id, Ok(json!({ "answers": answers })));
        }
        match self.send_probe(&keys, waiting.peer) {
            Ok(under_way) => {
                self.wait(
                    waiting.id,
                    waiting.peer,
                    Awaited::Probe { keys, left: left - 1, under_way, answers },
                );
            }
            Err(failure) => write_outcome(waiting.id, Err(failure)),
        }
    }
}

fn read_address(text: &str) -> Result<(PeerId, Multiaddr), Failure> {
    let address: Multiaddr = text.parse().map_err(|_| Failure::invalid(format!("{text} is no address.")))?;
    let peer =
        peer_of(&address).ok_or_else(|| Failure::invalid(format!("{text} does not end in a peer id.")))?;
    Ok((peer, address))
}
