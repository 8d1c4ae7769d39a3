//! The joiner of one code: the table "Joiner" of PROTOCOL.md.
//!
//! Rows are stored by the [`Ledger`] before this says so, so the states `persisting` and `activating` pass within a call.

use std::time::Instant;

use libp2p::PeerId;

use super::description::{open_description, seal_description};
use super::fields::{Bytes32, fields, mac, random, same};
use super::initiator::{Effect, Ledger, Pairing};
use super::keys::{AgreedKeys, CodeKeys, share_of};
use super::limits::{ACKNOWLEDGEMENT, APPROVAL, MAX_TRIES, RESPONSE};
use super::message::{Answer, Fixed, Question, Reason, VERSION};
use super::transcript::{self, Role, SUITE};

pub struct Joiner {
    keys: CodeKeys,
    me: PeerId,
    name: String,
    /// When the search is over.
    deadline: Instant,
    /// Nonces and secrets of a search derive from it, so nothing is kept about candidates.
    seed: Bytes32,
    tries: usize,
    phase: Phase,
    /// The six digits of the last Response.
    digits: String,
    effects: Vec<Effect>,
}

enum Phase {
    Searching,
    Responding { exchange: Box<Exchange>, since: Instant },
    Deciding { exchange: Box<Exchange>, pairing: Pairing, since: Instant },
    Confirming { exchange: Box<Exchange>, pairing: Pairing, since: Instant },
    Over,
}

/// The use of the code with the one peer that holds it.
struct Exchange {
    peer: PeerId,
    request: Bytes32,
    keys: AgreedKeys,
    response: Bytes32,
    proof: Bytes32,
    question: Question,
}

/// A PairingRequest and what it commits to.
struct Candidate {
    nonce: Bytes32,
    secret: Bytes32,
    share: Bytes32,
    commitment: Bytes32,
    probe: [u8; 16],
    request: Bytes32,
}

impl Joiner {
    pub fn new(keys: CodeKeys, me: PeerId, name: &str, deadline: Instant) -> Self {
        Self {
            keys,
            me,
            name: name.to_owned(),
            deadline,
            seed: random(),
            tries: 0,
            phase: Phase::Searching,
            digits: String::new(),
            effects: Vec::new(),
        }
    }

    /// What is to be done since this was asked last.
    pub fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    pub fn is_searching(&self) -> bool {
        matches!(self.phase, Phase::Searching)
    }

    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// What a peer that was found is asked, in case it is the initiator: the same bytes every time.
    pub fn question_for(&self, peer: &PeerId) -> Option<Question> {
        if !self.is_searching() || *peer == self.me {
            return None;
        }
        let candidate = self.candidate(peer);
        Some(Question::PairingRequest {
            version: VERSION,
            suite: SUITE.to_owned(),
            commitment: Fixed(candidate.commitment),
            probe: Fixed(candidate.probe),
        })
    }

    /// What is repeated until it is answered.
    pub fn repeated(&self) -> Option<(PeerId, Question)> {
        match &self.phase {
            Phase::Responding { exchange, .. } => Some((exchange.peer, exchange.question.clone())),
            Phase::Confirming { exchange, pairing, .. } => {
                let acknowledgement = Fixed(pairing.acknowledgement);
                Some((exchange.peer, Question::Confirmed { acknowledgement }))
            }
            Phase::Searching | Phase::Deciding { .. } | Phase::Over => None,
        }
    }

    /// Takes an answer to `question`. One that does not fit changes nothing.
    pub fn answered(
        &mut self,
        from: PeerId,
        question: &Question,
        answer: &Answer,
        ledger: &mut dyn Ledger,
        now: Instant,
    ) {
        self.tick(now);
        match (question, answer) {
            (Question::PairingRequest { .. }, Answer::Challenge { nonce, share, probe }) => {
                self.challenged(from, &nonce.0, &share.0, &probe.0, now);
            }
            (Question::PairingRequest { commitment, .. }, Answer::Refused { reason, mac }) => {
                self.request_refused(from, &commitment.0, *reason, &mac.0);
            }
            (Question::Response { .. }, Answer::Complete { sealed, proof }) => {
                self.completed(from, &sealed.0, &proof.0, now);
            }
            (Question::Response { .. } | Question::Confirmed { .. }, Answer::Refused { reason, mac }) => {
                self.refused(from, *reason, &mac.0, ledger);
            }
            (Question::Confirmed { .. }, Answer::Acknowledged {}) => self.acknowledged(from, ledger),
            _ => {}
        }
    }

    fn challenged(&mut self, from: PeerId, nonce: &Bytes32, share: &Bytes32, probe: &[u8; 16], now: Instant) {
        if !self.is_searching() {
            return;
        }
        let candidate = self.candidate(&from);
        if !same(probe, &transcript::challenge_probe(&self.keys, &candidate.request, nonce, share)) {
            return;
        }
        if self.tries >= MAX_TRIES {
            return self.fail("too-many-tries");
        }
        let Some(keys) = AgreedKeys::agree(&self.keys, &candidate.secret, share) else { return };
        let challenge = transcript::challenge(&candidate.request, nonce, share);
        let opening = transcript::opening(&challenge, &candidate.nonce, &candidate.share);
        let sealed = seal_description(&keys.joiner_seal, &opening, &self.name);
        let response = transcript::response(&opening, &sealed.0);
        let proof = mac(&keys.joiner_proof, &response);
        let question = Question::Response {
            nonce: Fixed(candidate.nonce),
            share: Fixed(candidate.share),
            sealed,
            proof: Fixed(proof),
        };
        self.tries += 1;
        // What is asked after a Response has nothing in common with what was asked before.
        self.seed = random();
        self.digits = keys.digits(&opening);
        let exchange =
            Box::new(Exchange { peer: from, request: candidate.request, keys, response, proof, question });
        self.phase = Phase::Responding { exchange, since: now };
    }

    fn request_refused(&mut self, from: PeerId, commitment: &Bytes32, reason: Reason, mac: &Bytes32) {
        let candidate = self.candidate(&from);
        if self.is_searching()
            && candidate.commitment == *commitment
            && same(mac, &transcript::request_refusal(&self.keys, &candidate.request, reason))
        {
            self.fail(reason.as_str());
        }
    }

    fn completed(&mut self, from: PeerId, sealed: &[u8; 272], proof: &Bytes32, now: Instant) {
        let Phase::Responding { exchange, .. } = &self.phase else { return };
        let Some(pairing) = exchange.check_complete(from, sealed, proof) else { return };
        self.effects.push(Effect::Ask {
            peer: from,
            name: pairing.name.clone(),
            digits: self.digits.clone(),
        });
        self.replace(|exchange| Phase::Deciding { exchange, pairing, since: now });
    }

    fn refused(&mut self, from: PeerId, reason: Reason, mac: &Bytes32, ledger: &mut dyn Ledger) {
        let (Phase::Responding { exchange, .. } | Phase::Confirming { exchange, .. }) = &self.phase else {
            return;
        };
        let right = transcript::response_refusal(&exchange.keys, &exchange.response, &exchange.proof, reason);
        if exchange.peer != from || !same(mac, &right) {
            return;
        }
        if matches!(self.phase, Phase::Confirming { .. }) {
            ledger.forget_provisional(&from);
        }
        self.fail(reason.as_str());
    }

    fn acknowledged(&mut self, from: PeerId, ledger: &mut dyn Ledger) {
        let Phase::Confirming { exchange, pairing, .. } = &self.phase else { return };
        if exchange.peer != from {
            return;
        }
        if ledger.activate(&from).is_err() {
            return self.fail("unfinished");
        }
        self.effects.push(Effect::Paired { peer: from, name: pairing.name.clone() });
        self.phase = Phase::Over;
    }

    /// The person said yes or no.
    pub fn decided(&mut self, yes: bool, ledger: &mut dyn Ledger, now: Instant) {
        self.tick(now);
        let Phase::Deciding { pairing, .. } = &self.phase else { return };
        if !yes {
            self.send_cancel();
            self.fail("declined");
        } else if ledger.store_provisional(pairing).is_err() {
            self.send_cancel();
            self.fail("failed");
        } else {
            let pairing = pairing.clone();
            self.replace(|exchange| Phase::Confirming { exchange, pairing, since: now });
        }
    }

    /// The person calls it off.
    pub fn cancel(&mut self) {
        match self.phase {
            Phase::Searching => self.fail("cancelled"),
            Phase::Responding { .. } | Phase::Deciding { .. } => {
                self.send_cancel();
                self.fail("cancelled");
            }
            Phase::Confirming { .. } => self.fail("unfinished"),
            Phase::Over => {}
        }
    }

    /// Answers a Cancel; `None` is silence.
    pub fn cancel_received(
        &mut self,
        from: PeerId,
        mac: &Bytes32,
        ledger: &mut dyn Ledger,
    ) -> Option<Answer> {
        let exchange = self.phase.exchange().filter(|exchange| exchange.peer == from)?;
        if !same(mac, &transcript::cancel(&self.keys, Role::Initiator, &exchange.request)) {
            return None;
        }
        if matches!(self.phase, Phase::Confirming { .. }) {
            ledger.forget_provisional(&from);
        }
        self.fail("cancelled");
        Some(Answer::Acknowledged {})
    }

    /// Looks at the time. Called before every event, and now and then.
    pub fn tick(&mut self, now: Instant) {
        match &self.phase {
            Phase::Searching if now >= self.deadline => self.fail("not-found"),
            Phase::Responding { .. } if now >= self.deadline => {
                self.send_cancel();
                self.fail("interrupted");
            }
            Phase::Responding { since, .. } if now - *since >= RESPONSE => self.phase = Phase::Searching,
            Phase::Deciding { since, .. } if now - *since >= APPROVAL => {
                self.send_cancel();
                self.fail("expired");
            }
            Phase::Confirming { since, .. } if now - *since >= ACKNOWLEDGEMENT => self.fail("unfinished"),
            _ => {}
        }
    }

    fn send_cancel(&mut self) {
        if let Some(exchange) = self.phase.exchange() {
            let mac = transcript::cancel(&self.keys, Role::Joiner, &exchange.request);
            self.effects.push(Effect::SendCancel { peer: exchange.peer, mac: Fixed(mac) });
        }
    }

    fn fail(&mut self, reason: &'static str) {
        self.phase = Phase::Over;
        self.effects.push(Effect::Failed(reason));
    }

    /// Goes on with the same exchange.
    fn replace(&mut self, next: impl FnOnce(Box<Exchange>) -> Phase) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Responding { exchange, .. }
            | Phase::Deciding { exchange, .. }
            | Phase::Confirming { exchange, .. } => next(exchange),
            other @ (Phase::Searching | Phase::Over) => other,
        };
    }

    fn candidate(&self, peer: &PeerId) -> Candidate {
        let text = peer.to_base58();
        let nonce = mac(&self.seed, &fields(&[b"nonce", text.as_bytes()]));
        let secret = mac(&self.seed, &fields(&[b"secret", text.as_bytes()]));
        let share = share_of(&secret);
        let commitment = transcript::commitment(&nonce, &share);
        let start = transcript::start(peer, &self.me);
        let probe = transcript::request_probe(&self.keys, &start, &commitment);
        let request = transcript::request(&start, &commitment, &probe);
        Candidate { nonce, secret, share, commitment, probe, request }
    }
}

impl Phase {
    fn exchange(&self) -> Option<&Exchange> {
        match self {
            Self::Responding { exchange, .. }
            | Self::Deciding { exchange, .. }
            | Self::Confirming { exchange, .. } => Some(exchange),
            Self::Searching | Self::Over => None,
        }
    }
}

impl Exchange {
    fn check_complete(&self, from: PeerId, sealed: &[u8; 272], proof: &Bytes32) -> Option<Pairing> {
        let complete = transcript::complete(&self.response, &self.proof, sealed);
        if from != self.peer || !same(proof, &mac(&self.keys.initiator_proof, &complete)) {
            return None;
        }
        let associated = transcript::proved(&self.response, &self.proof);
        let name = open_description(&self.keys.initiator_seal, &associated, &Fixed(*sealed))?;
        Some(Pairing {
            peer: from,
            name,
            pair_key: self.keys.pair_key(&complete),
            acknowledgement: transcript::acknowledgement(&self.keys, &complete, proof),
            role: Role::Joiner,
        })
    }
}
