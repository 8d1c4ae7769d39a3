//! rust-libp2p, put together: what a device speaks besides its own protocols.

use std::io;
use std::time::Duration;

use libp2p::identity::Keypair;
use libp2p::kad::{self, store::MemoryStore};
use libp2p::request_response::{self, ProtocolSupport, json};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{StreamProtocol, Swarm, SwarmBuilder, identify, mdns, noise, ping, relay, tcp, yamux};

use crate::pairing::limits::{ANSWER, MAX_TEXT_BYTES};
use crate::pairing::message::{Answer, Question};

pub const PAIRING: StreamProtocol = StreamProtocol::new("/spacedock/pairing/1.0.0");
pub const SESSION: StreamProtocol = StreamProtocol::new("/spacedock/session/1.0.0");
pub const KADEMLIA: StreamProtocol = StreamProtocol::new("/spacedock/kad/1.0.0");

/// Exchanges that all strangers together may have open.
const MAX_EXCHANGES: usize = 100;
const IDLE_CONNECTION: Duration = Duration::from_secs(60);

#[derive(NetworkBehaviour)]
pub struct Behaviour {
    pub pairing: json::Behaviour<Question, Answer>,
    pub streams: libp2p_stream::Behaviour,
    pub mdns: Toggle<mdns::tokio::Behaviour>,
    pub kademlia: kad::Behaviour<MemoryStore>,
    pub relay: relay::client::Behaviour,
    pub identify: identify::Behaviour,
    pub ping: ping::Behaviour,
}

pub fn build_swarm(identity: Keypair, with_mdns: bool) -> io::Result<Swarm<Behaviour>> {
    let swarm = SwarmBuilder::with_existing_identity(identity)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .map_err(io::Error::other)?
        .with_relay_client(noise::Config::new, yamux::Config::default)
        .map_err(io::Error::other)?
        .with_behaviour(|identity, relay| build_behaviour(identity, relay, with_mdns))
        .map_err(io::Error::other)?
        .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE_CONNECTION))
        .build();
    Ok(swarm)
}

type BuildError = Box<dyn std::error::Error + Send + Sync>;

fn build_behaviour(
    identity: &Keypair,
    relay: relay::client::Behaviour,
    with_mdns: bool,
) -> Result<Behaviour, BuildError> {
    let me = identity.public().to_peer_id();
    let multicast =
        with_mdns.then(|| mdns::tokio::Behaviour::new(mdns::Config::default(), me)).transpose()?;
    Ok(Behaviour {
        pairing: build_pairing(),
        streams: libp2p_stream::Behaviour::new(),
        mdns: multicast.into(),
        kademlia: build_kademlia(me),
        relay,
        identify: identify::Behaviour::new(identify::Config::new(
            "spacedock/1".to_owned(),
            identity.public(),
        )),
        ping: ping::Behaviour::default(),
    })
}

/// One question and its answer on each stream. The codec's own limits are megabytes.
fn build_pairing() -> json::Behaviour<Question, Answer> {
    let codec = json::codec::Codec::default()
        .set_request_size_maximum(MAX_TEXT_BYTES)
        .set_response_size_maximum(MAX_TEXT_BYTES);
    let config = request_response::Config::default()
        .with_request_timeout(ANSWER)
        .with_max_concurrent_streams(MAX_EXCHANGES);
    request_response::Behaviour::with_codec(codec, [(PAIRING, ProtocolSupport::Full)], config)
}

/// A client: it stores nothing for others.
fn build_kademlia(me: libp2p::PeerId) -> kad::Behaviour<MemoryStore> {
    let mut config = kad::Config::new(KADEMLIA);
    config.set_query_timeout(ANSWER);
    let mut kademlia = kad::Behaviour::with_config(me, MemoryStore::new(me), config);
    kademlia.set_mode(Some(kad::Mode::Client));
    kademlia
}
