//! A Spacedock device on rust-libp2p, written from PROTOCOL.md alone.

pub mod device;
pub mod interface;
pub mod network;
pub mod options;
pub mod pairing;
pub mod record;
pub mod session;
pub mod store;
