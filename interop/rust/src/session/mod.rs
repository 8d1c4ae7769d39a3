//! The long-lived stream between paired devices.

pub mod call;
pub mod farewell;
pub mod frame;
pub mod hello;
pub mod link;
pub mod streams;
