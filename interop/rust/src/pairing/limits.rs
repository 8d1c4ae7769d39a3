//! The table "Limits" of PROTOCOL.md.

use std::time::Duration;

pub const INVITATION_LIFETIME: Duration = Duration::from_secs(300);
pub const APPROVAL: Duration = Duration::from_secs(60);
pub const CONFIRMATION: Duration = Duration::from_secs(120);
pub const RESPONSE: Duration = Duration::from_secs(75);
pub const ACKNOWLEDGEMENT: Duration = Duration::from_secs(60);
pub const REMEMBRANCE: Duration = Duration::from_secs(600);
pub const PROVISIONAL_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
pub const MAX_TRIES: usize = 8;
pub const MAX_OPEN_ATTEMPTS: usize = 4;
pub const ATTEMPT: Duration = Duration::from_secs(10);

/// How often a joiner repeats its Response and its Confirmed.
pub const REPETITION: Duration = Duration::from_millis(300);
/// How long an asker waits for an answer.
pub const ANSWER: Duration = Duration::from_secs(8);
/// The bytes of a question or an answer.
pub const MAX_TEXT_BYTES: u64 = 4096;
