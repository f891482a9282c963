//! Trouble on the worker's thread, of ours and of others: it goes on, and gives up when there is no
//! end to it.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use l2mesh_core::Engine;
use l2mesh_core::bounds::Bounds;
use l2mesh_core::command::Command;
use l2mesh_core::random::System;
use l2mesh_core::{Endpoint, Path};
use l2mesh_io::{Options, PortFds, Report, Runner};

fn start() -> (Runner, UdpSocket) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let engine = Engine::new(Bounds::default(), Box::new(System::default()));
    let runner = Runner::start(engine, &[vec![socket.as_raw_fd()]], Options::default());
    (runner.unwrap(), socket)
}

fn panics(runner: &Runner) {
    let answer = runner.ask(|_, _| -> () { panic!("injected") });
    assert!(answer.is_none());
}

fn next_report(runner: &Runner) -> Report {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(report) = runner.poll_report() {
            return report;
        }
        assert!(Instant::now() < end, "nothing was reported");
        std::thread::yield_now();
    }
}

#[test]
fn a_panic_is_told_and_the_worker_goes_on() {
    let (mut runner, _socket) = start();
    panics(&runner);
    assert_eq!(next_report(&runner), Report::Panicked("injected".to_owned()));
    assert_eq!(runner.ask(|_, _| 7), Some(7));
    assert!(runner.counters().contains(&("worker_panics".to_owned(), 1)));
    assert!(runner.stop().is_some());
}

#[test]
fn panics_without_end_stop_the_worker_and_nobody_waits_for_it() {
    let (mut runner, _socket) = start();
    let last = loop {
        panics(&runner);
        match next_report(&runner) {
            Report::Panicked(_) => {}
            last => break last,
        }
    };
    assert_eq!(last, Report::Stopped("injected".to_owned()));
    assert_eq!(runner.ask(|_, _| 7), None);
    runner.detach_port(7);
    assert!(runner.stop().is_none());
}

fn counted(runner: &Runner, name: &str) -> u64 {
    let totals = runner.counters();
    totals.iter().find(|(one, _)| one == name).map_or(0, |(_, count)| *count)
}

/// Asks often, and nothing but that wakes the worker.
fn assert_sleeps(runner: &Runner) {
    let before = counted(runner, "worker_wakes");
    for _ in 0..200 {
        assert_eq!(runner.ask(|_, _| 7), Some(7));
    }
    let woken = counted(runner, "worker_wakes") - before;
    assert!(woken <= 205, "woken {woken} times");
}

#[test]
fn what_the_kernel_refuses_is_counted_and_the_worker_goes_on() {
    let (mut runner, _socket) = start();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let port = peer.local_addr().unwrap().port();
    let send = |host: [u8; 4], length: usize| {
        let path = Path { endpoint: Endpoint::new(host.into(), port), relay: 0 };
        runner.execute(Command::SendDatagram { datagram: vec![7; length], path });
    };
    send([127, 255, 255, 255], 100); // a broadcast, which the socket was not allowed
    send([127, 0, 0, 1], 70_000); // longer than UDP can be
    send([127, 0, 0, 1], 100);
    assert_eq!(peer.recv(&mut [0; 200]).unwrap(), 100);
    assert_eq!(counted(&runner, "underlay_send_eacces"), 1);
    assert_eq!(counted(&runner, "underlay_send_emsgsize"), 1);
    assert_sleeps(&runner);
    assert!(runner.stop().is_some());
}

#[test]
fn a_port_whose_far_end_is_closed_is_lost_and_told_once() {
    let (mut runner, _socket) = start();
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    let fd = near.as_raw_fd();
    runner.attach_port(7, PortFds { queues: &[fd], write: fd }, None).unwrap();
    assert_sleeps(&runner);
    drop(far);
    assert_eq!(next_report(&runner), Report::PortLost { network: 7, code: libc::ENODEV });
    assert_sleeps(&runner);
    assert_eq!(runner.poll_report(), None);
    runner.detach_port(7);
    assert!(runner.stop().is_some());
}
