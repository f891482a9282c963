//! Trains of full datagrams from one socket to another, none of which is lost: what UDP costs alone.
//!
//! `pump send ADDRESS:PORT BYTES SECONDS` sends by `UDP_SEGMENT` and waits for what was sent to be
//! acknowledged before more than a window is on its way; `pump receive ADDRESS:PORT` receives by
//! `UDP_GRO`, acknowledges, and tells how many datagrams came when nothing has come for a second.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use l2mesh_io::flood::{Receiver, Sender};

/// Datagrams on their way.
const WINDOW: u64 = 700;
const SILENCE: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [what, to, bytes, seconds] if what == "send" => {
            send(to, bytes.parse()?, Duration::from_secs_f64(seconds.parse()?))
        }
        [what, at] if what == "receive" => receive(at),
        _ => Err("send ADDRESS:PORT BYTES SECONDS | receive ADDRESS:PORT".into()),
    }
}

fn send(to: &str, bytes: usize, length: Duration) -> Result<(), Box<dyn Error>> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(SILENCE))?;
    let mut sender = Sender::of_trains(socket.try_clone()?, to.parse()?, bytes);
    let (mut acknowledged, end) = (0, Instant::now() + length);
    while Instant::now() < end {
        sender.burst()?;
        while sender.sent() > acknowledged + WINDOW {
            let mut count = [0; 8];
            socket.recv(&mut count)?;
            acknowledged = u64::from_be_bytes(count).max(acknowledged);
        }
    }
    println!("sent {}", sender.sent());
    Ok(())
}

fn receive(at: &str) -> Result<(), Box<dyn Error>> {
    let socket = UdpSocket::bind(at)?;
    let mut receiver = Receiver::new(socket.try_clone()?)?;
    receiver.wait(Duration::from_secs(20))?;
    let (_, sender) = socket.peek_from(&mut [0; 8])?;
    let mut newest = Instant::now();
    let mut told = 0;
    while newest.elapsed() < SILENCE {
        receiver.burst()?;
        if receiver.count() > told {
            (told, newest) = (receiver.count(), Instant::now());
            socket.send_to(&told.to_be_bytes(), sender)?;
        }
    }
    println!("received {}", receiver.count());
    Ok(())
}
