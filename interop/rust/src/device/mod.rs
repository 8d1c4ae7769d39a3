//! The device: one loop in which everything happens that changes it.

pub mod access;
mod again;
mod commands;
mod outreach;
mod pairings;
mod peers;
mod rendezvous;
mod service;
mod sessions;

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, Swarm};
use serde_json::json;
use tokio::sync::mpsc;

use crate::interface::write_event;
use crate::network::{Behaviour, BehaviourEvent, build_swarm};
use crate::options::Options;
use crate::pairing::limits::REPETITION;
use crate::pairing::name::clean_name;
use crate::store::{Store, open_identity};

use commands::Waiting;
use outreach::Outreach;
use pairings::Pairings;
use peers::Peers;
use rendezvous::Rendezvous;
use sessions::Sessions;

pub struct Device {
    swarm: Swarm<Behaviour>,
    name: String,
    store: Store,
    pairings: Pairings,
    peers: Peers,
    rendezvous: Rendezvous,
    outreach: Outreach,
    sessions: Sessions,
    /// Commands that wait for something of the network.
    waiting: Vec<Waiting>,
}

const LISTENING: Duration = Duration::from_secs(5);

impl Device {
    /// Resolves when it listens.
    pub async fn start(options: Options) -> io::Result<Self> {
        let identity = open_identity(&options.dir)?;
        let mut swarm = build_swarm(identity, options.mdns)?;
        let me = *swarm.local_peer_id();
        let listeners = options.listen.len();
        for ip in options.listen {
            let address = Multiaddr::from(ip).with(libp2p::multiaddr::Protocol::Tcp(options.port));
            swarm.listen_on(address).map_err(io::Error::other)?;
        }
        let sessions = Sessions::new(&swarm)?;
        let mut device = Self {
            swarm,
            name: clean_name(&options.name),
            store: Store::open(&options.dir)?,
            pairings: Pairings::default(),
            peers: Peers::default(),
            rendezvous: Rendezvous::default(),
            outreach: Outreach::default(),
            sessions,
            waiting: Vec::new(),
        };
        device.listen(listeners).await?;
        device.use_rendezvous(options.rendezvous);
        write_event("ready", json!({ "peerId": me.to_base58(), "addresses": device.own_addresses() }));
        Ok(device)
    }

    async fn listen(&mut self, mut missing: usize) -> io::Result<()> {
        let deadline = tokio::time::sleep(LISTENING);
        tokio::pin!(deadline);
        while missing > 0 {
            tokio::select! {
                event = self.swarm.select_next_some() => match event {
                    SwarmEvent::NewListenAddr { .. } => missing -= 1,
                    SwarmEvent::ListenerClosed { reason: Err(error), .. } => return Err(error),
                    event => self.happened(event),
                },
                () = &mut deadline => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
        // One listener may have several addresses: they are said together.
        while let Some(event) = self.swarm.select_next_some().now_or_never() {
            self.happened(event);
        }
        Ok(())
    }

    /// Runs until the input ends.
    pub async fn run(mut self, mut lines: mpsc::Receiver<String>) {
        let mut ticks = tokio::time::interval(REPETITION);
        loop {
            tokio::select! {
                line = lines.recv() => match line {
                    Some(line) => self.command(&line),
                    None => break,
                },
                event = self.swarm.select_next_some() => self.happened(event),
                arrived = self.sessions.next() => self.session_event(arrived),
                _ = ticks.tick() => self.tick(Instant::now()),
            }
        }
        self.say_goodbye().await;
    }

    fn happened(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.behaved(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.peers.connected(peer_id, connection_id, &endpoint);
                self.outreach.dialled(&peer_id);
                self.candidate_news(peer_id);
                self.connection_is_there(peer_id);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, .. } => {
                self.peers.disconnected(&peer_id, connection_id);
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), error, .. } => {
                eprintln!("{peer} was not reached: {error}");
                self.outreach.dialled(&peer);
                self.unreachable(&peer);
            }
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                self.reservation_ended(&addresses);
                eprintln!("No longer listening at {addresses:?}: {reason:?}");
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                eprintln!("Listening at {address}");
                self.publish_soon();
            }
            _ => {}
        }
    }

    fn behaved(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Pairing(event) => self.pairing_event(event),
            BehaviourEvent::Mdns(event) => self.multicast_event(event),
            BehaviourEvent::Kademlia(event) => self.kademlia_event(event),
            BehaviourEvent::Identify(event) => self.identify_event(event),
            BehaviourEvent::Ping(event) => self.ping_event(&event),
            BehaviourEvent::Relay(event) => eprintln!("relay: {event:?}"),
            BehaviourEvent::Streams(()) => {}
        }
    }

    fn tick(&mut self, now: Instant) {
        self.tick_pairings(now);
        self.tick_rendezvous(now);
        self.tick_outreach(now);
        self.tick_commands(now);
    }

    fn me(&self) -> PeerId {
        *self.swarm.local_peer_id()
    }

    /// Where it listens, relays included; each address ends in its peer id.
    fn own_addresses(&self) -> Vec<Multiaddr> {
        let me = self.me();
        let listening = self.swarm.listeners().cloned();
        listening.filter_map(|address| address.with_p2p(me).ok()).collect()
    }
}

/// Addresses by the peer that each of them names. Others are passed over.
fn by_peer(addresses: impl IntoIterator<Item = Multiaddr>) -> HashMap<PeerId, Vec<Multiaddr>> {
    let mut peers: HashMap<PeerId, Vec<Multiaddr>> = HashMap::new();
    for address in addresses {
        if let Some(peer) = crate::options::peer_of(&address) {
            peers.entry(peer).or_default().push(address);
        }
    }
    peers
}
