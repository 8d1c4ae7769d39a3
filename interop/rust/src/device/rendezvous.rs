//! The DHT and the relays of the rendezvous nodes.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use libp2p::Multiaddr;
use libp2p::kad::{self, GetRecordOk, QueryResult, Quorum, Record};
use libp2p::multiaddr::Protocol;

use super::Device;
use crate::options::peer_of;
use crate::pairing::fields::random;
use crate::record::Whereabouts;

const PUBLISHING: Duration = Duration::from_secs(120);
const LOOKING: Duration = Duration::from_secs(3);
/// A node that is away, or has refused a reservation, is tried again.
const RESERVING: Duration = Duration::from_secs(5);
const SIX_HOURS: u64 = 6 * 3600;

#[derive(Default)]
pub struct Rendezvous {
    nodes: Vec<Node>,
    published_at: Option<Instant>,
    looked_at: Option<Instant>,
    /// Of the last record: it grows with every one.
    sequence: u64,
}

struct Node {
    address: Multiaddr,
    /// Where it is reserved, or being reserved.
    circuit: Option<Multiaddr>,
    tried_at: Option<Instant>,
}

impl Device {
    pub(super) fn use_rendezvous(&mut self, addresses: Vec<Multiaddr>) {
        for address in addresses {
            let Some(peer) = peer_of(&address) else { continue };
            self.swarm.behaviour_mut().kademlia.add_address(&peer, address.clone());
            self.peers.learn(peer, std::slice::from_ref(&address));
            self.rendezvous.nodes.push(Node { address, circuit: None, tried_at: None });
        }
        self.tick_rendezvous(Instant::now());
    }

    /// The invitation's record is written at once, with the addresses of now.
    pub(super) fn publish_soon(&mut self) {
        self.rendezvous.published_at = None;
    }

    pub(super) fn tick_rendezvous(&mut self, now: Instant) {
        self.reserve(now);
        let due = |at: Option<Instant>, period| at.is_none_or(|at| now - at >= period);
        if self.rendezvous.nodes.is_empty() {
            return;
        }
        if self.publishing().is_some() && due(self.rendezvous.published_at, PUBLISHING) {
            self.rendezvous.published_at = Some(now);
            self.publish();
        }
        if due(self.rendezvous.looked_at, LOOKING)
            && let Some(keys) = self.looking()
        {
            let key = keys.routing_key();
            self.rendezvous.looked_at = Some(now);
            self.swarm.behaviour_mut().kademlia.get_record(key.into());
        }
    }

    /// To listen at a relay is to reserve there; libp2p renews it.
    fn reserve(&mut self, now: Instant) {
        for node in &mut self.rendezvous.nodes {
            if node.circuit.is_some() || node.tried_at.is_some_and(|at| now - at < RESERVING) {
                continue;
            }
            node.tried_at = Some(now);
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

    fn publish(&mut self) {
        self.rendezvous.sequence += 1;
        let whereabouts = Whereabouts {
            peer: self.me(),
            addresses: self.own_addresses(),
            sequence: self.rendezvous.sequence,
        };
        let Some(keys) = self.publishing() else { return };
        let Some(value) = keys.write(&whereabouts, &validity(), &random()) else { return };
        let record = Record::new(keys.routing_key(), value);
        if let Err(error) = self.swarm.behaviour_mut().kademlia.put_record(record, Quorum::One) {
            eprintln!("The record cannot be published: {error}");
        }
    }

    pub(super) fn kademlia_event(&mut self, event: kad::Event) {
        let kad::Event::OutboundQueryProgressed { result, .. } = event else { return };
        match result {
            QueryResult::GetRecord(Ok(GetRecordOk::FoundRecord(found))) => {
                self.record_found(&found.record.value)
            }
            QueryResult::PutRecord(Err(error)) => eprintln!("The record was not published: {error:?}"),
            _ => {}
        }
    }

    fn record_found(&mut self, record: &[u8]) {
        let Some(whereabouts) = self.looking().and_then(|keys| keys.read(record)) else { return };
        let peer = whereabouts.peer;
        let addresses: Vec<Multiaddr> = whereabouts
            .addresses
            .into_iter()
            .filter(|address| is_for_others(address) && peer_of(address).is_none_or(|named| named == peer))
            .filter_map(|address| address.with_p2p(peer).ok())
            .collect();
        self.peers.learn(peer, &addresses);
        self.candidate_found(peer);
    }
}

/// Whether somebody elsewhere may have such an address: TCP over IP, or a relay at one.
fn is_for_others(address: &Multiaddr) -> bool {
    let mut parts = address.iter();
    let ip = match parts.next() {
        Some(Protocol::Ip4(ip)) => IpAddr::V4(ip),
        Some(Protocol::Ip6(ip)) => ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4),
        _ => return false,
    };
    let link_local_or_reserved = match ip {
        IpAddr::V4(ip) => {
            ip.is_link_local() || ip.octets()[0] == 0 || ip.octets()[0] >= 240 || METADATA.contains(&ip)
        }
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    let is_tcp = matches!(parts.next(), Some(Protocol::Tcp(_)));
    is_tcp && !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast() && !link_local_or_reserved
}

/// Where clouds answer their own machines, besides link-local addresses.
const METADATA: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];

/// The last full six hours that are at most 48 hours ahead.
fn validity() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
    let seconds = (now + 48 * 3600) / SIX_HOURS * SIX_HOURS;
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
    use super::date_of;

    #[test]
    fn dates() {
        assert_eq!(date_of(0), (1970, 1, 1));
        assert_eq!(date_of(11_016), (2000, 2, 29));
        assert_eq!(date_of(11_017), (2000, 3, 1));
        assert_eq!(date_of(20_787), (2026, 11, 30));
    }
}
