//! The long-lived stream between paired devices.

pub mod call;
pub mod frame;
pub mod hello;
pub mod link;
pub mod notice;
pub mod seal;
pub mod streams;
