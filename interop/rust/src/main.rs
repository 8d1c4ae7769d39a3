//! One device, driven over standard input and output: see interop/README.md.

use std::process::ExitCode;

use spacedock::device::Device;
use spacedock::options::Options;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::mpsc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        // Standard input may still be read by a thread that cannot be stopped.
        Ok(()) => std::process::exit(0),
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let options = Options::parse(std::env::args().skip(1))?;
    let device = Device::start(options).await.map_err(|error| error.to_string())?;
    let (sender, lines) = mpsc::channel(64);
    tokio::spawn(read_lines(sender));
    device.run(lines).await;
    Ok(())
}

async fn read_lines(sender: mpsc::Sender<String>) {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if sender.send(line).await.is_err() {
            return;
        }
    }
}
