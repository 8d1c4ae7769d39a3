//! What is known of peers: their connections, and where they may be.

use std::collections::{HashMap, VecDeque};

use libp2p::core::ConnectedPoint;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId, mdns};
use serde_json::json;

use super::Device;
use crate::interface::write_event;

const MAX_PEERS: usize = 256;
const MAX_ADDRESSES: usize = 16;

#[derive(Default)]
pub struct Peers {
    connections: HashMap<PeerId, Vec<(ConnectionId, Path)>>,
    /// Addresses that were learnt; the oldest peer makes room.
    addresses: HashMap<PeerId, Vec<Multiaddr>>,
    order: VecDeque<PeerId>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Path {
    Direct,
    Relayed,
}

impl Path {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relayed => "relayed",
        }
    }
}

impl Peers {
    pub fn connected(&mut self, peer: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        let path = if endpoint.is_relayed() { Path::Relayed } else { Path::Direct };
        self.connections.entry(peer).or_default().push((connection, path));
    }

    pub fn disconnected(&mut self, peer: &PeerId, connection: ConnectionId) {
        if let Some(connections) = self.connections.get_mut(peer) {
            connections.retain(|(id, _)| *id != connection);
            if connections.is_empty() {
                self.connections.remove(peer);
            }
        }
    }

    /// Whether there is a connection, and the best path.
    pub fn path(&self, peer: &PeerId) -> Option<Path> {
        let connections = self.connections.get(peer)?;
        let direct = connections.iter().any(|(_, path)| *path == Path::Direct);
        Some(if direct { Path::Direct } else { Path::Relayed })
    }

    pub fn connected_peers(&self) -> impl Iterator<Item = PeerId> {
        self.connections.keys().copied()
    }

    pub fn learn(&mut self, peer: PeerId, addresses: &[Multiaddr]) {
        if !self.addresses.contains_key(&peer) {
            self.order.push_back(peer);
            if self.order.len() > MAX_PEERS
                && let Some(oldest) = self.order.pop_front()
            {
                self.addresses.remove(&oldest);
            }
        }
        let known = self.addresses.entry(peer).or_default();
        known.retain(|address| !addresses.contains(address));
        known.splice(0..0, addresses.iter().cloned());
        known.truncate(MAX_ADDRESSES);
    }

    pub fn all(&self) -> Vec<PeerId> {
        self.order.iter().copied().collect()
    }

    pub fn addresses(&self, peer: &PeerId) -> Vec<Multiaddr> {
        self.addresses.get(peer).cloned().unwrap_or_default()
    }
}

impl Device {
    pub(super) fn multicast_event(&mut self, event: mdns::Event) {
        let mdns::Event::Discovered(found) = event else { return };
        for (peer, addresses) in super::by_peer(found.into_iter().map(|(_, address)| address)) {
            self.peers.learn(peer, &addresses);
            write_event("found", json!({ "peerId": peer.to_base58(), "addresses": addresses }));
            self.candidate_news(peer);
            self.outreach.see(peer);
        }
    }
}
