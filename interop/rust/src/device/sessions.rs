//! Sessions with paired devices.

use std::io;
use std::time::Instant;

use libp2p::Swarm;
use serde_json::json;

use super::Device;
use crate::interface::{Command, Failure, Outcome};
use crate::network::Behaviour;

pub struct Sessions;

pub enum Arrived {}

impl Sessions {
    pub fn new(_: &Swarm<Behaviour>) -> io::Result<Self> {
        Ok(Self)
    }

    pub async fn next(&mut self) -> Arrived {
        std::future::pending().await
    }
}

impl Device {
    pub(super) fn session_event(&mut self, arrived: Arrived) {
        match arrived {}
    }

    pub(super) fn tick_sessions(&mut self, _: Instant) {}

    pub(super) async fn say_goodbye(&mut self) {}

    pub(super) fn devices(&self) -> Outcome {
        let devices: Vec<_> = self
            .store
            .rows()
            .map(|(peer, row)| json!({ "peerId": peer.to_base58(), "name": row.name, "state": "paired" }))
            .collect();
        Ok(json!({ "devices": devices }))
    }

    pub(super) fn perform_over_session(&mut self, _: u64, _: Command) -> Result<Option<Outcome>, Failure> {
        Err(Failure::invalid("not yet"))
    }
}
