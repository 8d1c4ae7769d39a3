//! The test vectors of docs/vectors, computed again; those of sessions are in session_vectors.rs.

use libp2p::PeerId;
use serde::de::DeserializeOwned;
use serde_json::Value;
use spacedock::pairing::code::{read_words, words_of};
use spacedock::pairing::description::{open_description, seal_description};
use spacedock::pairing::fields::{Bytes32, fields, first, mac};
use spacedock::pairing::keys::{AgreedKeys, CodeKeys, share_of};
use spacedock::pairing::message::{Answer, Fixed, Question, Reason};
use spacedock::pairing::transcript::{self, Role};
use spacedock::record::{RecordKeys, Whereabouts};

/// The vectors of one file.
fn vectors(file: &str) -> Vec<Value> {
    let path = format!("{}/../../docs/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read(path).expect("the file is there");
    let found: Vec<Value> = serde_json::from_slice(&text).expect("an array of vectors");
    assert!(!found.is_empty(), "{file} has vectors");
    found
}

fn peer(value: &Value) -> PeerId {
    value.as_str().expect("a text").parse().expect("a peer id")
}

fn hex<const LENGTH: usize>(value: &Value) -> [u8; LENGTH] {
    let bytes = hex::decode(value.as_str().expect("a text")).expect("hexadecimal");
    bytes.try_into().expect("of this length")
}

fn message<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_str(&value.to_string()).expect("a message")
}

fn mac_of(value: &Value) -> Bytes32 {
    message::<Fixed<32>>(value).0
}

/// Compares every value that the vector names, and nothing else.
fn assert_all(expected: &Value, computed: &[(&str, &[u8])]) {
    let expected = expected.as_object().expect("values by name");
    assert_eq!(expected.len(), computed.len(), "{:?}", expected.keys());
    for (name, value) in computed {
        assert_eq!(hex::encode(value), expected[*name], "{name}");
    }
}

#[test]
fn codes_and_their_keys() {
    for vector in vectors("pairing") {
        let entropy = hex(&vector["entropy"]);
        let words = vector["words"].as_str().expect("words");
        assert_eq!(words_of(&entropy), words);
        assert_eq!(read_words(words), Ok(entropy));
        let keys = CodeKeys::new(&entropy);
        let computed: [(&str, &[u8]); 9] = [
            ("prk", &keys.prk),
            ("sessionId", &keys.session_id),
            ("signingKey", &keys.signing_key),
            ("recordKey", &keys.record_key),
            ("joinerSigningKey", &keys.joiner_signing_key),
            ("joinerRecordKey", &keys.joiner_record_key),
            ("probeKey", &keys.probe_key),
            ("announcementKey", &keys.announcement_key),
            ("authKey", &keys.auth_key),
        ];
        assert_all(&vector["codeKeys"], &computed);
    }
}

#[test]
fn marks_of_announcements() {
    for vector in vectors("announcements") {
        let text = |name: &str| vector[name].as_str().expect("a text").as_bytes().to_vec();
        let nonce: [u8; 16] = hex(&vector["nonce"]);
        let mut parts = vec![text("role"), text("peerId"), nonce.to_vec()];
        for address in vector["addresses"].as_array().expect("addresses") {
            parts.push(address.as_str().expect("a text").as_bytes().to_vec());
        }
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let mark: [u8; 16] = first(&mac(&hex::<32>(&vector["announcementKey"]), &fields(&parts)));
        assert_eq!(mark, hex::<16>(&vector["mark"]));
    }
}

#[test]
fn every_message_of_a_pairing() {
    for vector in vectors("pairing") {
        replay(&vector);
    }
}

fn replay(vector: &Value) {
    let keys = CodeKeys::new(&hex(&vector["entropy"]));
    let (initiator, joiner) = (&vector["initiator"], &vector["joiner"]);
    let messages = &vector["messages"];

    let start = transcript::start(&peer(&initiator["peerId"]), &peer(&joiner["peerId"]));
    let (nonce, share) = (hex(&joiner["nonce"]), share_of(&hex(&joiner["secret"])));
    assert_eq!(share, hex(&joiner["share"]));
    let commitment = transcript::commitment(&nonce, &share);
    let probe = transcript::request_probe(&keys, &start, &commitment);
    let request = transcript::request(&start, &commitment, &probe);
    let sent = Question::PairingRequest {
        version: 1,
        suite: transcript::SUITE.to_owned(),
        commitment: Fixed(commitment),
        probe: Fixed(probe),
    };
    assert_eq!(sent, message(&messages["PairingRequest"]));

    let (other_nonce, other_share) = (hex(&initiator["nonce"]), share_of(&hex(&initiator["secret"])));
    let probe = transcript::challenge_probe(&keys, &request, &other_nonce, &other_share);
    let sent =
        Answer::Challenge { nonce: Fixed(other_nonce), share: Fixed(other_share), probe: Fixed(probe) };
    assert_eq!(sent, message(&messages["Challenge"]));
    let challenge = transcript::challenge(&request, &other_nonce, &other_share);

    let agreed = AgreedKeys::agree(&keys, &hex(&joiner["secret"]), &other_share).expect("not of low order");
    let agreed_by_initiator =
        AgreedKeys::agree(&keys, &hex(&initiator["secret"]), &share).expect("not of low order");
    for agreed in [&agreed, &agreed_by_initiator] {
        let computed: [(&str, &[u8]); 7] = [
            ("sharedSecret", &agreed.shared_secret),
            ("root", &agreed.root),
            ("joinerProof", &agreed.joiner_proof),
            ("initiatorProof", &agreed.initiator_proof),
            ("acknowledgement", &agreed.acknowledgement),
            ("joinerSeal", &agreed.joiner_seal),
            ("initiatorSeal", &agreed.initiator_seal),
        ];
        assert_all(&vector["agreedKeys"], &computed);
    }
    let opening = transcript::opening(&challenge, &nonce, &share);
    assert_eq!(agreed.digits(&opening), vector["digits"]);
    let sealed = seal_description(&agreed.joiner_seal, &opening, joiner["name"].as_str().expect("a name"));
    let name = open_description(&agreed.joiner_seal, &opening, &sealed);
    assert_eq!(name.as_deref(), joiner["name"].as_str());
    let response = transcript::response(&opening, &sealed.0);
    let proof = mac(&agreed.joiner_proof, &response);
    let sent = Question::Response { nonce: Fixed(nonce), share: Fixed(share), sealed, proof: Fixed(proof) };
    assert_eq!(sent, message(&messages["Response"]));

    let proved = transcript::proved(&response, &proof);
    let sealed =
        seal_description(&agreed.initiator_seal, &proved, initiator["name"].as_str().expect("a name"));
    let complete = transcript::complete(&response, &proof, &sealed.0);
    let hashes: [(&str, &[u8]); 7] = [
        ("start", &start),
        ("request", &request),
        ("challenge", &challenge),
        ("opening", &opening),
        ("response", &response),
        ("proved", &proved),
        ("complete", &complete),
    ];
    assert_all(&vector["transcript"], &hashes);
    let last = mac(&agreed.initiator_proof, &complete);
    assert_eq!(Answer::Complete { sealed, proof: Fixed(last) }, message(&messages["Complete"]));
    assert_eq!(agreed.pair_key(&complete), hex(&vector["pairKey"]));
    let acknowledgement = Fixed(transcript::acknowledgement(&agreed, &complete, &last));
    assert_eq!(Question::Confirmed { acknowledgement }, message(&messages["Confirmed"]));

    for reason in Reason::ALL {
        let name = reason.as_str();
        let refusal = transcript::request_refusal(&keys, &request, reason);
        assert_eq!(refusal, mac_of(&vector["requestRefusals"][name]));
        let refusal = transcript::response_refusal(&agreed, &response, &proof, reason);
        assert_eq!(refusal, mac_of(&vector["responseRefusals"][name]));
    }
    assert_eq!(transcript::cancel(&keys, Role::Initiator, &request), mac_of(&vector["cancels"]["initiator"]));
    assert_eq!(transcript::cancel(&keys, Role::Joiner, &request), mac_of(&vector["cancels"]["joiner"]));
}

#[test]
fn records() {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    for vector in vectors("records") {
        let keys = RecordKeys::new(&hex(&vector["signingSeed"]), &hex(&vector["recordKey"])).expect("a seed");
        assert_eq!(hex::encode(keys.routing_key()), vector["routingKey"]);
        let addresses = vector["addresses"].as_array().expect("addresses").iter();
        let whereabouts = Whereabouts {
            peer: peer(&vector["peer"]),
            addresses: addresses
                .map(|address| address.as_str().expect("a text").parse().expect("an address"))
                .collect(),
            sequence: vector["sequence"].as_str().expect("a text").parse().expect("a number"),
        };
        let validity = vector["validUntil"].as_str().expect("a text");
        let record = keys.write(&whereabouts, validity, &hex(&vector["nonce"])).expect("it fits");
        assert_eq!(URL_SAFE_NO_PAD.encode(&record), vector["record"]);
        assert_eq!(keys.read(&record), Some(whereabouts));
        assert_eq!(keys.read(&record[..record.len() - 1]), None);
        for index in (0..record.len()).step_by(23) {
            let mut damaged = record.clone();
            damaged[index] ^= 1;
            assert_eq!(keys.read(&damaged), None, "byte {index}");
        }
    }
}

#[test]
fn presence() {
    for vector in vectors("presence") {
        let epoch = vector["wallClockMs"].as_u64().expect("a time") / 1000 / (6 * 3600);
        assert_eq!(Some(epoch), vector["epoch"].as_u64());
        let keys = RecordKeys::presence(&hex(&vector["pairKey"]), &peer(&vector["writer"]), epoch);
        let expected = RecordKeys::new(&hex(&vector["signingSeed"]), &hex(&vector["recordKey"]));
        assert!(keys.is_some() && keys == expected, "{vector}");
    }
}

#[test]
fn messages_are_read_strictly() {
    let refused = [
        r#"{"type":"Waiting","more":1}"#,
        r#"{"type":"Waiting","type":"Waiting"}"#,
        "\u{feff}{\"type\":\"Waiting\"}",
        r#"{"type":"Refused","reason":"bored","mac":""}"#,
        r#"{"type":"Waiting"} {}"#,
        r#"[]"#,
    ];
    for text in refused {
        assert!(serde_json::from_str::<Answer>(text).is_err(), "{text}");
    }
    let text = r#"{"type":"Confirmed","acknowledgement":"vL1GkxPWEO6lOWx7Dq6nGIBH8LiHU3IGiEonojQLpTw"}"#;
    assert!(serde_json::from_str::<Question>(text).is_ok());
    let escaped = r#"{"type":"Confirmed","acknowledgement":"vL1GkxPWEO6lOWx7Dq6nGIBH8LiHU3IGiEonojQLpTw","\u0061cknowledgement":"vL1GkxPWEO6lOWx7Dq6nGIBH8LiHU3IGiEonojQLpTw"}"#;
    assert!(serde_json::from_str::<Question>(escaped).is_err());
    let trailing_bits = text.replace("pTw", "pTx");
    assert!(serde_json::from_str::<Question>(&trailing_bits).is_err());
}
