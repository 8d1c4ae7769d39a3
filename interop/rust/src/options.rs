//! The arguments of the program, as interop/README.md says.

use std::net::IpAddr;
use std::path::PathBuf;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

use crate::device::access::{Secret, read_secret};

#[derive(Default)]
pub struct Options {
    pub dir: PathBuf,
    pub name: String,
    pub listen: Vec<IpAddr>,
    pub port: u16,
    pub mdns: bool,
    pub rendezvous: Vec<RendezvousAddress>,
}

/// Where a rendezvous node is, and the secret of its relay, if it has one.
pub struct RendezvousAddress {
    pub address: Multiaddr,
    pub secret: Option<Secret>,
}

impl Options {
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { name: "rust".to_owned(), ..Self::default() };
        while let Some(flag) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{flag} needs a value."));
            match flag.as_str() {
                "--dir" => options.dir = value()?.into(),
                "--name" => options.name = value()?,
                "--listen" => options.listen.push(read(&flag, &value()?)?),
                "--port" => options.port = read(&flag, &value()?)?,
                "--mdns" => options.mdns = true,
                "--rendezvous" => options.rendezvous.push(read_rendezvous(&flag, &value()?)?),
                "--rendezvous-node" => {
                    return Err("This program is a device, and no rendezvous node.".to_owned());
                }
                _ => return Err(format!("{flag} is no option of this program.")),
            }
        }
        if options.dir.as_os_str().is_empty() {
            return Err("--dir is missing: a directory for identity and pairings.".to_owned());
        }
        Ok(options)
    }
}

fn read<T: std::str::FromStr>(flag: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{flag} cannot be \"{value}\"."))
}

/// An address, and behind `#` the secret, which is in none of the errors.
fn read_rendezvous(flag: &str, value: &str) -> Result<RendezvousAddress, String> {
    let (text, secret) = match value.split_once('#') {
        None => (value, None),
        Some((text, secret)) => {
            let no_secret = || format!("What stands behind # in {text} is no secret.");
            (text, Some(read_secret(secret).ok_or_else(no_secret)?))
        }
    };
    let address: Multiaddr = read(flag, text)?;
    if peer_of(&address).is_none() {
        return Err(format!("{address} does not end in /p2p/ and a peer id."));
    }
    Ok(RendezvousAddress { address, secret })
}

/// The peer that an address ends in.
pub fn peer_of(address: &Multiaddr) -> Option<libp2p::PeerId> {
    match address.iter().last()? {
        Protocol::P2p(peer) => Some(peer),
        _ => None,
    }
}
