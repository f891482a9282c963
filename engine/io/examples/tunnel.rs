//! Two networks joined by keys that everybody knows: the data path alone, to be measured.
//!
//! `tunnel TAP LOCAL:PORT REMOTE:PORT SIDE [SIZE] [SWITCH...]` with SIDE 0 here and 1 there, and
//! SIZE that of the path's datagrams. Switches: `no-vnet`, `no-tso`, `no-uso`, `no-gso`, `no-gro`,
//! `chacha`. The TAP gets the address 02:00:00:00:00:0SIDE from whoever starts this. What was
//! counted is told every time a line comes in, and at the end of input the tunnel ends.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use l2mesh_core::aead::{Cipher, KeyMaterial};
use l2mesh_core::bounds::Bounds;
use l2mesh_core::command::{Command, Elided};
use l2mesh_core::limits::Limits;
use l2mesh_core::random::System;
use l2mesh_core::rights::Member;
use l2mesh_core::{Endpoint, Engine, Path};
use l2mesh_io::tap::{self, TapOffloads};
use l2mesh_io::{Options, PortFds, Runner};

const NETWORK: u64 = 7;

fn material(cipher: Cipher, side: u8) -> KeyMaterial {
    KeyMaterial { cipher, key: [side + 1; 32].into(), salt: [side; 4] }
}

fn member(side: u8) -> Member {
    Member { mac: mac(side), ..Member::default() }
}

fn mac(side: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, side]
}

/// The addresses of frames to one side from the other, which need not travel.
fn addresses(to: u8, from: u8) -> Elided {
    [mac(to), mac(from)].concat().try_into().unwrap_or_default()
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, local, remote, side, rest @ ..] = &arguments[..] else {
        return Err("TAP LOCAL:PORT REMOTE:PORT SIDE [SIZE] [SWITCH...]".into());
    };
    let side: u8 = side.parse()?;
    let bytes = rest.first().and_then(|size| size.parse().ok()).unwrap_or(1472);
    let is_on = |switch: &str| !rest.iter().any(|word| word == switch);
    let remote: SocketAddr = remote.parse()?;
    let endpoint = Endpoint::new(remote.ip(), remote.port());
    let cipher = if is_on("chacha") { Cipher::Aes256Gcm } else { Cipher::ChaCha20Poly1305 };
    let peer = [9; 32];
    let (theirs, session) = (1 - side, 1);

    let socket = UdpSocket::bind(local)?;
    socket.set_nonblocking(true)?;
    let device = tap::open(name, is_on("no-vnet"))?;
    let wanted = TapOffloads { checksum: true, tso: is_on("no-tso"), uso: is_on("no-uso") };
    let offloads =
        if is_on("no-vnet") { Some(tap::set_offloads(device.as_raw_fd(), wanted)?) } else { None };
    let options =
        Options { udp_gso: is_on("no-gso"), udp_gro: is_on("no-gro"), ..Options::default() };
    let engine = Engine::new(Bounds::default(), Box::new(System::default()));
    let mut runner = Runner::start(engine, &[vec![socket.as_raw_fd()]], options)?;
    let limits = Limits { broadcast: None, multicast: None, ..Limits::default() };
    for command in [
        Command::OpenPort { network: NETWORK, own: member(side), mtu: 9000 },
        Command::SetLimits { network: NETWORK, limits },
        Command::SetMember { network: NETWORK, peer, member: member(theirs) },
        Command::SetPath {
            peer,
            path: Some(Path { endpoint, relay: 0 }),
            size: bytes,
            spread: Vec::new(),
        },
        Command::InstallReceive {
            peer,
            session,
            network: NETWORK,
            index: u32::from(side) + 1,
            material: material(cipher, theirs),
            elided: Some(addresses(side, theirs)),
        },
        Command::InstallSend {
            peer,
            session,
            network: NETWORK,
            lane: 0,
            index: u32::from(theirs) + 1,
            material: material(cipher, side),
            elided: Some(addresses(theirs, side)),
        },
    ] {
        runner.execute(command);
    }
    let fds = PortFds { queues: &[device.as_raw_fd()], write: device.as_raw_fd() };
    runner.attach_port(NETWORK, fds, offloads)?;
    println!("ready {offloads:?}");
    for _line in std::io::stdin().lines() {
        let totals = runner.ask(|engine, _| {
            let counters = engine.counters();
            (counters.totals().collect::<Vec<_>>(), format!("{counters:?}"))
        });
        let (totals, all) = totals.ok_or("the worker is no more")?;
        let totals = totals.into_iter().map(|(name, count)| (name.to_owned(), count));
        for (name, count) in totals.chain(runner.counters()).filter(|(_, count)| *count > 0) {
            println!("{name} {count}");
        }
        println!("{all}");
        while let Some(report) = runner.poll_report() {
            println!("{report:?}");
        }
        println!("end");
    }
    runner.stop();
    Ok(())
}
