//! Trains of full datagrams from one socket to another: what UDP costs alone.
//!
//! `pump receive ADDRESS:PORT` says that it is ready, receives by `UDP_GRO`, acknowledges by the
//! number of datagrams so far, and tells it when nothing has come for a second. `pump send
//! ADDRESS:PORT BYTES SECONDS` sends by `UDP_SEGMENT` and lets no more than a window be on its way.
//! Datagrams and acknowledgements may get lost: what has not been acknowledged when the other end
//! has been silent for a while is on its way no more.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::io::{ErrorKind, Write};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use l2mesh_io::flood::{Receiver, Sender};

/// Datagrams on their way.
const WINDOW: u64 = 700;
/// Without an acknowledgement for so long, what was on its way is lost.
const PATIENCE: Duration = Duration::from_millis(20);
/// Without a datagram for so long, the sender has ended.
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
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut sender = Sender::of_trains(socket.try_clone()?, to.parse()?, bytes);
    let (mut arrived, mut lost, end) = (0, 0, Instant::now() + length);
    while Instant::now() < end {
        sender.burst()?;
        while sender.sent() > arrived + lost + WINDOW {
            let mut count = [0; 8];
            match socket.recv(&mut count) {
                Ok(_) => arrived = u64::from_be_bytes(count).max(arrived),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    lost = sender.sent() - arrived;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    println!("sent {} lost {lost}", sender.sent());
    Ok(())
}

fn receive(at: &str) -> Result<(), Box<dyn Error>> {
    let socket = UdpSocket::bind(at)?;
    let mut receiver = Receiver::new(socket.try_clone()?)?;
    println!("ready");
    std::io::stdout().flush()?;
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
