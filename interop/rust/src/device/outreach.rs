//! While a code is shown, the device connects to whoever it sees: a joiner whose dials a firewall keeps away then asks over that
//! connection. Nothing is said over it; it ends by itself when it has carried nothing for a minute, and is made anew by the next
//! visit as long as the code is shown.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use libp2p::PeerId;
use libp2p::swarm::dial_opts::DialOpts;

use super::Device;
use super::again::Again;

const MAX_SIGHTED: usize = 64;
const MAX_DIALLING: usize = 8;
/// Of one peer.
pub const MAX_DIALLED: usize = 8;
/// With 0.3 s between two ticks, ten in a second.
const VISITS_PER_TICK: usize = 3;
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// Who was seen, the oldest first: it makes room.
#[derive(Default)]
pub struct Outreach(VecDeque<Sighting>);

struct Sighting {
    peer: PeerId,
    again: Again,
    dialling: bool,
}

impl Outreach {
    /// News of a peer make it worth a visit at once.
    pub fn see(&mut self, peer: PeerId) {
        if let Some(known) = self.0.iter_mut().find(|known| known.peer == peer) {
            known.again = Again::default();
            return;
        }
        if self.0.len() == MAX_SIGHTED {
            self.0.pop_front();
        }
        self.0.push_back(Sighting { peer, again: Again::default(), dialling: false });
    }

    /// A dial has ended, well or not.
    pub fn dialled(&mut self, peer: &PeerId) {
        if let Some(known) = self.0.iter_mut().find(|known| known.peer == *peer) {
            known.dialling = false;
        }
    }

    fn due(&mut self, now: Instant) -> Vec<PeerId> {
        let dialling = self.0.iter().filter(|known| known.dialling).count();
        let places = VISITS_PER_TICK.min(MAX_DIALLING.saturating_sub(dialling));
        let due = self.0.iter_mut().filter(|known| !known.dialling && known.again.is_due(now)).take(places);
        due.map(|known| {
            known.again.put_off(now, LONGEST_PAUSE);
            known.peer
        })
        .collect()
    }
}

impl Device {
    pub(super) fn tick_outreach(&mut self, now: Instant) {
        if !self.shows_code() {
            return;
        }
        for peer in self.outreach.due(now) {
            if self.peers.path(&peer).is_some() {
                continue;
            }
            let mut addresses = self.peers.addresses(&peer);
            addresses.truncate(MAX_DIALLED);
            let started = self.swarm.dial(DialOpts::peer_id(peer).addresses(addresses).build());
            if let Some(known) = self.outreach.0.iter_mut().find(|known| known.peer == peer) {
                known.dialling = started.is_ok();
            }
        }
    }
}
