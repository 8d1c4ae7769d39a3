//! Invitations and the join, with the network around them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::request_response::{Event, Message, OutboundRequestId, ResponseChannel};
use libp2p::{Multiaddr, PeerId};
use serde_json::{Value, json};

use super::again::Again;
use super::rendezvous::{CodeRecords, Sought};
use super::{Device, by_peer};
use crate::interface::{Failure, Outcome, write_event};
use crate::pairing::code::{new_entropy, words_of};
use crate::pairing::initiator::{Effect, Initiator, Ledger};
use crate::pairing::joiner::Joiner;
use crate::pairing::keys::CodeKeys;
use crate::pairing::message::{Answer, Question};
use crate::pairing::uri::{read_code, uri_of};

const MAX_INVITATIONS: usize = 16;
const MAX_CANDIDATES: usize = 64;
const SEARCH: Duration = Duration::from_secs(120);
/// Between two questions to a candidate that kept silent: it may make its invitation later.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

#[derive(Default)]
pub struct Pairings {
    /// The newest last; at most one of them is open.
    invitations: Vec<Invitation>,
    join: Option<Join>,
    asked: HashMap<OutboundRequestId, Asked>,
}

struct Invitation {
    initiator: Initiator,
    records: Option<CodeRecords>,
    ask: bool,
}

struct Join {
    joiner: Joiner,
    records: Option<CodeRecords>,
    ask: bool,
    candidates: HashMap<PeerId, Again>,
    /// The question that is repeated, while it is under way.
    repeating: Option<OutboundRequestId>,
}

struct Asked {
    peer: PeerId,
    question: Question,
}

impl Device {
    pub(super) fn invite(&mut self, ask: bool) -> Outcome {
        if self.pairings.invitations.iter().any(|invitation| !invitation.initiator.is_over()) {
            return Err(Failure::invalid("There is an invitation already: cancel it first."));
        }
        let entropy = new_entropy();
        let keys = CodeKeys::new(&entropy);
        let records = CodeRecords::of_initiator(&keys);
        let initiator = Initiator::new(keys, self.me(), &self.name, Instant::now());
        if self.pairings.invitations.len() == MAX_INVITATIONS {
            self.pairings.invitations.remove(0);
        }
        self.pairings.invitations.push(Invitation { initiator, records, ask });
        self.publish_soon();
        Ok(json!({ "words": words_of(&entropy), "uri": uri_of(&entropy, &self.own_addresses()) }))
    }

    pub(super) fn join(
        &mut self,
        code: &str,
        ask: bool,
        peers: &[String],
        timeout: Option<Duration>,
    ) -> Outcome {
        if self.pairings.join.as_ref().is_some_and(|join| !join.joiner.is_over()) {
            return Err(Failure::invalid("There is a join already: cancel it first."));
        }
        let (entropy, mut addresses) =
            read_code(code).map_err(|error| Failure::invalid(error.to_string()))?;
        for text in peers {
            let address: Multiaddr =
                text.parse().map_err(|_| Failure::invalid(format!("{text} is no address.")))?;
            addresses.push(address);
        }
        let keys = CodeKeys::new(&entropy);
        let records = CodeRecords::of_joiner(&keys);
        let deadline = Instant::now() + timeout.unwrap_or(SEARCH);
        let joiner = Joiner::new(keys, self.me(), &self.name, deadline);
        self.pairings.join = Some(Join { joiner, records, ask, candidates: HashMap::new(), repeating: None });
        self.publish_soon();
        for (peer, addresses) in by_peer(addresses) {
            self.peers.learn(peer, &addresses);
            self.candidate_found(peer);
        }
        for peer in self.peers.all() {
            self.candidate_found(peer);
        }
        self.tick_pairings(Instant::now());
        Ok(json!({}))
    }

    /// The person's answer, to whichever of the two asks.
    pub(super) fn confirm(&mut self, yes: bool) -> Outcome {
        let now = Instant::now();
        for invitation in &mut self.pairings.invitations {
            invitation.initiator.decided(yes, &mut self.store, now);
        }
        if let Some(join) = &mut self.pairings.join {
            join.joiner.decided(yes, &mut self.store, now);
        }
        self.settle_pairings();
        self.repeat();
        Ok(json!({}))
    }

    pub(super) fn cancel_pairing(&mut self) -> Outcome {
        for invitation in &mut self.pairings.invitations {
            invitation.initiator.cancel(&mut self.store, Instant::now());
        }
        if let Some(join) = &mut self.pairings.join {
            join.joiner.cancel();
        }
        self.settle_pairings();
        Ok(json!({}))
    }

    /// A peer that may be the initiator.
    pub(super) fn candidate_found(&mut self, peer: PeerId) {
        if let Some(join) = &mut self.pairings.join
            && join.candidates.len() < MAX_CANDIDATES
        {
            join.candidates.entry(peer).or_default();
        }
    }

    /// There is news of a peer: it is asked at once.
    pub(super) fn candidate_news(&mut self, peer: PeerId) {
        self.candidate_found(peer);
        if let Some(again) = self.pairings.join.as_mut().and_then(|join| join.candidates.get_mut(&peer)) {
            *again = Again::default();
        }
    }

    /// Whether somebody may use a code that is shown here.
    pub(super) fn shows_code(&self) -> bool {
        self.pairings.invitations.iter().any(|invitation| invitation.initiator.is_open())
    }

    /// The records of the codes that are shown or typed here, as long as they are.
    pub(super) fn code_records(&mut self) -> impl Iterator<Item = &mut CodeRecords> {
        let invitations = self.pairings.invitations.iter_mut();
        let open = invitations.filter(|invitation| invitation.initiator.is_open());
        let join = self.pairings.join.iter_mut().filter(|join| !join.joiner.is_over());
        open.filter_map(|invitation| invitation.records.as_mut())
            .chain(join.filter_map(|join| join.records.as_mut()))
    }

    /// What these records are looked for now. An initiator stops when somebody has shown that they have the words.
    pub(super) fn code_records_sought(&mut self, now: Instant) -> Vec<Sought> {
        let invitations = self.pairings.invitations.iter_mut();
        let unused = invitations.filter(|invitation| invitation.initiator.is_unused());
        let join = self.pairings.join.iter_mut().filter(|join| join.joiner.is_searching());
        let all = unused.map(|invitation| &mut invitation.records).chain(join.map(|join| &mut join.records));
        all.flatten().filter_map(|records| records.due(now)).collect()
    }

    pub(super) fn pairing_event(&mut self, event: Event<Question, Answer>) {
        match event {
            Event::Message { peer, message: Message::Request { request, channel, .. }, .. } => {
                self.asked(peer, &request, channel);
            }
            Event::Message { message: Message::Response { request_id, response }, .. } => {
                self.answered(request_id, Some(&response));
            }
            Event::OutboundFailure { request_id, error, peer, .. } => {
                eprintln!("{peer} did not answer: {error}");
                self.answered(request_id, None);
            }
            Event::InboundFailure { peer, error, .. } => eprintln!("a question of {peer}: {error}"),
            Event::ResponseSent { .. } => {}
        }
    }

    fn asked(&mut self, from: PeerId, question: &Question, channel: ResponseChannel<Answer>) {
        // To drop the channel resets the stream: silence.
        if let Some(answer) = self.answer(from, question) {
            let _ = self.swarm.behaviour_mut().pairing.send_response(channel, answer);
        }
        self.settle_pairings();
    }

    fn answer(&mut self, from: PeerId, question: &Question) -> Option<Answer> {
        let now = Instant::now();
        for invitation in self.pairings.invitations.iter_mut().rev() {
            if let Some(answer) = invitation.initiator.answer(from, question, &mut self.store, now) {
                return Some(answer);
            }
        }
        match question {
            Question::Cancel { mac } => {
                self.pairings.join.as_mut()?.joiner.cancel_received(from, &mac.0, &mut self.store)
            }
            // A pending row is enough: the invitation ended with the program that made it.
            Question::Confirmed { acknowledgement } if self.store.expects(&from, &acknowledgement.0) => {
                self.store.activate(&from).ok()?;
                self.tell_paired(&from);
                Some(Answer::Acknowledged {})
            }
            _ => None,
        }
    }

    /// Takes the answer to a question of this device; `None` when there was none.
    fn answered(&mut self, id: OutboundRequestId, answer: Option<&Answer>) {
        let Some(Asked { peer, question }) = self.pairings.asked.remove(&id) else {
            return self.probe_answered(id, answer);
        };
        if let Some(join) = &mut self.pairings.join {
            join.repeating.take_if(|repeating| *repeating == id);
            if let Some(answer) = answer {
                join.joiner.answered(peer, &question, answer, &mut self.store, Instant::now());
            }
        }
        self.settle_pairings();
        // What the answer led to is said at once, except for Waiting, which is what repetition is for.
        if answer.is_some_and(|answer| !matches!(answer, Answer::Waiting {})) {
            self.repeat();
        }
    }

    pub(super) fn tick_pairings(&mut self, now: Instant) {
        for invitation in &mut self.pairings.invitations {
            invitation.initiator.tick(now);
        }
        self.pairings.invitations.retain(|invitation| !invitation.initiator.is_forgotten(now));
        if let Some(join) = &mut self.pairings.join {
            join.joiner.tick(now);
        }
        self.settle_pairings();
        self.repeat();
        self.ask_candidates(now);
    }

    fn repeat(&mut self) {
        let Some(join) = &self.pairings.join else { return };
        if join.repeating.is_some() {
            return;
        }
        let Some((peer, question)) = join.joiner.repeated() else { return };
        let id = self.ask(peer, question);
        if let Some(join) = &mut self.pairings.join {
            join.repeating = Some(id);
        }
    }

    fn ask_candidates(&mut self, now: Instant) {
        for peer in self.peers.connected_peers().collect::<Vec<_>>() {
            self.candidate_found(peer);
        }
        let Some(join) = self.pairings.join.as_mut().filter(|join| join.joiner.is_searching()) else {
            return;
        };
        let under_way: Vec<PeerId> = self.pairings.asked.values().map(|asked| asked.peer).collect();
        let mut questions = Vec::new();
        for (peer, again) in &mut join.candidates {
            let due = again.is_due(now) && !under_way.contains(peer);
            if due && let Some(question) = join.joiner.question_for(peer) {
                again.put_off(now, LONGEST_PAUSE);
                questions.push((*peer, question));
            }
        }
        for (peer, question) in questions {
            self.ask(peer, question);
        }
    }

    fn ask(&mut self, peer: PeerId, question: Question) -> OutboundRequestId {
        let id = self.send_question(peer, question.clone());
        self.pairings.asked.insert(id, Asked { peer, question });
        id
    }

    /// Asks over a connection that there is, or a new one to the addresses that are known.
    pub(super) fn send_question(&mut self, peer: PeerId, question: Question) -> OutboundRequestId {
        let addresses = self.peers.addresses(&peer);
        self.swarm.behaviour_mut().pairing.send_request_with_addresses(&peer, question, addresses)
    }

    /// Does what the machines have decided.
    fn settle_pairings(&mut self) {
        let mut all = Vec::new();
        for invitation in &mut self.pairings.invitations {
            let ask = invitation.ask;
            all.extend(invitation.initiator.effects().into_iter().map(|effect| (effect, ask)));
        }
        if let Some(join) = &mut self.pairings.join {
            let ask = join.ask;
            all.extend(join.joiner.effects().into_iter().map(|effect| (effect, ask)));
        }
        for (effect, ask) in all {
            self.settle(effect, ask);
        }
    }

    fn settle(&mut self, effect: Effect, ask: bool) {
        match effect {
            Effect::Ask { peer, name, digits } if ask => {
                write_event("confirm", json!({ "peerId": peer.to_base58(), "name": name, "digits": digits }));
            }
            Effect::Ask { .. } => {
                let _: Value = self.confirm(true).unwrap_or_default();
            }
            Effect::SendCancel { peer, mac } => {
                self.ask(peer, Question::Cancel { mac });
            }
            Effect::Paired { peer, .. } => self.tell_paired(&peer),
            Effect::Failed(reason) => write_event("pairing-failed", json!({ "reason": reason })),
        }
    }

    pub(super) fn tell_paired(&mut self, peer: &PeerId) {
        self.publish_soon();
        let name = self.store.row(peer).map_or("", |row| row.name.as_str());
        write_event("paired", json!({ "peerId": peer.to_base58(), "name": name }));
    }
}
