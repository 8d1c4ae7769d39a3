//! Both machines against each other, without a network: what PROTOCOL.md says of bad luck and bad will.

use std::io;
use std::time::{Duration, Instant};

use libp2p::PeerId;
use spacedock::pairing::code::new_entropy;
use spacedock::pairing::initiator::{Effect, Initiator, Ledger, Pairing};
use spacedock::pairing::joiner::Joiner;
use spacedock::pairing::keys::CodeKeys;
use spacedock::pairing::limits::{ATTEMPT, INVITATION_LIFETIME, MAX_OPEN_ATTEMPTS, MAX_TRIES};
use spacedock::pairing::message::{Answer, Question, Reason};

/// Rows in memory.
#[derive(Default)]
struct Memory {
    provisional: Option<Pairing>,
    active: Option<Pairing>,
    broken: bool,
}

impl Ledger for Memory {
    fn store_provisional(&mut self, pairing: &Pairing) -> io::Result<()> {
        if self.broken {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.provisional = Some(pairing.clone());
        Ok(())
    }

    fn activate(&mut self, _: &PeerId) -> io::Result<()> {
        self.active = self.provisional.take();
        Ok(())
    }

    fn forget_provisional(&mut self, _: &PeerId) {
        self.provisional = None;
    }
}

struct Side<Machine> {
    peer: PeerId,
    machine: Machine,
    memory: Memory,
}

struct Stage {
    keys: CodeKeys,
    alice: Side<Initiator>,
    bob: Side<Joiner>,
    now: Instant,
}

impl Stage {
    fn new() -> Self {
        let keys = CodeKeys::new(&new_entropy());
        let now = Instant::now();
        let (alice, bob) = (PeerId::random(), PeerId::random());
        let initiator = Initiator::new(keys.clone(), alice, "alice", now);
        let joiner = Joiner::new(keys.clone(), bob, "bob", now + Duration::from_secs(600));
        Self {
            keys,
            alice: Side { peer: alice, machine: initiator, memory: Memory::default() },
            bob: Side { peer: bob, machine: joiner, memory: Memory::default() },
            now,
        }
    }

    fn ask(&mut self, from: PeerId, question: &Question) -> Option<Answer> {
        self.alice.machine.answer(from, question, &mut self.alice.memory, self.now)
    }

    /// Bob asks what he has to ask, and takes the answer, which is returned.
    fn step(&mut self) -> Option<Answer> {
        let repeated = self.bob.machine.repeated().map(|(_, question)| question);
        let question = repeated.or_else(|| self.bob.machine.question_for(&self.alice.peer))?;
        let answer = self.ask(self.bob.peer, &question)?;
        let (alice, memory) = (self.alice.peer, &mut self.bob.memory);
        self.bob.machine.answered(alice, &question, &answer, memory, self.now);
        Some(answer)
    }

    fn alice_decides(&mut self, yes: bool) {
        self.alice.machine.decided(yes, &mut self.alice.memory, self.now);
    }

    fn bob_decides(&mut self, yes: bool) {
        self.bob.machine.decided(yes, &mut self.bob.memory, self.now);
    }

    /// Another joiner of the same code.
    fn stranger(&self) -> (PeerId, Question) {
        let peer = PeerId::random();
        let joiner = Joiner::new(self.keys.clone(), peer, "carol", self.now);
        (peer, joiner.question_for(&self.alice.peer).expect("a question"))
    }
}

fn reason(answer: Option<Answer>) -> Reason {
    match answer {
        Some(Answer::Refused { reason, .. }) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

fn failure(effects: Vec<Effect>) -> Option<&'static str> {
    effects.into_iter().find_map(|effect| match effect {
        Effect::Failed(reason) => Some(reason),
        _ => None,
    })
}

fn digits(effects: Vec<Effect>) -> Option<String> {
    effects.into_iter().find_map(|effect| match effect {
        Effect::Ask { digits, .. } => Some(digits),
        _ => None,
    })
}

#[test]
fn a_pairing_ends_with_one_key_on_both_sides() {
    let mut stage = Stage::new();
    assert!(matches!(stage.step(), Some(Answer::Challenge { .. })));
    assert!(matches!(stage.step(), Some(Answer::Waiting {})));
    assert!(matches!(stage.step(), Some(Answer::Waiting {})), "the same bytes again");
    stage.alice_decides(true);
    assert!(stage.alice.memory.provisional.is_some(), "stored before it is said");
    assert!(matches!(stage.step(), Some(Answer::Complete { .. })));
    let shown = (digits(stage.alice.machine.effects()), digits(stage.bob.machine.effects()));
    assert!(shown.0.is_some() && shown.0 == shown.1);
    stage.bob_decides(true);
    assert!(matches!(stage.step(), Some(Answer::Acknowledged {})));
    let (alice, bob) = (stage.alice.memory.active, stage.bob.memory.active);
    let (alice, bob) = (alice.expect("alice has paired"), bob.expect("bob has paired"));
    assert_eq!(alice.pair_key, bob.pair_key);
    assert_eq!((alice.name.as_str(), bob.name.as_str()), ("bob", "alice"));
}

#[test]
fn a_wrong_probe_gets_silence_and_burns_nothing() {
    let mut stage = Stage::new();
    let other = Stage::new();
    for _ in 0..100 {
        let (peer, _) = stage.stranger();
        let wrong = Joiner::new(other.keys.clone(), peer, "mallory", stage.now);
        let question = wrong.question_for(&stage.alice.peer).expect("a question");
        assert_eq!(stage.ask(peer, &question), None);
    }
    assert!(matches!(stage.step(), Some(Answer::Challenge { .. })));
}

#[test]
fn the_ninth_request_burns_the_code_and_a_fifth_at_once_gets_silence() {
    let mut stage = Stage::new();
    for tried in 0..MAX_TRIES {
        if tried > 0 && tried % MAX_OPEN_ATTEMPTS == 0 {
            let (peer, question) = stage.stranger();
            assert_eq!(stage.ask(peer, &question), None, "a fifth at once");
            stage.now += ATTEMPT;
        }
        let (peer, question) = stage.stranger();
        let challenge = stage.ask(peer, &question);
        assert!(matches!(challenge, Some(Answer::Challenge { .. })));
        assert_eq!(stage.ask(peer, &question), challenge, "the same bytes get the same Challenge");
    }
    stage.now += ATTEMPT;
    let (peer, question) = stage.stranger();
    assert_eq!(reason(stage.ask(peer, &question)), Reason::Burnt);
    assert_eq!(failure(stage.alice.machine.effects()), Some("burnt"));
    assert_eq!(reason(stage.step()), Reason::Burnt);
    assert_eq!(failure(stage.bob.machine.effects()), Some("burnt"));
}

#[test]
fn a_response_that_does_not_open_its_commitment_burns_the_code() {
    let mut stage = Stage::new();
    stage.step();
    let (_, question) = stage.bob.machine.repeated().expect("a Response");
    let Question::Response { mut nonce, share, sealed, proof } = question else { panic!("no Response") };
    nonce.0[0] ^= 1;
    assert_eq!(stage.ask(stage.bob.peer, &Question::Response { nonce, share, sealed, proof }), None);
    assert_eq!(failure(stage.alice.machine.effects()), Some("burnt"));
}

#[test]
fn a_late_response_of_a_closed_attempt_burns_nothing() {
    let mut stage = Stage::new();
    stage.step();
    let (_, late) = stage.bob.machine.repeated().expect("a Response");
    let again = Joiner::new(stage.keys.clone(), stage.bob.peer, "bob", stage.now);
    let question = again.question_for(&stage.alice.peer).expect("a question");
    assert!(matches!(stage.ask(stage.bob.peer, &question), Some(Answer::Challenge { .. })));
    assert_eq!(stage.ask(stage.bob.peer, &late), None);
    assert!(stage.alice.machine.is_open());
}

#[test]
fn one_wins_and_the_others_learn_that_the_code_is_used() {
    let mut stage = Stage::new();
    stage.step();
    stage.step();
    let (peer, question) = stage.stranger();
    assert_eq!(reason(stage.ask(peer, &question)), Reason::Used);
}

#[test]
fn a_code_ends_at_exactly_its_lifetime() {
    let mut stage = Stage::new();
    stage.now += INVITATION_LIFETIME - Duration::from_millis(1);
    assert!(matches!(stage.step(), Some(Answer::Challenge { .. })));
    stage.now += Duration::from_millis(1);
    assert_eq!(reason(stage.step()), Reason::Expired);
}

#[test]
fn either_person_may_say_no() {
    let mut stage = Stage::new();
    stage.step();
    stage.step();
    stage.alice_decides(false);
    assert_eq!(reason(stage.step()), Reason::Declined);
    assert_eq!(failure(stage.bob.machine.effects()), Some("declined"));

    let mut stage = Stage::new();
    stage.step();
    stage.step();
    stage.alice_decides(true);
    stage.step();
    stage.bob_decides(false);
    let cancel = stage.bob.machine.effects().into_iter().find_map(|effect| match effect {
        Effect::SendCancel { mac, .. } => Some(Question::Cancel { mac }),
        _ => None,
    });
    let answer = stage.ask(stage.bob.peer, &cancel.expect("a Cancel"));
    assert_eq!(answer, Some(Answer::Acknowledged {}));
    assert!(stage.alice.memory.provisional.is_none());
    assert_eq!(failure(stage.alice.machine.effects()), Some("cancelled"));
}

#[test]
fn what_cannot_be_stored_is_not_said() {
    let mut stage = Stage::new();
    stage.step();
    stage.step();
    stage.alice.memory.broken = true;
    stage.alice_decides(true);
    assert_eq!(reason(stage.step()), Reason::Failed);
}

#[test]
fn the_initiators_cancel_after_complete_refuses_a_right_confirmed() {
    let mut stage = Stage::new();
    stage.step();
    stage.step();
    stage.alice_decides(true);
    stage.step();
    stage.bob_decides(true);
    stage.alice.machine.cancel(&mut stage.alice.memory, stage.now);
    assert_eq!(reason(stage.step()), Reason::Cancelled);
    assert!(stage.alice.memory.provisional.is_none() && stage.bob.memory.provisional.is_none());
}
