//! The arguments of the program, as interop/README.md says.

use std::net::IpAddr;
use std::path::PathBuf;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

#[derive(Default)]
pub struct Options {
    pub dir: PathBuf,
    pub name: String,
    pub listen: Vec<IpAddr>,
    pub port: u16,
    pub mdns: bool,
    pub rendezvous: Vec<Multiaddr>,
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
                "--rendezvous" => options.rendezvous.push(read(&flag, &value()?)?),
                "--rendezvous-node" => {
                    return Err("This program is a device, and no rendezvous node.".to_owned());
                }
                _ => return Err(format!("{flag} is no option of this program.")),
            }
        }
        if options.dir.as_os_str().is_empty() {
            return Err("--dir is missing: a directory for identity and pairings.".to_owned());
        }
        if let Some(address) = options.rendezvous.iter().find(|address| peer_of(address).is_none()) {
            return Err(format!("{address} does not end in /p2p/ and a peer id."));
        }
        Ok(options)
    }
}

fn read<T: std::str::FromStr>(flag: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{flag} cannot be \"{value}\"."))
}

/// The peer that an address ends in.
pub fn peer_of(address: &Multiaddr) -> Option<libp2p::PeerId> {
    match address.iter().last()? {
        Protocol::P2p(peer) => Some(peer),
        _ => None,
    }
}
