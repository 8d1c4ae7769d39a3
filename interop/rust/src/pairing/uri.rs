//! `spacedock:WORD-...?peer=MULTIADDR`, which a QR code holds.

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

use super::code::{CodeError, Entropy, read_words, words_of};

const SCHEME: &str = "spacedock:";
const MAX_PEERS: usize = 16;

pub fn uri_of(entropy: &Entropy, addresses: &[Multiaddr]) -> String {
    let peers: Vec<String> = addresses
        .iter()
        .take(MAX_PEERS)
        .map(|address| format!("peer={}", encode(&address.to_string())))
        .collect();
    let question = if peers.is_empty() { "" } else { "?" };
    format!("{SCHEME}{}{question}{}", words_of(entropy).replace(' ', "-"), peers.join("&"))
}

/// Reads a URI, or words alone. Addresses that cannot be read, or name no peer, are passed over.
pub fn read_code(text: &str) -> Result<(Entropy, Vec<Multiaddr>), CodeError> {
    let text = text.trim();
    let Some(rest) = strip_scheme(text) else { return Ok((read_words(text)?, Vec::new())) };
    let rest = rest.split('#').next().unwrap_or_default();
    let (words, query) = rest.split_once('?').unwrap_or((rest, ""));
    let addresses = query
        .split('&')
        .filter_map(|parameter| parameter.strip_prefix("peer="))
        .filter_map(|value| decode(value)?.parse::<Multiaddr>().ok())
        .filter(|address| matches!(address.iter().last(), Some(Protocol::P2p(_))))
        .take(MAX_PEERS)
        .collect();
    Ok((read_words(words)?, addresses))
}

fn strip_scheme(text: &str) -> Option<&str> {
    let scheme = text.get(..SCHEME.len())?;
    let rest = scheme.eq_ignore_ascii_case(SCHEME).then(|| &text[SCHEME.len()..])?;
    Some(rest.strip_prefix("//").unwrap_or(rest))
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let value = digit(rest.next())? * 16 + digit(rest.next())?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
