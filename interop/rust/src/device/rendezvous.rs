//! The DHT and the relays of the rendezvous nodes.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use libp2p::kad::{self, GetRecordError, GetRecordOk, QueryResult, Quorum, Record};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use tokio::task::JoinHandle;

use super::Device;
use super::access::{Secret, prove};
use super::again::Again;
use super::outreach::MAX_DIALLED;
use crate::options::{RendezvousAddress, peer_of};
use crate::pairing::fields::{Bytes32, random};
use crate::pairing::keys::CodeKeys;
use crate::record::{RecordKeys, Whereabouts};

const PUBLISHING: Duration = Duration::from_secs(120);
const LONGEST_PUBLISHING_PAUSE: Duration = Duration::from_secs(60);
const SEEKING: Duration = Duration::from_secs(3);
const LONGEST_PAUSE_ONCE_FOUND: Duration = Duration::from_secs(10);
/// Peers that the joiner's record may name.
const MAX_JOINERS: usize = 3;
/// A node that is away, or has refused a reservation, is tried again.
const RESERVING: Duration = Duration::from_secs(5);
/// An epoch of presence records, and the grain of a record's validity.
const SIX_HOURS: u64 = 6 * 3600;
const SEQUENCE_SECONDS: u64 = 10;

#[derive(Default)]
pub struct Rendezvous {
    nodes: Vec<Node>,
    publishing: Again,
    seeking: Again,
    /// Epoch and sequence of the last record for each paired device.
    presence: HashMap<PeerId, (u64, u64)>,
    /// What is looked for, by query.
    sought: HashMap<kad::QueryId, Sought>,
}

/// The records by which the two sides of a code find each other.
pub struct CodeRecords {
    own: RecordKeys,
    others: RecordKeys,
    /// What is found under `others`.
    other: Other,
    looking: Again,
    longest_pause: Duration,
    /// Of the last own record: it grows with every one. `None`: somebody may have left one, and nobody has looked yet.
    sequence: Option<u64>,
    /// Whom the joiner's records have named.
    joiners: Vec<PeerId>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Other {
    Initiator,
    Joiner,
}

impl Other {
    /// Between two looks. The initiator's record is there before a person can type the words.
    fn longest_pause(self) -> Duration {
        match self {
            Self::Initiator => Duration::from_secs(4),
            Self::Joiner => Duration::from_secs(15),
        }
    }
}

impl CodeRecords {
    pub fn of_initiator(code: &CodeKeys) -> Option<Self> {
        let (own, others) = (RecordKeys::initiators(code)?, RecordKeys::joiners(code)?);
        Some(Self::new(own, others, Other::Joiner, Some(0)))
    }

    pub fn of_joiner(code: &CodeKeys) -> Option<Self> {
        let (own, others) = (RecordKeys::joiners(code)?, RecordKeys::initiators(code)?);
        Some(Self::new(own, others, Other::Initiator, None))
    }

    fn new(own: RecordKeys, others: RecordKeys, other: Other, sequence: Option<u64>) -> Self {
        let (looking, longest_pause) = (Again::default(), other.longest_pause());
        Self { own, others, other, looking, longest_pause, sequence, joiners: Vec::new() }
    }

    /// What to look for now; nothing while it is not time.
    pub fn due(&mut self, now: Instant) -> Option<Sought> {
        if !self.looking.is_due(now) {
            return None;
        }
        self.looking.put_off(now, self.longest_pause);
        Some(Sought { what: What::Code(self.other), keys: self.others.clone() })
    }

    /// The first record of a device that has just started may lack addresses: another is looked for soon.
    fn found(&mut self) {
        if self.longest_pause != LONGEST_PAUSE_ONCE_FOUND {
            self.looking = Again::default();
            self.longest_pause = LONGEST_PAUSE_ONCE_FOUND;
        }
    }

    /// Whether a peer that a joiner's record names may be dialled: no more than a few.
    fn admits(&mut self, peer: PeerId) -> bool {
        if self.joiners.contains(&peer) {
            return true;
        }
        let has_place = self.joiners.len() < MAX_JOINERS;
        if has_place {
            self.joiners.push(peer);
        }
        has_place
    }
}

/// Keys under which is looked, and for what.
pub struct Sought {
    what: What,
    keys: RecordKeys,
}

#[derive(Clone, Copy)]
enum What {
    /// The presence of a paired device.
    Device(PeerId),
    Code(Other),
    /// The highest sequence of the joiner's records so far.
    Earlier(u64),
}

struct Node {
    peer: PeerId,
    address: Multiaddr,
    secret: Option<Secret>,
    /// A proof of the secret that is under way.
    proof: Option<JoinHandle<io::Result<bool>>>,
    /// Where it is reserved, or being reserved.
    circuit: Option<Multiaddr>,
    tried_at: Option<Instant>,
}

impl Device {
    pub(super) fn use_rendezvous(&mut self, addresses: Vec<RendezvousAddress>) {
        for RendezvousAddress { address, secret } in addresses {
            let Some(peer) = peer_of(&address) else { continue };
            self.swarm.behaviour_mut().kademlia.add_address(&peer, address.clone());
            self.peers.learn(peer, std::slice::from_ref(&address));
            let node = Node { peer, address, secret, proof: None, circuit: None, tried_at: None };
            self.rendezvous.nodes.push(node);
        }
        self.tick_rendezvous(Instant::now());
    }

    /// The records are written at once, with the addresses of now.
    pub(super) fn publish_soon(&mut self) {
        self.rendezvous.publishing = Again::default();
    }

    pub(super) fn tick_rendezvous(&mut self, now: Instant) {
        self.reserve(now);
        if !self.has_rendezvous() {
            return;
        }
        if self.rendezvous.publishing.is_due(now) {
            self.rendezvous.publishing.rest(now, PUBLISHING);
            self.publish_codes();
            self.publish_presence();
        }
        for sought in self.code_records_sought(now) {
            self.ask_for(sought);
        }
        if self.rendezvous.seeking.is_due(now) {
            self.rendezvous.seeking.rest(now, SEEKING);
            self.seek_all();
        }
    }

    pub(super) fn has_rendezvous(&self) -> bool {
        !self.rendezvous.nodes.is_empty()
    }

    /// Looks for the devices that commands want a session with.
    fn seek_all(&mut self) {
        let known: Vec<PeerId> = self.store.rows().map(|(peer, _)| peer).collect();
        for peer in known {
            if self.wants_session(&peer) && self.peers.path(&peer).is_none() {
                self.seek(&peer);
            }
        }
    }

    fn ask_for(&mut self, sought: Sought) {
        let key = sought.keys.routing_key();
        let query = self.swarm.behaviour_mut().kademlia.get_record(key.into());
        self.rendezvous.sought.insert(query, sought);
    }

    /// Asks for what a device may have written in the previous, the current and the next epoch.
    pub(super) fn seek(&mut self, peer: &PeerId) {
        let Some(pair_key) = self.store.keys(peer).pop() else { return };
        let epoch = now_in_seconds() / SIX_HOURS;
        for epoch in epoch.saturating_sub(1)..=epoch + 1 {
            let Some(keys) = RecordKeys::presence(&pair_key, peer, epoch) else { return };
            self.ask_for(Sought { what: What::Device(*peer), keys });
        }
    }

    /// To listen at a relay is to reserve there; libp2p renews it. A secret is proved before.
    fn reserve(&mut self, now: Instant) {
        let me = self.me();
        for node in &mut self.rendezvous.nodes {
            if let Some(proof) = &mut node.proof {
                let Some(granted) = proof.now_or_never() else { continue };
                node.proof = None;
                match granted.map_err(io::Error::other).flatten() {
                    Ok(true) => {}
                    refused => {
                        eprintln!("{} gives no place: {refused:?}", node.peer);
                        continue;
                    }
                }
            } else {
                if node.circuit.is_some() || node.tried_at.is_some_and(|at| now - at < RESERVING) {
                    continue;
                }
                node.tried_at = Some(now);
                if let Some(secret) = node.secret {
                    let control = self.swarm.behaviour().streams.new_control();
                    node.proof = Some(tokio::spawn(prove(control, node.peer, me, secret)));
                    continue;
                }
            }
            let circuit = node.address.clone().with(Protocol::P2pCircuit);
            match self.swarm.listen_on(circuit.clone()) {
                Ok(_) => node.circuit = Some(circuit),
                Err(error) => eprintln!("{} cannot be a relay: {error}", node.address),
            }
        }
    }

    pub(super) fn reservation_ended(&mut self, addresses: &[Multiaddr]) {
        for node in &mut self.rendezvous.nodes {
            let of_node = |address: &Multiaddr| {
                node.circuit
                    .as_ref()
                    .is_some_and(|circuit| address.to_string().starts_with(&circuit.to_string()))
            };
            // A reservation that never came about has no address.
            if addresses.is_empty() || addresses.iter().any(of_node) {
                node.circuit = None;
            }
        }
    }

    /// A joiner looks first what is there already: its own record must not look older.
    fn publish_codes(&mut self) {
        let mut own: Vec<(RecordKeys, Option<u64>)> = Vec::new();
        for records in self.code_records() {
            records.sequence = records.sequence.map(|sequence| sequence + 1);
            own.push((records.own.clone(), records.sequence));
        }
        for (keys, sequence) in own {
            match sequence {
                None => self.ask_for(Sought { what: What::Earlier(0), keys }),
                Some(sequence) => {
                    self.record_of(&keys, sequence).into_iter().for_each(|record| self.put(record))
                }
            }
        }
    }

    /// One record for each paired device. Two within the unit of the sequence must not look the same age.
    fn publish_presence(&mut self) {
        let (me, now) = (self.me(), now_in_seconds());
        let (epoch, unit) = (now / SIX_HOURS, now % SIX_HOURS / SEQUENCE_SECONDS);
        let pair_keys: Vec<(PeerId, Bytes32)> =
            self.store.rows().filter_map(|(peer, _)| Some((peer, self.store.keys(&peer).pop()?))).collect();
        for (peer, pair_key) in pair_keys {
            let last = self.rendezvous.presence.get(&peer).filter(|(last_epoch, _)| *last_epoch == epoch);
            let sequence = last.map_or(unit, |(_, last)| unit.max(last + 1));
            let keys = RecordKeys::presence(&pair_key, &me, epoch);
            if let Some(record) = keys.and_then(|keys| self.record_of(&keys, sequence)) {
                self.rendezvous.presence.insert(peer, (epoch, sequence));
                self.put(record);
            }
        }
    }

    /// `None` while nobody elsewhere can reach this device.
    fn record_of(&self, keys: &RecordKeys, sequence: u64) -> Option<Record> {
        let addresses: Vec<Multiaddr> =
            self.own_addresses().into_iter().filter(|address| self.is_for_others(address)).collect();
        if addresses.is_empty() {
            return None;
        }
        let whereabouts = Whereabouts { peer: self.me(), addresses, sequence };
        let value = keys.write(&whereabouts, &validity(), &random())?;
        Some(Record::new(keys.routing_key(), value))
    }

    fn put(&mut self, record: Record) {
        if let Err(error) = self.swarm.behaviour_mut().kademlia.put_record(record, Quorum::One) {
            eprintln!("A record cannot be published: {error}");
        }
    }

    pub(super) fn kademlia_event(&mut self, event: kad::Event) {
        let kad::Event::OutboundQueryProgressed { id, result, step, .. } = event else { return };
        // Whether a node has answered that there is nothing, or nothing more.
        let mut has_looked = false;
        match result {
            QueryResult::GetRecord(Ok(GetRecordOk::FoundRecord(found))) => {
                has_looked = true;
                self.record_found(id, &found.record.value);
            }
            QueryResult::GetRecord(Ok(GetRecordOk::FinishedWithNoAdditionalRecord { .. })) => {
                has_looked = true
            }
            QueryResult::GetRecord(Err(GetRecordError::NotFound { closest_peers, .. })) => {
                has_looked = !closest_peers.is_empty();
            }
            QueryResult::PutRecord(Ok(_)) => self.rendezvous.publishing.calm(),
            QueryResult::PutRecord(Err(error)) => {
                eprintln!("A record was not published: {error:?}");
                self.rendezvous.publishing.put_off(Instant::now(), LONGEST_PUBLISHING_PAUSE);
            }
            _ => {}
        }
        if step.last
            && let Some(Sought { what: What::Earlier(highest), keys }) = self.rendezvous.sought.remove(&id)
        {
            self.earlier_known(&keys, has_looked.then_some(highest));
        }
    }

    /// `None` when no node has answered: it is looked again.
    fn earlier_known(&mut self, keys: &RecordKeys, highest: Option<u64>) {
        if highest.is_none() {
            return self.rendezvous.publishing.put_off(Instant::now(), LONGEST_PUBLISHING_PAUSE);
        }
        for records in self.code_records().filter(|records| records.own == *keys) {
            records.sequence = records.sequence.max(highest);
        }
        self.publish_soon();
    }

    fn record_found(&mut self, query: kad::QueryId, record: &[u8]) {
        let Some(Sought { what, keys }) = self.rendezvous.sought.get_mut(&query) else { return };
        let Some(Whereabouts { peer, addresses, sequence }) = keys.read(record) else { return };
        if let What::Earlier(highest) = what {
            *highest = sequence.max(*highest);
            return;
        }
        let (what, keys) = (*what, keys.clone());
        let mut addresses: Vec<Multiaddr> = addresses
            .into_iter()
            .filter(|address| {
                self.is_for_others(address)
                    && peer_of(address).is_none_or(|named| named == peer)
                    && relay_of(address) != Some(peer)
            })
            .filter_map(|address| address.with_p2p(peer).ok())
            .collect();
        if let What::Code(_) = what {
            self.code_records().filter(|records| records.others == keys).for_each(CodeRecords::found);
        }
        match what {
            // What is found under the keys of a device must be of that device.
            What::Device(device) if device == peer => {
                self.peers.learn(peer, &addresses);
                if self.wants_session(&peer) && self.peers.path(&peer).is_none() {
                    self.dial(peer);
                }
            }
            What::Code(Other::Initiator) => {
                self.peers.learn(peer, &addresses);
                self.candidate_found(peer);
            }
            What::Code(Other::Joiner) => {
                if self.code_records().any(|records| records.others == keys && records.admits(peer)) {
                    addresses.truncate(MAX_DIALLED);
                    self.peers.learn(peer, &addresses);
                    self.outreach.see(peer);
                }
            }
            What::Device(_) | What::Earlier(_) => {}
        }
    }

    /// Whether somebody elsewhere may have such an address: TCP over IP, or a relay at one. A device that uses nothing but the
    /// loopback interface deals with others that do the same.
    fn is_for_others(&self, address: &Multiaddr) -> bool {
        let loops = |ip: IpAddr| ip.is_loopback();
        let only_loopback = self
            .rendezvous
            .nodes
            .iter()
            .map(|node| &node.address)
            .chain(self.swarm.listeners())
            .all(|own| ip_of(own).is_some_and(loops));
        is_for_others(address) || only_loopback && ip_of(address).is_some_and(loops)
    }
}

/// The relay of a relayed address.
fn relay_of(address: &Multiaddr) -> Option<PeerId> {
    let before_circuit = address.iter().take_while(|part| *part != Protocol::P2pCircuit).count();
    match address.iter().nth(before_circuit.checked_sub(1)?)? {
        Protocol::P2p(peer) if before_circuit < address.iter().count() => Some(peer),
        _ => None,
    }
}

fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}

/// Whether an address is TCP, on a port, over an IP that somebody elsewhere can reach; or a relay at such a one.
fn is_for_others(address: &Multiaddr) -> bool {
    let is_tcp = matches!(address.iter().nth(1), Some(Protocol::Tcp(1..)));
    is_tcp
        && match ip_of(address) {
            Some(IpAddr::V4(ip)) => !ip.is_loopback() && !is_special_v4(ip),
            Some(IpAddr::V6(ip)) => !is_special_v6(ip),
            None => false,
        }
}

/// Link-local, "this network", 192.0.0.0/24, multicast and above, and what clouds tell their machines.
fn is_special_v4(ip: Ipv4Addr) -> bool {
    let [first, second, third, _] = ip.octets();
    ip.is_link_local()
        || first == 0
        || first >= 224
        || [first, second, third] == [192, 0, 0]
        || ip == Ipv4Addr::new(100, 100, 100, 200)
        || ip == Ipv4Addr::new(168, 63, 129, 16)
}

/// Link-local, multicast, IPv4 inside IPv6 (with it loopback and unspecified), and what clouds tell their machines.
fn is_special_v6(ip: Ipv6Addr) -> bool {
    ip.is_unicast_link_local()
        || ip.is_multicast()
        || matches!(
            ip.segments(),
            [0, 0, 0, 0, 0, 0 | 0xffff, ..]
                | [0x64, 0xff9b, 0, 0, 0, 0, ..]
                | [0x2001, 0, ..]
                | [0x2002, ..]
                | [0xfd00, 0xec2, ..]
        )
}

fn now_in_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}

/// The last full six hours that are at most 48 hours ahead.
fn validity() -> String {
    let seconds = (now_in_seconds() + 48 * 3600) / SIX_HOURS * SIX_HOURS;
    let (year, month, day) = date_of(seconds / 86_400);
    let hour = seconds % 86_400 / 3600;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:00:00.000000000Z")
}

/// The Gregorian date of a day since 1970-01-01, counted in 400 years that begin in March.
fn date_of(day: u64) -> (u64, u64, u64) {
    let shifted = day + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::{date_of, is_for_others};

    #[test]
    fn addresses_that_nobody_elsewhere_can_have() {
        let good = [
            "/ip4/20.3.4.5/tcp/4001",
            "/ip4/10.1.2.3/tcp/1",
            "/ip6/2a02:4780:10::1/tcp/9",
            "/ip6/fd00:1::1/tcp/9",
        ];
        let bad = [
            "/ip4/127.0.0.1/tcp/1",
            "/ip4/0.0.0.0/tcp/1",
            "/ip4/169.254.169.254/tcp/80",
            "/ip4/192.0.0.192/tcp/80",
            "/ip4/224.0.0.1/tcp/1",
            "/ip4/255.255.255.255/tcp/1",
            "/ip4/100.100.100.200/tcp/80",
            "/ip4/20.3.4.5/tcp/0",
            "/ip4/20.3.4.5/udp/1/quic-v1",
            "/ip6/::1/tcp/1",
            "/ip6/fe80::1/tcp/1",
            "/ip6/ff02::1/tcp/1",
            "/ip6/::ffff:20.3.4.5/tcp/1",
            "/ip6/64:ff9b::1403:405/tcp/1",
            "/ip6/fd00:ec2::254/tcp/80",
            "/dns4/example.org/tcp/1",
        ];
        for address in good {
            assert!(is_for_others(&address.parse().expect("an address")), "{address}");
        }
        for address in bad {
            assert!(!is_for_others(&address.parse().expect("an address")), "{address}");
        }
    }

    #[test]
    fn dates() {
        assert_eq!(date_of(0), (1970, 1, 1));
        assert_eq!(date_of(11_016), (2000, 2, 29));
        assert_eq!(date_of(11_017), (2000, 3, 1));
        assert_eq!(date_of(20_787), (2026, 11, 30));
    }
}
