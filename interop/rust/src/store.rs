//! The identity and the pairings of a device, in files of its directory.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use libp2p::PeerId;
use libp2p::identity::Keypair;
use serde::{Deserialize, Serialize};

use crate::pairing::fields::{Bytes32, same};
use crate::pairing::initiator::{Ledger, Pairing};
use crate::pairing::limits::PROVISIONAL_LIFETIME;
use crate::pairing::message::Fixed;
use crate::pairing::transcript::Role;

/// A receiver has to know at least the last 256 ids of a sender.
const MAX_REMEMBERED_IDS: usize = 1024;

pub struct Store {
    path: PathBuf,
    rows: Vec<Row>,
}

/// One device, as this one knows it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Row {
    peer: String,
    pub name: String,
    settled: Option<Fixed<32>>,
    provisional: Option<Provisional>,
    /// What proves to it that it was revoked.
    notices: Vec<Fixed<32>>,
    /// Whether it has revoked this device.
    pub ended: bool,
    received: VecDeque<String>,
}

/// A pairing that is not finished: `pending` at the initiator, `confirming` at the joiner.
#[derive(Clone, Serialize, Deserialize)]
struct Provisional {
    name: String,
    pair_key: Fixed<32>,
    acknowledgement: Fixed<32>,
    initiator: bool,
    /// Seconds since the epoch.
    since: u64,
}

impl Store {
    pub fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join("pairings.json");
        let rows = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut store = Self { path, rows };
        store.drop_stale();
        Ok(store)
    }

    pub fn rows(&self) -> impl Iterator<Item = (PeerId, &Row)> {
        self.rows.iter().filter_map(|row| Some((row.peer.parse().ok()?, row)))
    }

    pub fn row(&self, peer: &PeerId) -> Option<&Row> {
        let text = peer.to_base58();
        self.rows.iter().find(|row| row.peer == text)
    }

    /// The keys that this device holds with the peer, the newest first.
    pub fn keys(&self, peer: &PeerId) -> Vec<Bytes32> {
        let Some(row) = self.row(peer) else { return Vec::new() };
        row.provisional
            .iter()
            .map(|provisional| provisional.pair_key.0)
            .chain(row.settled.map(|key| key.0))
            .collect()
    }

    /// Finishes the pairing to which a key belongs that the peer has proved; whether there was one.
    pub fn prove(&mut self, peer: &PeerId, pair_key: &Bytes32) -> io::Result<bool> {
        let row = self.row(peer).and_then(|row| row.provisional.as_ref());
        let unfinished = row.is_some_and(|provisional| provisional.pair_key.0 == *pair_key);
        if unfinished {
            self.activate(peer)?;
        }
        Ok(unfinished)
    }

    /// Whether a Confirmed fits the pending pairing with this peer, without its invitation.
    pub fn expects(&self, peer: &PeerId, acknowledgement: &Bytes32) -> bool {
        self.row(peer)
            .and_then(|row| row.provisional.as_ref())
            .is_some_and(|row| row.initiator && same(&row.acknowledgement.0, acknowledgement))
    }

    /// Deletes the keys and keeps what tells the peer so.
    pub fn revoke(&mut self, peer: &PeerId, notices: Vec<Bytes32>) -> io::Result<()> {
        self.change(peer, |row| {
            row.settled = None;
            row.provisional = None;
            row.notices = notices.into_iter().map(Fixed).collect();
        })
    }

    /// What a device that was revoked is told.
    pub fn notices(&self, peer: &PeerId) -> Vec<u8> {
        self.row(peer).map(|row| row.notices.iter().flat_map(|notice| notice.0).collect()).unwrap_or_default()
    }

    /// Deletes a key that the peer has revoked; with the one of an unfinished pairing, the settled one as well.
    pub fn end(&mut self, peer: &PeerId, pair_key: &Bytes32) -> io::Result<()> {
        self.change(peer, |row| {
            let unfinished =
                row.provisional.as_ref().is_some_and(|provisional| provisional.pair_key.0 == *pair_key);
            if unfinished {
                row.provisional = None;
                row.settled = None;
            } else if row.settled == Some(Fixed(*pair_key)) {
                row.settled = None;
            }
            row.ended = row.settled.is_none() && row.provisional.is_none();
        })
    }

    /// Stores the ids of messages; says which of them were new.
    pub fn receive(&mut self, peer: &PeerId, ids: &[String]) -> io::Result<Vec<bool>> {
        let mut new = Vec::with_capacity(ids.len());
        self.change(peer, |row| {
            for id in ids {
                let is_new = !row.received.contains(id);
                if is_new {
                    row.received.push_back(id.clone());
                }
                new.push(is_new);
            }
            let surplus = row.received.len().saturating_sub(MAX_REMEMBERED_IDS);
            row.received.drain(..surplus);
        })?;
        Ok(new)
    }

    fn change(&mut self, peer: &PeerId, change: impl FnOnce(&mut Row)) -> io::Result<()> {
        let text = peer.to_base58();
        let mut rows = self.rows.clone();
        let Some(row) = rows.iter_mut().find(|row| row.peer == text) else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no such device"));
        };
        change(row);
        self.write(rows)
    }

    fn drop_stale(&mut self) {
        for row in &mut self.rows {
            row.provisional.take_if(|row| {
                now_in_seconds() - row.since.min(now_in_seconds()) > PROVISIONAL_LIFETIME.as_secs()
            });
        }
        self.rows.retain(|row| {
            row.settled.is_some() || row.provisional.is_some() || row.ended || !row.notices.is_empty()
        });
    }

    /// Writes all rows or none.
    fn write(&mut self, rows: Vec<Row>) -> io::Result<()> {
        let written = self.path.with_extension("new");
        let mut file = File::create(&written)?;
        file.write_all(&serde_json::to_vec(&rows)?)?;
        file.sync_all()?;
        fs::rename(&written, &self.path)?;
        self.rows = rows;
        Ok(())
    }
}

impl Ledger for Store {
    fn store_provisional(&mut self, pairing: &Pairing) -> io::Result<()> {
        let provisional = Provisional {
            name: pairing.name.clone(),
            pair_key: Fixed(pairing.pair_key),
            acknowledgement: Fixed(pairing.acknowledgement),
            initiator: pairing.role == Role::Initiator,
            since: now_in_seconds(),
        };
        let mut rows = self.rows.clone();
        let peer = pairing.peer.to_base58();
        match rows.iter_mut().find(|row| row.peer == peer) {
            Some(row) => row.provisional = Some(provisional),
            None => rows.push(Row {
                peer,
                name: pairing.name.clone(),
                settled: None,
                provisional: Some(provisional),
                notices: Vec::new(),
                ended: false,
                received: VecDeque::new(),
            }),
        }
        self.write(rows)
    }

    fn activate(&mut self, peer: &PeerId) -> io::Result<()> {
        self.change(peer, |row| {
            if let Some(provisional) = row.provisional.take() {
                row.name = provisional.name;
                row.settled = Some(provisional.pair_key);
                row.notices.clear();
                row.ended = false;
            }
        })
    }

    fn forget_provisional(&mut self, peer: &PeerId) {
        // One that stays ends after seven days.
        if let Err(error) = self.change(peer, |row| row.provisional = None) {
            eprintln!("An unfinished pairing could not be deleted: {error}");
        }
        self.drop_stale();
    }
}

/// The identity in the directory; a new one when there is none.
pub fn open_identity(dir: &Path) -> io::Result<Keypair> {
    fs::create_dir_all(dir)?;
    let path = dir.join("identity");
    match fs::read(&path) {
        Ok(bytes) => Keypair::from_protobuf_encoding(&bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let identity = Keypair::generate_ed25519();
            let bytes = identity.to_protobuf_encoding().map_err(io::Error::other)?;
            write_secret(&path, &bytes)?;
            Ok(identity)
        }
        Err(error) => Err(error),
    }
}

fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn now_in_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}
