//! Pairing, without a network: bytes, time and randomness come in as arguments.

pub mod code;
pub mod description;
pub mod fields;
pub mod initiator;
pub mod joiner;
pub mod keys;
pub mod limits;
pub mod message;
pub mod name;
pub mod transcript;
pub mod uri;
