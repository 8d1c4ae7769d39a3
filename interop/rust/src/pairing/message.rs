//! The messages, as `request_response::json` reads and writes them: strictly, one text of JSON each.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Exactly so many bytes, in JSON as base64url without padding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fixed<const LENGTH: usize>(pub [u8; LENGTH]);

impl<const LENGTH: usize> Serialize for Fixed<LENGTH> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl<'de, const LENGTH: usize> Deserialize<'de> for Fixed<LENGTH> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(D::Error::custom)?;
        let count = bytes.len();
        let wrong = |_| D::Error::custom(format!("{count} bytes, not {LENGTH}"));
        Ok(Self(bytes.try_into().map_err(wrong)?))
    }
}

pub const VERSION: u8 = 1;
pub const SEALED_BYTES: usize = 272;
pub const MAX_SUITE_CHARACTERS: usize = 64;
pub type Sealed = Fixed<SEALED_BYTES>;

/// What is asked over a stream of its own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and none has more than 400 bytes")]
pub enum Question {
    PairingRequest { version: u8, suite: String, commitment: Fixed<32>, probe: Fixed<16> },
    Response { nonce: Fixed<32>, share: Fixed<32>, sealed: Sealed, proof: Fixed<32> },
    Confirmed { acknowledgement: Fixed<32> },
    Cancel { mac: Fixed<32> },
}

/// What answers it. No answer at all is silence.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and none has more than 400 bytes")]
pub enum Answer {
    Challenge { nonce: Fixed<32>, share: Fixed<32>, probe: Fixed<16> },
    // Braces: a unit variant would let unknown fields pass.
    Waiting {},
    Complete { sealed: Sealed, proof: Fixed<32> },
    Refused { reason: Reason, mac: Fixed<32> },
    Acknowledged {},
}

impl Answer {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Challenge { .. } => "Challenge",
            Self::Waiting {} => "Waiting",
            Self::Complete { .. } => "Complete",
            Self::Refused { .. } => "Refused",
            Self::Acknowledged {} => "Acknowledged",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    Declined,
    Used,
    Expired,
    Cancelled,
    Burnt,
    Failed,
}

impl Reason {
    pub const ALL: [Self; 6] =
        [Self::Declined, Self::Used, Self::Expired, Self::Cancelled, Self::Burnt, Self::Failed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Declined => "declined",
            Self::Used => "used",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Burnt => "burnt",
            Self::Failed => "failed",
        }
    }
}
