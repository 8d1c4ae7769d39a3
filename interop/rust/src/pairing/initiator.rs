//! The initiator of one invitation: the table "Initiator" of PROTOCOL.md.
//!
//! Rows are stored by the [`Ledger`] before this says so, so the states `persisting` and `activating` pass within a call.

use std::collections::HashMap;
use std::time::Instant;

use libp2p::PeerId;

use super::description::{open_description, seal_description};
use super::fields::{Bytes32, random, same};
use super::keys::{AgreedKeys, CodeKeys, share_of};
use super::limits::{
    APPROVAL, ATTEMPT, CONFIRMATION, INVITATION_LIFETIME, MAX_OPEN_ATTEMPTS, MAX_TRIES, REMEMBRANCE,
};
use super::message::{Answer, Fixed, Question, Reason, Sealed, VERSION};
use super::transcript::{self, Role, SUITE};

/// Where pairings are stored. What it returns is durable.
pub trait Ledger {
    fn store_provisional(&mut self, pairing: &Pairing) -> std::io::Result<()>;
    fn activate(&mut self, peer: &PeerId) -> std::io::Result<()>;
    fn forget_provisional(&mut self, peer: &PeerId);
}

/// What is stored of a device.
#[derive(Clone)]
pub struct Pairing {
    pub peer: PeerId,
    pub name: String,
    pub pair_key: Bytes32,
    /// What a Confirmed has to say, or says.
    pub acknowledgement: Bytes32,
    pub role: Role,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Asks the person.
    Ask {
        peer: PeerId,
        name: String,
        digits: String,
    },
    SendCancel {
        peer: PeerId,
        mac: Fixed<32>,
    },
    Paired {
        peer: PeerId,
        name: String,
    },
    Failed(&'static str),
}

pub struct Initiator {
    keys: CodeKeys,
    me: PeerId,
    name: String,
    opened_at: Instant,
    phase: Phase,
    /// The open attempt of each peer; at most `MAX_TRIES` were ever counted.
    attempts: HashMap<PeerId, Attempt>,
    /// Commitments of attempts that a newer one, or a Cancel, has closed.
    closed: Vec<(PeerId, Bytes32)>,
    counted: usize,
    effects: Vec<Effect>,
}

enum Phase {
    Open,
    Approving { winner: Box<Winner>, since: Instant },
    Completed { winner: Box<Winner>, since: Instant, told: bool },
    Paired { winner: Box<Winner> },
    Ended { reason: Reason, winner: Option<Box<Winner>>, agreed: bool, since: Instant },
}

/// One peer's use of the invitation, since its PairingRequest.
struct Attempt {
    commitment: Bytes32,
    request: Bytes32,
    secret: Bytes32,
    challenge: Answer,
    challenge_hash: Bytes32,
    since: Instant,
}

/// What a right Response leads to.
struct Proved {
    keys: AgreedKeys,
    name: String,
    opening: Bytes32,
    response: Bytes32,
    proof: Bytes32,
}

struct Winner {
    peer: PeerId,
    request: Bytes32,
    question: Question,
    proved: Proved,
    complete: Answer,
    pairing: Pairing,
}

enum Verdict {
    Right(Box<Proved>),
    Late,
    Wrong,
}

impl Initiator {
    pub fn new(keys: CodeKeys, me: PeerId, name: &str, now: Instant) -> Self {
        Self {
            keys,
            me,
            name: name.to_owned(),
            opened_at: now,
            phase: Phase::Open,
            attempts: HashMap::new(),
            closed: Vec::new(),
            counted: 0,
            effects: Vec::new(),
        }
    }

    /// What is to be done since this was asked last.
    pub fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// Whether nobody has shown yet that they have the words.
    pub fn is_unused(&self) -> bool {
        self.is_open() && self.counted == 0
    }

    /// Whether it has paired, or ended.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Paired { .. } | Phase::Ended { .. })
    }

    /// Whether nobody needs to be told any more how it ended.
    pub fn is_forgotten(&self, now: Instant) -> bool {
        match self.phase {
            Phase::Ended { since, .. } => now - since >= REMEMBRANCE,
            Phase::Paired { .. } => now - self.opened_at >= INVITATION_LIFETIME + REMEMBRANCE,
            _ => false,
        }
    }

    /// Answers a question; `None` is silence.
    pub fn answer(
        &mut self,
        from: PeerId,
        question: &Question,
        ledger: &mut dyn Ledger,
        now: Instant,
    ) -> Option<Answer> {
        self.tick(now);
        match question {
            Question::PairingRequest { version, suite, commitment, probe } => {
                (*version == VERSION && suite == SUITE).then_some(())?;
                self.requested(from, &commitment.0, &probe.0, now)
            }
            Question::Response { .. } => self.responded(from, question, now),
            Question::Confirmed { acknowledgement } => self.confirmed(from, &acknowledgement.0, ledger),
            Question::Cancel { mac } => self.cancel_received(from, &mac.0, ledger, now),
        }
    }

    fn requested(
        &mut self,
        from: PeerId,
        commitment: &Bytes32,
        probe: &[u8; 16],
        now: Instant,
    ) -> Option<Answer> {
        let start = transcript::start(&self.me, &from);
        if !same(probe, &transcript::request_probe(&self.keys, &start, commitment)) {
            return None;
        }
        let request = transcript::request(&start, commitment, probe);
        match &self.phase {
            Phase::Open => {}
            Phase::Ended { reason, .. } => return Some(self.refuse_request(&request, *reason)),
            _ => return Some(self.refuse_request(&request, Reason::Used)),
        }
        if let Some(attempt) = self.attempts.get(&from).filter(|attempt| attempt.commitment == *commitment) {
            return Some(attempt.challenge.clone());
        }
        if self.closed.contains(&(from, *commitment)) {
            return None;
        }
        let waiting = |(peer, attempt): &(&PeerId, &Attempt)| **peer != from && now - attempt.since < ATTEMPT;
        if self.attempts.iter().filter(waiting).count() >= MAX_OPEN_ATTEMPTS {
            return None;
        }
        if self.counted >= MAX_TRIES {
            self.end(Reason::Burnt, None, false, now);
            return Some(self.refuse_request(&request, Reason::Burnt));
        }
        self.counted += 1;
        let attempt = Attempt::new(&self.keys, *commitment, request, now);
        let challenge = attempt.challenge.clone();
        if let Some(earlier) = self.attempts.insert(from, attempt) {
            self.closed.push((from, earlier.commitment));
        }
        Some(challenge)
    }

    fn responded(&mut self, from: PeerId, question: &Question, now: Instant) -> Option<Answer> {
        if let Some(winner) = self.phase.winner().filter(|winner| winner.peer == from) {
            // Another Response of the peer that has won gets silence.
            return (winner.question == *question).then(|| self.answer_winner(winner));
        }
        let attempt = self.attempts.get(&from)?;
        let verdict = self.judge(from, attempt, question);
        let request = attempt.request;
        match (&self.phase, verdict) {
            (Phase::Open, Verdict::Right(proved)) => {
                let winner = Box::new(self.seal_complete(from, request, question.clone(), *proved));
                self.effects.push(Effect::Ask {
                    peer: from,
                    name: winner.proved.name.clone(),
                    digits: winner.proved.keys.digits(&winner.proved.opening),
                });
                self.phase = Phase::Approving { winner, since: now };
                Some(Answer::Waiting {})
            }
            (Phase::Open, Verdict::Wrong) => {
                self.end(Reason::Burnt, None, false, now);
                None
            }
            (Phase::Ended { reason, .. }, Verdict::Right(proved)) => Some(proved.refuse(*reason)),
            (_, Verdict::Right(proved)) => Some(proved.refuse(Reason::Used)),
            (_, Verdict::Wrong | Verdict::Late) => None,
        }
    }

    fn judge(&self, from: PeerId, attempt: &Attempt, question: &Question) -> Verdict {
        let Question::Response { nonce, share, sealed, proof } = question else { return Verdict::Wrong };
        let commitment = transcript::commitment(&nonce.0, &share.0);
        if self.closed.contains(&(from, commitment)) {
            return Verdict::Late;
        }
        let proved = (commitment == attempt.commitment)
            .then(|| Proved::check(&self.keys, attempt, &nonce.0, &share.0, sealed, &proof.0))
            .flatten();
        proved.map_or(Verdict::Wrong, |proved| Verdict::Right(Box::new(proved)))
    }

    fn answer_winner(&self, winner: &Winner) -> Answer {
        match &self.phase {
            Phase::Open | Phase::Approving { .. } => Answer::Waiting {},
            Phase::Completed { .. } | Phase::Paired { .. } => winner.complete.clone(),
            Phase::Ended { reason, .. } => winner.proved.refuse(*reason),
        }
    }

    fn seal_complete(&self, peer: PeerId, request: Bytes32, question: Question, proved: Proved) -> Winner {
        let associated = transcript::proved(&proved.response, &proved.proof);
        let sealed = seal_description(&proved.keys.initiator_seal, &associated, &self.name);
        let complete = transcript::complete(&proved.response, &proved.proof, &sealed.0);
        let proof = super::fields::mac(&proved.keys.initiator_proof, &complete);
        let pairing = Pairing {
            peer,
            name: proved.name.clone(),
            pair_key: proved.keys.pair_key(&complete),
            acknowledgement: transcript::acknowledgement(&proved.keys, &complete, &proof),
            role: Role::Initiator,
        };
        let complete = Answer::Complete { sealed, proof: Fixed(proof) };
        Winner { peer, request, question, proved, complete, pairing }
    }

    fn confirmed(
        &mut self,
        from: PeerId,
        acknowledgement: &Bytes32,
        ledger: &mut dyn Ledger,
    ) -> Option<Answer> {
        let winner = self.phase.winner().filter(|winner| winner.peer == from)?;
        if !same(acknowledgement, &winner.pairing.acknowledgement) {
            return None;
        }
        match &self.phase {
            Phase::Paired { .. } => Some(Answer::Acknowledged {}),
            Phase::Ended { reason, agreed: true, .. } => Some(winner.proved.refuse(*reason)),
            Phase::Completed { .. } => {
                // Silence makes the joiner repeat it.
                ledger.activate(&from).ok()?;
                let name = winner.proved.name.clone();
                self.take_phase(|winner| Phase::Paired { winner });
                self.effects.push(Effect::Paired { peer: from, name });
                Some(Answer::Acknowledged {})
            }
            _ => None,
        }
    }

    fn cancel_received(
        &mut self,
        from: PeerId,
        mac: &Bytes32,
        ledger: &mut dyn Ledger,
        now: Instant,
    ) -> Option<Answer> {
        let won = self.phase.winner().filter(|winner| winner.peer == from).map(|winner| winner.request);
        let request = won.or_else(|| self.attempts.get(&from).map(|attempt| attempt.request))?;
        if !same(mac, &transcript::cancel(&self.keys, Role::Joiner, &request)) {
            return None;
        }
        match &self.phase {
            Phase::Approving { .. } if won.is_some() => self.end_won(Reason::Cancelled, false, now),
            Phase::Completed { .. } if won.is_some() => {
                ledger.forget_provisional(&from);
                self.end_won(Reason::Cancelled, true, now);
            }
            _ if won.is_none() => {
                if let Some(attempt) = self.attempts.remove(&from) {
                    self.closed.push((from, attempt.commitment));
                }
            }
            _ => {}
        }
        Some(Answer::Acknowledged {})
    }

    /// The person said yes or no.
    pub fn decided(&mut self, yes: bool, ledger: &mut dyn Ledger, now: Instant) {
        self.tick(now);
        let Phase::Approving { winner, .. } = &self.phase else { return };
        if !yes {
            self.end_won(Reason::Declined, false, now);
        } else if ledger.store_provisional(&winner.pairing).is_err() {
            self.end_won(Reason::Failed, false, now);
        } else {
            self.take_phase(|winner| Phase::Completed { winner, since: now, told: false });
        }
    }

    /// The person calls it off.
    pub fn cancel(&mut self, ledger: &mut dyn Ledger, now: Instant) {
        self.tick(now);
        match &self.phase {
            Phase::Open => self.end(Reason::Cancelled, None, false, now),
            Phase::Approving { winner, .. } => {
                let cancel = self.cancel_of(winner);
                self.effects.push(cancel);
                self.end_won(Reason::Cancelled, false, now);
            }
            Phase::Completed { winner, .. } => {
                let cancel = self.cancel_of(winner);
                ledger.forget_provisional(&winner.peer);
                self.effects.push(cancel);
                self.end_won(Reason::Cancelled, true, now);
            }
            Phase::Paired { .. } | Phase::Ended { .. } => {}
        }
    }

    fn cancel_of(&self, winner: &Winner) -> Effect {
        let mac = transcript::cancel(&self.keys, Role::Initiator, &winner.request);
        Effect::SendCancel { peer: winner.peer, mac: Fixed(mac) }
    }

    /// Looks at the time. Called before every event, and now and then.
    pub fn tick(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Open if now - self.opened_at >= INVITATION_LIFETIME => {
                self.end(Reason::Expired, None, false, now);
            }
            Phase::Approving { since, .. } if now - *since >= APPROVAL => {
                self.end_won(Reason::Expired, false, now);
            }
            Phase::Completed { since, told, .. } if !*told && now - *since >= CONFIRMATION => {
                *told = true;
                self.effects.push(Effect::Failed("unfinished"));
            }
            _ => {}
        }
    }

    fn end_won(&mut self, reason: Reason, agreed: bool, now: Instant) {
        let phase = std::mem::replace(&mut self.phase, Phase::Open);
        self.end(reason, phase.into_winner(), agreed, now);
    }

    fn end(&mut self, reason: Reason, winner: Option<Box<Winner>>, agreed: bool, now: Instant) {
        self.phase = Phase::Ended { reason, winner, agreed, since: now };
        self.effects.push(Effect::Failed(reason.as_str()));
    }

    /// Goes on with the same winner.
    fn take_phase(&mut self, next: impl FnOnce(Box<Winner>) -> Phase) {
        if let Some(winner) = std::mem::replace(&mut self.phase, Phase::Open).into_winner() {
            self.phase = next(winner);
        }
    }

    fn refuse_request(&self, request: &Bytes32, reason: Reason) -> Answer {
        Answer::Refused { reason, mac: Fixed(transcript::request_refusal(&self.keys, request, reason)) }
    }
}

impl Phase {
    fn winner(&self) -> Option<&Winner> {
        match self {
            Self::Open => None,
            Self::Approving { winner, .. } | Self::Completed { winner, .. } | Self::Paired { winner } => {
                Some(winner)
            }
            Self::Ended { winner, .. } => winner.as_deref(),
        }
    }

    fn into_winner(self) -> Option<Box<Winner>> {
        match self {
            Self::Open => None,
            Self::Approving { winner, .. } | Self::Completed { winner, .. } | Self::Paired { winner } => {
                Some(winner)
            }
            Self::Ended { winner, .. } => winner,
        }
    }
}

impl Attempt {
    fn new(keys: &CodeKeys, commitment: Bytes32, request: Bytes32, now: Instant) -> Self {
        let (nonce, secret): (Bytes32, Bytes32) = (random(), random());
        let share = share_of(&secret);
        let probe = transcript::challenge_probe(keys, &request, &nonce, &share);
        let challenge = Answer::Challenge { nonce: Fixed(nonce), share: Fixed(share), probe: Fixed(probe) };
        let challenge_hash = transcript::challenge(&request, &nonce, &share);
        Self { commitment, request, secret, challenge, challenge_hash, since: now }
    }
}

impl Proved {
    fn check(
        code: &CodeKeys,
        attempt: &Attempt,
        nonce: &Bytes32,
        share: &Bytes32,
        sealed: &Sealed,
        proof: &Bytes32,
    ) -> Option<Self> {
        let keys = AgreedKeys::agree(code, &attempt.secret, share)?;
        let opening = transcript::opening(&attempt.challenge_hash, nonce, share);
        let response = transcript::response(&opening, &sealed.0);
        if !same(proof, &super::fields::mac(&keys.joiner_proof, &response)) {
            return None;
        }
        let name = open_description(&keys.joiner_seal, &opening, sealed)?;
        Some(Self { keys, name, opening, response, proof: *proof })
    }

    fn refuse(&self, reason: Reason) -> Answer {
        let mac = transcript::response_refusal(&self.keys, &self.response, &self.proof, reason);
        Answer::Refused { reason, mac: Fixed(mac) }
    }
}
