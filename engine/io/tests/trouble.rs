//! A fault of ours on the worker's thread: it goes on, and gives up when there is no end to it.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use l2mesh_core::Engine;
use l2mesh_core::bounds::Bounds;
use l2mesh_core::random::System;
use l2mesh_io::{Options, Report, Runner};

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
