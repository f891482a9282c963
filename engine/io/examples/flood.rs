//! A flood of UDP datagrams, and what arrives of it: faster than what is to be measured.
//!
//! `flood send ADDRESS:PORT BYTES SECONDS` sends with `sendmmsg`, one datagram a message;
//! `flood receive ADDRESS:PORT SECONDS` counts from the first one on, and tells datagrams a second
//! and how many came behind a later one.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use l2mesh_io::flood::{Receiver, Sender};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [what, to, bytes, seconds] if what == "send" => {
            let socket = UdpSocket::bind(if to.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" })?;
            let mut sender = Sender::new(socket, to.parse()?, bytes.parse()?);
            let end = Instant::now() + Duration::from_secs_f64(seconds.parse()?);
            while Instant::now() < end {
                sender.burst()?;
            }
            println!("sent {}", sender.sent());
        }
        [what, at, seconds] if what == "receive" => {
            let mut receiver = Receiver::new(UdpSocket::bind(at)?)?;
            receiver.wait(Duration::from_secs(20))?;
            let start = Instant::now();
            let length = Duration::from_secs_f64(seconds.parse()?);
            while start.elapsed() < length {
                receiver.burst()?;
            }
            let rate = receiver.count() as f64 / start.elapsed().as_secs_f64();
            println!("received {} rate {rate:.0} late {}", receiver.count(), receiver.late());
        }
        _ => return Err("send ADDRESS:PORT BYTES SECONDS | receive ADDRESS:PORT SECONDS".into()),
    }
    Ok(())
}
